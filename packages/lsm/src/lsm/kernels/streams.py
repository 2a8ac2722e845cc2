"""The functions of `lsm.streams`, compiled."""

from __future__ import annotations

import numpy as np

from lsm import streams
from lsm.kernels.numba_jit import jit

_GOLDEN, _ONE = streams.GOLDEN, np.uint64(1)

mix = jit(streams.mix)
high_below = jit(streams.high_below)
low_below = jit(streams.low_below)
uniform = jit(streams.uniform)


@jit
def word(stream, j):
    """Word j of a stream; see `lsm.streams.word`."""
    return mix(stream + (j + _ONE) * _GOLDEN)
