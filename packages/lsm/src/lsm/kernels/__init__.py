"""Inner loops, compiled, beside their plain references."""
