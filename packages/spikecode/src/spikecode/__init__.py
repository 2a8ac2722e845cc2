"""Population and rate encoding of embeddings into spikes, and back."""
