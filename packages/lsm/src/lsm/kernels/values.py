"""Draw weights, delays and starting values from words of a stream.

References:
    Marsaglia, Tsang (2000), The ziggurat method for generating random variables, J. Stat. Software 5(8).
    Doornik (2005), An improved ziggurat method to generate normal random samples: 128 and more layers with doubles.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lsm.kernels.numba_jit import inner, jit
from lsm.kernels.streams import uniform, word

CONSTANT, NORMAL, UNIFORM, LISTED = 0, 1, 2, 3
LAYERS = 256
_R, _AREA = 3.6541528853610088, 0.00492867323399  # begin of the tail, area of a layer
_ONE, _TWO, _LAYER = np.uint64(1), np.uint64(2), np.uint64(LAYERS - 1)


def _layers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right edges of the layers, from the tail's inwards, and the share of each that lies under the curve."""
    edges = [_AREA / math.exp(-0.5 * _R * _R), _R]
    for _ in range(LAYERS - 2):
        edges.append(math.sqrt(-2 * math.log(_AREA / edges[-1] + math.exp(-0.5 * edges[-1] ** 2))))
    edges.append(0.0)
    edge = np.array(edges)
    return edge, edge[1:] / edge[:-1]


_EDGE, _SHARE = _layers()


@inner
def normal(stream, j):
    """A standard normal number, and the number of the next word of the stream."""
    while True:
        drawn = word(stream, j)
        layer, u = np.int64(drawn & _LAYER), 2.0 * uniform(drawn) - 1.0
        if abs(u) < _SHARE[layer]:
            return u * _EDGE[layer], j + _ONE
        if layer == 0:
            while True:
                x, y = math.log(uniform(word(stream, j + _ONE))) / _R, math.log(uniform(word(stream, j + _TWO)))
                j += _TWO
                if -2.0 * y > x * x:
                    return (_R - x if u > 0.0 else x - _R), j + _ONE
        x = u * _EDGE[layer]
        upper = math.exp(-0.5 * (_EDGE[layer] * _EDGE[layer] - x * x))
        lower = math.exp(-0.5 * (_EDGE[layer + 1] * _EDGE[layer + 1] - x * x))
        if lower + uniform(word(stream, j + _ONE)) * (upper - lower) < 1.0:
            return x, j + _TWO
        j += _TWO


@inner
def value(distribution, table, stream):
    """One value; `stream` is a key, or for a list the position in it."""
    kind, a, b, low, high = distribution
    if kind == NORMAL:
        j = np.uint64(0)
        while True:
            drawn, j = normal(stream, j)
            drawn = a + b * drawn
            if low <= drawn <= high:
                return drawn
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
