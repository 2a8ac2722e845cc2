"""Draw weights, delays and starting values from words of a stream."""

from __future__ import annotations

import math

import numpy as np

from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import uniform, word

CONSTANT, NORMAL, UNIFORM, LISTED = 0, 1, 2, 3
_TWO = np.uint64(2)


@jit
def value(distribution, table, stream):
    """One value; `stream` is a key, or for a list the position in it."""
    kind, a, b, low, high = distribution
    if kind == NORMAL:
        j = np.uint64(0)
        while True:
            radius = math.sqrt(-2.0 * math.log(uniform(word(stream, j))))
            drawn = a + b * (radius * math.cos(2.0 * math.pi * uniform(word(stream, j + np.uint64(1)))))
            if low <= drawn <= high:
                return drawn
            j += _TWO
    if kind == UNIFORM:
        return a + b * uniform(word(stream, np.uint64(0)))
    if kind == LISTED:
        return table[np.int64(stream)]
    return a


@jit
def draw_values(distribution, table, words, out):
    """One value for each word."""
    for i in range(len(words)):
        out[i] = value(distribution, table, words[i])
