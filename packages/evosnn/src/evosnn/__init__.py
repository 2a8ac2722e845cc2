"""Plastic spiking networks evolved and steered through Gymnasium."""
