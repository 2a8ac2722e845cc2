"""Poisson drive: draw a count for every neuron and add it, weighted, to what arrives.

Four neighbouring neurons share a word of the step's stream, 16 bits each. Their upper 11 bits settle the count in a
table; once in some hundred times the 16 bits are carried on to 48 by a word of the neuron's own.
"""

from __future__ import annotations

import numpy as np

from lsm import poisson
from lsm.kernels.numba_jit import inner
from lsm.kernels.streams import word

BLOCK = 256  # words drawn at once
LANES = 4  # neurons that share a word
OWN = 1 << 40  # words from there on are a single neuron's
_U = np.uint64
_OWN, _S16, _S32 = _U(OWN), _U(16), _U(32)
_SHIFT = np.uint16(16 - poisson.GUIDE_BITS)
_UNSETTLED = np.int32(poisson.UNSETTLED)


@inner
def _settle(stream, neuron, lane, limits):
    """How many limits are not above the neuron's 48-bit number."""
    number = (_U(lane) << _S32) | (word(stream, _OWN + neuron) >> _S32)
    return np.int32(np.searchsorted(limits, number, side="right"))


@inner
def drive(stream, guide, limits, least, weight, first, arrived):
    """Drive neurons first to first + len(arrived) - 1 of a population."""
    words = np.empty(BLOCK, np.uint64)
    lanes = words.view(np.uint16)
    end = first + len(arrived)
    block = first // LANES * LANES
    while block < end:
        begin, stop = max(first, block), min(end, block + BLOCK * LANES)
        for i in range((stop - block + LANES - 1) // LANES):
            words[i] = word(stream, _U(block // LANES + i))
        part, part_lanes = arrived[begin - first : stop - first], lanes[begin - block : stop - block]
        for i in range(len(part)):
            count = np.int32(guide[part_lanes[i] >> _SHIFT])
            if count == _UNSETTLED:
                count = _settle(stream, _U(begin + i), part_lanes[i], limits)
            part[i] += weight * (least + count)
        block += BLOCK * LANES
