"""Poisson drive: draw a count for every neuron from an alias table and add it, weighted, to what arrives."""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import word

_U = np.uint64
_LOW, _INDEX, _OWN, _OTHER, _HALF, _ONE = _U(0xFFFFFFFF), _U(0xFFFF), _U(32), _U(48), _U(32), _U(1)


@jit
def _count(columns, shift, number):
    """The count that a 32-bit number draws."""
    column = columns[number >> shift]
    rest = number & ((_ONE << shift) - _ONE)
    return np.int32(((column >> _OWN) & _INDEX) if rest < (column & _LOW) else (column >> _OTHER))


@jit
def drive(stream, columns, shift, least, weight, first, last, arrived):
    """Drive neurons first to last - 1 of a population; neurons 2i and 2i + 1 share word i of the step's stream."""
    i = first
    if i & 1 and i < last:
        arrived[0] += weight * (least + _count(columns, shift, word(stream, _U(i >> 1)) >> _HALF))
        i += 1
    for pair in range(i >> 1, last >> 1):
        drawn = word(stream, _U(pair))
        at = 2 * pair - first
        arrived[at] += weight * (least + _count(columns, shift, drawn & _LOW))
        arrived[at + 1] += weight * (least + _count(columns, shift, drawn >> _HALF))
    if last & 1 and last > i:
        arrived[last - 1 - first] += weight * (least + _count(columns, shift, word(stream, _U(last >> 1)) & _LOW))
