"""bfloat16 in numba, which does not know it: bits of 16 in tensors, float32 in the cache.

A bfloat16 is the upper half of a float32.

Shapes: W numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from spikeformer.kernels.numba_jit import jit

ONE = 0x3F80
_HALF, _SHIFT, _LAST = np.uint32(0x7FFF), np.uint32(16), np.uint32(1)
_MAGNITUDE, _INFINITE, _NAN = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(0x7FC0)


@jit
def _widen(x_W, bits_W):
    """Numbers of 16 bits to the bits of float32."""
    for i in range(len(bits_W)):
        bits_W[i] = np.uint32(x_W[i]) << _SHIFT


@jit
def _narrow(bits_W, x_W):
    """Bits of float32 to the nearest numbers of 16 bits, ties to even; as torch does."""
    for i in range(len(x_W)):
        bits = bits_W[i]
        nearest = np.uint32(bits + _HALF + ((bits >> _SHIFT) & _LAST)) >> _SHIFT
        x_W[i] = _NAN if (bits & _MAGNITUDE) > _INFINITE else nearest


def read(x_W: Any, wide_W: Any, bits_W: Any) -> Any:
    """In compiled code: numbers of a tensor, in wide_W, whose bits are bits_W, where they come in bfloat16."""
    raise NotImplementedError


@overload(read)
def _(x_W, wide_W, bits_W):  # noqa: ARG001 - the signature of what it stands for
    def widened(x_W, wide_W, bits_W):
        _widen(x_W, bits_W)
        return wide_W

    return widened if x_W.dtype == types.uint16 else lambda x_W, wide_W, bits_W: x_W  # noqa: ARG005 - one signature


def place(x_W: Any, wide_W: Any) -> Any:
    """In compiled code: where numbers go that `write` then takes to the tensor."""
    raise NotImplementedError


@overload(place)
def _(x_W, wide_W):  # noqa: ARG001 - the signature of what it stands for
    wide = x_W.dtype == types.uint16
    return (lambda x_W, wide_W: wide_W) if wide else lambda x_W, wide_W: x_W  # noqa: ARG005 - one signature


def write(bits_W: Any, x_W: Any) -> None:
    """In compiled code: round to bfloat16 what was written to the `place` of these bits; else nothing is to do."""
    raise NotImplementedError


@overload(write)
def _(bits_W, x_W):  # noqa: ARG001 - the signature of what it stands for
    wide = x_W.dtype == types.uint16
    return (lambda bits_W, x_W: _narrow(bits_W, x_W)) if wide else lambda bits_W, x_W: None  # noqa: ARG005 - as above


def array_of(x: Tensor) -> NDArray[Any]:
    """The tensor's memory as numbers that numba knows: bits, uint16, for bfloat16."""
    return x.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else x.numpy()
