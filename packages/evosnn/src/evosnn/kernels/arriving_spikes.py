"""Spikes of afferents, and the edges that spikes reach: in numba, for the kernel of CPU tensors.

Axes as in `cpu`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evosnn import network_parameters as parameter
from evosnn.afferents import GOLDEN, MULTIPLIERS
from evosnn.kernels import lanes
from evosnn.kernels.numba_jit import jit
from evosnn.network_state import LAST_STEP

HISTORY = LAST_STEP + 1
# intrinsics: numba passes the first argument, which type checkers miss
_of_lanes: Any = lanes
at_least, choose, load, store, spread = (
    _of_lanes.at_least,
    _of_lanes.choose,
    _of_lanes.load,
    _of_lanes.store,
    _of_lanes.spread,
)
LANES = lanes.LANES
_U = np.uint64
_A, _B, _GOLDEN = _U(MULTIPLIERS[0]), _U(MULTIPLIERS[1]), _U(GOLDEN)
_S30, _S27, _S31, _S40 = _U(30), _U(27), _U(31), _U(40)
_SOURCE, _DELAY = parameter.SOURCE, parameter.DELAY


@jit
def _draw(z):
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


@jit
def _accumulate(p, drive_PC, phase_PC, steps, zero, one, fired_L, bits_S):
    """Spikes of afferents that accumulate their drive, eight at a time; see `afferent_bits`."""
    n_afferents = drive_PC.shape[1]
    zeros, ones = spread(zero), spread(one)
    begin = 0
    while begin + LANES <= n_afferents:
        drive, phase = load(drive_PC, (p, begin)), load(phase_PC, (p, begin))
        drive = choose(at_least(drive, zeros), drive, zeros)
        drive = choose(at_least(drive, ones), ones, drive)
        bits, this_step = zeros, ones
        for _ in range(steps):
            phase = phase + drive
            z = choose(at_least(phase, ones), ones, zeros)
            phase = phase - z
            bits = bits + z * this_step
            this_step = this_step + this_step
        store(phase_PC, (p, begin), phase)
        store(fired_L, (0,), bits)
        for lane in range(LANES):
            bits_S[begin + lane] = np.int64(fired_L[lane])
        begin += LANES
    for c in range(begin, n_afferents):
        drive, phase = min(max(drive_PC[p, c], zero), one), phase_PC[p, c]
        bits = 0
        for t in range(steps):
            phase += drive
            fired = phase >= one
            phase -= one if fired else zero
            bits |= np.int64(fired) << t
        phase_PC[p, c] = phase
        bits_S[c] = bits


@jit
def afferent_bits(p, drive_PC, phase_PC, stream, mode, time, steps, zero, one, fired_L, bits_S):
    """Spikes of all afferents in the steps of a chunk, the first step in the lowest bit."""
    if mode == 0:
        _accumulate(p, drive_PC, phase_PC, steps, zero, one, fired_L, bits_S)
        return
    n_afferents = drive_PC.shape[1]
    for c in range(n_afferents):
        bits = 0
        drive = drive_PC[p, c]
        if mode == 1:
            for t in range(steps):
                counter = _U((time + t) * n_afferents + c)
                random = np.int64(_draw(stream + counter * _GOLDEN) >> _S40)
                bits |= np.int64(random * 2.0**-24 < drive) << t
        elif drive > zero:
            bits = (1 << steps) - 1
        bits_S[c] = bits


@jit
def _transposed(x):
    """Eight bytes of a word, rows of a matrix of bits, turned into its columns (Warren, Hacker's Delight, 7-3)."""
    t = (x ^ (x >> _U(7))) & _U(0x00AA00AA00AA00AA)
    x = x ^ t ^ (t << _U(7))
    t = (x ^ (x >> _U(14))) & _U(0x0000CCCC0000CCCC)
    x = x ^ t ^ (t << _U(14))
    t = (x ^ (x >> _U(28))) & _U(0x00000000F0F0F0F0)
    return x ^ t ^ (t << _U(28))


@jit
def mark_arrivals(p, n_edges, edge_PJE, history_PS, bits_S, steps, words_TW):
    """Mark the edges that earlier spikes, and those of the afferents, reach in each step of a chunk."""
    for t in range(steps):
        for w in range(words_TW.shape[1]):
            words_TW[t, w] = 0
    for begin in range(0, n_edges, 8):
        early, late = _U(0), _U(0)
        for lane in range(8):  # of the lanes beyond the last edge nothing is taken
            source, delay = edge_PJE[p, _SOURCE, begin + lane], edge_PJE[p, _DELAY, begin + lane]
            arrivals = (history_PS[p, source] >> (HISTORY - delay)) | (bits_S[source] << delay)
            early |= _U(arrivals & 255) << _U(8 * lane)
            late |= _U((arrivals >> 8) & 255) << _U(8 * lane)
        early, late = _transposed(early), _transposed(late)
        real, w, at = 255 >> max(0, begin + 8 - n_edges), begin >> 6, begin & 63
        for t in range(min(steps, 8)):
            words_TW[t, w] |= (np.int64(early >> _U(8 * t)) & real) << at
        for t in range(8, steps):
            words_TW[t, w] |= (np.int64(late >> _U(8 * (t - 8))) & real) << at
