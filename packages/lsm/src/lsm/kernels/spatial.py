"""Draws of `SpatialIndegree`."""

from __future__ import annotations

import math

import numpy as np

from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import high_below, low_below, uniform, word

_U = np.uint64
_MOST_TRIES = 64


@jit
def _cell(x, y, low, sides, cells):
    """Number of the cell of a place, -1 outside of the grid."""
    column, row = math.floor((x - low[0]) / sides[0]), math.floor((y - low[1]) / sides[1])
    if 0 <= column < cells[0] and 0 <= row < cells[1]:
        return row * cells[0] + column
    return -1


@jit
def sort_into_cells(places_N3, low, sides, cells):
    """Where the members of each cell begin, and the members."""
    begin = np.zeros(cells[0] * cells[1] + 2, np.int64)
    for i in range(len(places_N3)):
        begin[_cell(places_N3[i, 0], places_N3[i, 1], low, sides, cells) + 2] += 1
    begin = np.cumsum(begin)
    member = np.empty(len(places_N3), np.int32)
    for i in range(len(places_N3)):
        cell = _cell(places_N3[i, 0], places_N3[i, 1], low, sides, cells)
        member[begin[cell + 1]] = i
        begin[cell + 1] += 1
    return begin[:-1], member


@jit
def _near(stream, x, y, sigma, low, sides, cells, begin, member, avoid):
    """A source near a place; any source when there is none."""
    for attempt in range(_MOST_TRIES):
        first, second = word(stream, _U(2 * attempt)), word(stream, _U(2 * attempt + 1))
        radius, angle = sigma * math.sqrt(-2.0 * math.log(uniform(first))), 2.0 * math.pi * uniform(second)
        cell = _cell(x + radius * math.cos(angle), y + radius * math.sin(angle), low, sides, cells)
        if cell >= 0 and begin[cell] < begin[cell + 1]:
            inside = _U(begin[cell + 1] - begin[cell])
            source = member[begin[cell] + np.int64(low_below(word(first, second), inside))]
            if source != avoid:
                return source
    source = np.int32(high_below(word(stream, _U(2 * _MOST_TRIES)), _U(len(member) - (avoid >= 0))))
    return np.int32(source + 1) if 0 <= avoid <= source else source


@jit
def indegree(
    key, first, last, k, sigma, shift, post_N3, low, sides, cells, begin, member, others, source_n, target_n, word_n
):  # fmt: skip
    """k sources for each target from first to last - 1; gives the number of synapses."""
    n = 0
    for target in range(first, last):
        of_target = word(key, _U(target))
        x, y = post_N3[target, 0] + shift[0], post_N3[target, 1] + shift[1]
        avoid = np.int32(target) if others else np.int32(-1)
        for j in range(k):
            stream = word(of_target, _U(j))
            source_n[n] = _near(stream, x, y, sigma, low, sides, cells, begin, member, avoid)
            target_n[n], word_n[n] = target, stream
            n += 1
    return n
