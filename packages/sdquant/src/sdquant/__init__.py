"""Sigma-delta, Hadamard/JL and 1.58-bit quantization of embeddings."""
