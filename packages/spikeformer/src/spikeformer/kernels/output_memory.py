"""Memory of large results, kept for the next result of its size when the last tensor over it is gone.

The system hands out fresh memory page by page and zeroes each page: for tensors beyond the allocator's thresholds (32
MiB of glibc at most) at every call, which here takes longer than the arithmetic. CUDA tensors of torch are kept in the
same way.
"""

from __future__ import annotations

import math
import threading
import weakref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST = 1 << 20  # bytes: what is smaller the allocator keeps well
MOST_KEPT = 256 << 20  # bytes of unused memory that are kept
_ALIGNMENT = 64

_kept: dict[int, NDArray[np.uint8]] = {}  # by id, the newest last
_bytes = 0  # of them
_lock = threading.RLock()
# A block can come back while the lock is held: the collector runs anywhere. So loops go over copies.


def empty(shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Give a contiguous CPU tensor without values, as `torch.empty` does.

    Its memory is taken again only after every tensor and array that shares it is gone. Its storage cannot be resized.

    Args:
        shape: of the tensor.
        dtype: its type.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST:
        return torch.empty(shape, dtype=dtype)
    block = _take(-(-size // LEAST) * LEAST + _ALIGNMENT)
    start = -block.ctypes.data % _ALIGNMENT
    view = block[start : start + size]
    # The tensor's storage holds this view, and is its only holder: the view dies with the storage.
    weakref.finalize(view, _give_back, block).atexit = False
    return torch.from_numpy(view).view(dtype).view(shape)


def kept_bytes() -> int:
    """Bytes of memory kept and not in use."""
    return _bytes


def release() -> None:
    """Give the memory that is kept back to the system."""
    with _lock:
        for key in list(_kept):
            _drop(key)


def _take(size: int) -> NDArray[np.uint8]:
    with _lock:
        for key, block in reversed(list(_kept.items())):  # the newest may still be in a cache
            if block.nbytes == size and _drop(key):
                return block
    return np.empty(size, np.uint8)


def _give_back(block: NDArray[np.uint8]) -> None:
    global _bytes
    size = block.nbytes
    with _lock:
        _kept[id(block)] = block
        _bytes += size
        for key in list(_kept):
            if _bytes <= MOST_KEPT:
                break
            _drop(key)


def _drop(key: int) -> bool:
    """Whether it was there."""
    global _bytes
    block = _kept.pop(key, None)
    if block is None:
        return False
    size = block.nbytes
    _bytes -= size
    return True
