"""Memory of large results, kept for the next result of its size when the last tensor over it is gone.

The system hands out fresh memory page by page and zeroes each page: for tensors beyond the allocator's thresholds (32
MiB of glibc at most) at every call, which here takes longer than the arithmetic. CUDA tensors of torch are kept in the
same way.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST = 1 << 20  # bytes: what is smaller the allocator keeps well
MOST_KEPT = 256 << 20  # bytes of unused memory that are kept
_ALIGNMENT = 64

_kept: deque[NDArray[np.uint8]] = deque()  # the newest last
_lock = threading.RLock()  # a block can come back while one is taken: the collector runs anywhere


def empty(shape: torch.Size | tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Give a contiguous CPU tensor without values, as `torch.empty` does.

    Its memory is taken again only after every tensor and array that shares it is gone.

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
    with _lock:
        return sum(block.nbytes for block in _kept)


def release() -> None:
    """Give the memory that is kept back to the system."""
    with _lock:
        _kept.clear()


def _take(size: int) -> NDArray[np.uint8]:
    with _lock:
        for k in range(len(_kept) - 1, -1, -1):  # the newest may still be in a cache
            if _kept[k].nbytes == size:
                block = _kept[k]
                del _kept[k]
                return block
    return np.empty(size, np.uint8)


def _give_back(block: NDArray[np.uint8]) -> None:
    with _lock:
        _kept.append(block)
        while kept_bytes() > MOST_KEPT:
            _kept.popleft()
