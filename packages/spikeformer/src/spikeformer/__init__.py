"""Transformer with phase-shifted spiking self-attention and working memory."""
