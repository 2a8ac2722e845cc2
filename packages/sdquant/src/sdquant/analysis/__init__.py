"""What the quantizers and binary embeddings of sdquant lose: figures and their pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
