"""Sigma-delta, Hadamard/JL and 1.58-bit quantization of embeddings.

Names load on first use: `import sdquant` by itself does not import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
