"""Draws of `FixedIndegree`."""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import high_below, word

_U = np.uint64


@jit
def draw(key, first, last, k, n_pre, others, source_n, target_n, word_n):
    """k sources for each target from first to last - 1; `others` leaves the target itself out."""
    below = _U(n_pre - 1 if others else n_pre)
    i = 0
    for target in range(first, last):
        stream = word(key, _U(target))
        for j in range(k):
            drawn = word(stream, _U(j))
            source = np.int32(high_below(drawn, below))
            if others and source >= target:
                source += np.int32(1)
            source_n[i] = source
            target_n[i] = target
            word_n[i] = drawn
            i += 1
