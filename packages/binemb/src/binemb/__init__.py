"""Binary and Matryoshka embeddings, FAISS search, similarity and analogy evaluation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
