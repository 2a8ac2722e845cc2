"""What every training run shares: processes, data sharding, precision, memory, checkpoints, stopping, logs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
