"""Plastic spiking networks evolved and steered through Gymnasium."""

import lazy_loader

from evosnn.envs.registration import register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
register()
del register
