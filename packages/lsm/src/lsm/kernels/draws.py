"""Draws of the connection rules.

Every function writes source, target and a word for each synapse to its last three arguments and gives their number;
`others` leaves out synapses of a neuron to itself.
"""

from __future__ import annotations

import math

import numpy as np

from lsm.kernels.numba_jit import inner, jit
from lsm.kernels.streams import high_below, low_below, uniform, word
from lsm.layout import TILES

_U = np.uint64
_TILE = _U(1 << 40)  # numbers of the streams of tiles, beyond those of neurons


@jit
def indegree(key, first, last, k, n_pre, others, source_n, target_n, word_n):
    """k sources for each target from first to last - 1."""
    below = _U(n_pre - 1 if others else n_pre)
    n = 0
    for target in range(first, last):
        stream = word(key, _U(target))
        for j in range(k):
            drawn = word(stream, _U(j))
            source = np.int64(high_below(drawn, below))
            source_n[n] = source + 1 if others and source >= target else source
            target_n[n], word_n[n] = target, drawn
            n += 1
    return n


@inner
def outdegree_share(of_source, begin, end, k, n_post):
    """How many of the k targets of a source fall to a tile of the targets begin to end - 1."""
    start = np.int64(high_below(of_source, _U(n_post)))
    return (k * end + start) // n_post - (k * begin + start) // n_post


@jit
def outdegree(key, first, last, tile, begin, end, k, n_post, others, source_n, target_n, word_n):
    """The share of a tile, targets begin to end - 1, of k targets for each source from first to last - 1."""
    n = 0
    for source in range(first, last):
        of_source = word(key, _U(source))
        stream = word(of_source, _U(tile))
        inside = others and begin <= source < end
        below = _U(end - begin - 1 if inside else end - begin)
        for j in range(outdegree_share(of_source, begin, end, k, n_post)):
            drawn = word(stream, _U(j))
            target = begin + np.int64(high_below(drawn, below))
            target_n[n] = target + 1 if inside and target >= source else target
            source_n[n], word_n[n] = source, drawn
            n += 1
    return n


@jit
def count_tiles(key, n, n_post, count_T):
    """Count by tile the targets of n synapses, two to a word."""
    stream, below = word(key, _TILE + _U(TILES)), _U(n_post)
    for j in range((n + 1) // 2):
        drawn = word(stream, _U(j))
        count_T[(TILES * (np.int64(high_below(drawn, below)) + 1) - 1) // n_post] += 1
        if 2 * j + 1 < n:
            count_T[(TILES * (np.int64(low_below(drawn, below)) + 1) - 1) // n_post] += 1


@jit
def total(key, first, last, tile, begin, end, n_pre, others, source_n, target_n, word_n):
    """Synapses first to last - 1 of a tile: a source and a target from begin to end - 1 for each."""
    stream = word(key, _TILE + _U(tile))
    below = _U(n_pre - 1 if others else n_pre)
    n = 0
    for j in range(first, last):
        drawn = word(stream, _U(j))
        source, target = np.int64(high_below(drawn, below)), begin + np.int64(low_below(drawn, _U(end - begin)))
        source_n[n] = source + 1 if others and source >= target else source
        target_n[n], word_n[n] = target, drawn
        n += 1
    return n


@jit
def bernoulli(key, first, last, tile, begin, end, p, others, source_n, target_n, word_n):
    """Targets begin to end - 1 of a tile for each source from first to last - 1: gaps between them are geometric."""
    scale = 1.0 / math.log1p(-p) if p < 1.0 else 0.0
    n = 0
    for source in range(first, last):
        stream = word(word(key, _U(source)), _U(tile))
        target, j = begin - 1, 0
        while True:
            drawn = word(stream, _U(j))
            gap = math.log(uniform(drawn)) * scale
            if gap >= end - 1 - target:
                break
            target += 1 + np.int64(gap)
            j += 1
            if not (others and target == source):
                source_n[n], target_n[n], word_n[n] = source, target, drawn
                n += 1
    return n


@jit
def _distance_probability(C, lambda_, place, other):
    squared = (place[0] - other[0]) ** 2 + (place[1] - other[1]) ** 2 + (place[2] - other[2]) ** 2
    return C * math.exp(-squared / lambda_**2)


@jit
def distance(key, first, last, C, lambda_, pre_N3, post_N3, others, source_n, target_n, word_n):
    """Every source with its probability for each target from first to last - 1."""
    n = 0
    for target in range(first, last):
        stream = word(key, _U(target))
        for source in range(len(pre_N3)):
            drawn = word(stream, _U(source))
            if others and source == target:
                continue
            if uniform(drawn) < _distance_probability(C, lambda_, pre_N3[source], post_N3[target]):
                source_n[n], target_n[n], word_n[n] = source, target, drawn
                n += 1
    return n


@jit
def distance_mean(C, lambda_, pre_N3, post_N3):
    """Mean number of synapses of these sources and targets."""
    mean = 0.0
    for target in range(len(post_N3)):
        for source in range(len(pre_N3)):
            mean += _distance_probability(C, lambda_, pre_N3[source], post_N3[target])
    return mean
