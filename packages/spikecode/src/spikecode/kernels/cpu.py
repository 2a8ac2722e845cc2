"""numba kernels for CPU tensors; each equals its namesake in `reference` bit for bit.

The kernels release the interpreter lock and the rows are shared out over plain threads, as many as torch uses.

Shapes: R rows, W neurons of a window, K words of a train, Z entries of a tuning table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ddp_utils import row_threads
from torch import Tensor

from spikecode.kernels.plan import Plan, Rows
from spikecode.random_streams import MULTIPLIERS, NEURON_BITS, WORD_BITS

with warnings.catch_warnings():
    # What numba says about its own dependencies must not fail a program that turns warnings into errors.
    warnings.simplefilter("ignore")
    import numba

    from spikecode.kernels.bernoulli_lanes import LANES, bernoulli_lanes

_U = np.uint64
_A, _B = _U(MULTIPLIERS[0]), _U(MULTIPLIERS[1])
_S30, _S27, _S31, _S32, _S16 = _U(30), _U(27), _U(31), _U(32), _U(16)
_ZERO, _UNIT, _ONE, _LOW, _ALL = _U(0), _U(1), _U(1 << 32), _U((1 << 32) - 1), _U((1 << 64) - 1)
_NEURON, _WORD = _U(NEURON_BITS), _U(WORD_BITS)
_EQUILIBRIUM_WORD = _U((1 << (NEURON_BITS - WORD_BITS)) - 1)
_NEURONS_WORTH_A_THREAD = 1 << 14


def jit(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock, with a cache on disk where there is a folder for it."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True)(function)


@jit
def _draw(start, step, neuron, word, part):
    z = start + step * ((neuron << _NEURON) + (word << _WORD) + part)
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


@jit
def _popcount(word):
    word = word - ((word >> _UNIT) & _U(0x5555555555555555))
    word = (word & _U(0x3333333333333333)) + ((word >> _U(2)) & _U(0x3333333333333333))
    word = (word + (word >> _U(4))) & _U(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * _U(0x0101010101010101)) >> _U(56))


@jit
def _bernoulli_row(start, step, first, drive_W, active, n_words, state_L, digits_L, undecided_L, fired_L):
    """The trains of a row's window, word by word of each neuron, in fired_L."""
    lanes = len(drive_W) * n_words
    for w in range(len(drive_W)):
        drive = drive_W[w]
        for k in range(n_words):
            left = active - (k << 6)
            valid = _ALL if left >= 64 else (_UNIT << _U(left)) - _UNIT if left > 0 else _ZERO
            lane = w * n_words + k
            state_L[lane] = start + step * ((_U(first + w) << _NEURON) + (_U(k) << _WORD))
            digits_L[lane] = drive << _S32
            sure = drive >= _ONE
            fired_L[lane] = valid if sure else _ZERO
            undecided_L[lane] = _ZERO if sure or drive == _ZERO else valid
    for lane in range(lanes, len(fired_L)):
        undecided_L[lane] = _ZERO
    for lane in range(0, lanes, LANES):
        bernoulli_lanes(state_L, step, digits_L, undecided_L, fired_L, lane)  # pyright: ignore[reportCallIssue]


@jit
def _set(train_K, t):
    train_K[t >> 6] |= _UNIT << _U(t & 63)


@jit
def _drop_refractory(start, step, neuron, drive, train_K, active, refractory):
    random = (_draw(start, step, neuron, _EQUILIBRIUM_WORD, _ZERO) & _LOW) >> _S16
    whole = (_ONE + _U(refractory) * drive) >> _S16
    free_from = 0
    for left in range(1, refractory + 1):
        if random * whole < (_U(left) * drive >> _S16) << _S16:
            free_from = left
            break
    kept = 0
    for k in range((active + 63) >> 6):
        word = train_K[k]
        out = _ZERO
        while word != _ZERO:
            lowest = word & (~word + _UNIT)
            t = (k << 6) + _popcount(lowest - _UNIT)
            if t >= free_from:
                out |= lowest
                free_from = t + 1 + refractory
                kept += 1
            word ^= lowest
        train_K[k] = out
    return kept


@jit
def _rate(start, step, neuron, drive, train_K, active):
    phase = np.int64(_draw(start, step, neuron, _ZERO, _ZERO) & _LOW)
    advance = np.int64(drive)
    n = (phase + active * advance) >> 32
    for j in range(1, n + 1):
        _set(train_K, ((j << 32) - phase + advance - 1) // advance - 1)
    return n


@jit
def _latency(start, step, neuron, drive, train_K, active):
    t = np.int64((drive + (_draw(start, step, neuron, _ZERO, _ZERO) & _LOW)) >> _S32)
    if t >= active:
        return 0
    _set(train_K, t)
    return active - t


@jit
def _phase(start, step, neuron, drive, train_K, cycles, period):
    statistic = 0
    for c in range(cycles):
        t = np.int64((drive + (_draw(start, step, neuron, _U(c), _ZERO) & _LOW)) >> _S32)
        if t < period:
            _set(train_K, c * period + t)
            statistic += period - t
    return statistic


@jit
def _burst(start, step, neuron, drive, train_K, gap, cycles, period):
    statistic = 0
    for c in range(cycles):
        n = np.int64((drive + (_draw(start, step, neuron, _U(c), _ZERO) & _LOW)) >> _S32)
        for j in range(n):
            _set(train_K, c * period + j * gap)
        statistic += n
    return statistic


@jit
def _shift_or(train_K, by, out_K):
    """out |= train << by over all words; a negative by shifts to the right."""
    n = len(train_K)
    words, bits = by >> 6, _U(by & 63)
    for k in range(n):
        source = k - words
        if 0 <= source < n:
            out_K[k] |= train_K[source] << bits
        if bits != _ZERO and 0 <= source - 1 < n:
            out_K[k] |= train_K[source - 1] >> (_U(64) - bits)


@jit
def _turn(train_K, shift, active, steps, out_K):
    """Put a pause before the active bins and turn the whole by the shift."""
    out_K[:] = _ZERO
    _shift_or(train_K, 1 + shift, out_K)
    left = steps & 63
    if left:
        out_K[-1] &= (_UNIT << _U(left)) - _UNIT
    _shift_or(train_K, shift - active, out_K)


@jit
def _generate_rows(
    start_R, step_R, place_R, first_R, shift_R, drive_Z, spacing, fraction_bits, window, kind, gap, cycles, period,
    active, steps, words_RWK, statistic_RW, words, statistics, first, last,
):  # fmt: skip
    most = len(drive_Z) - 1
    half = 1 << (fraction_bits - 1)
    n_words = (steps + 63) >> 6
    train_K = np.zeros(n_words, np.uint64)
    turned_K = np.zeros(n_words, np.uint64)
    drive_W = np.zeros(window, np.uint64)
    n_lanes = (window * n_words + LANES - 1) // LANES * LANES if kind == 0 else 0
    state_L = np.zeros(n_lanes, np.uint64)
    digits_L = np.zeros(n_lanes, np.uint64)
    undecided_L = np.zeros(n_lanes, np.uint64)
    fired_L = np.zeros(n_lanes, np.uint64)
    for row in range(first, last):
        start, step = start_R[row], step_R[row]
        for w in range(window):
            entry = (abs(place_R[row] - (first_R[row] + w) * spacing) + half) >> fraction_bits
            drive_W[w] = _U(drive_Z[min(entry, most)])
        if kind == 0:
            _bernoulli_row(start, step, first_R[row], drive_W, active, n_words, state_L, digits_L, undecided_L, fired_L)
        if kind == 0 and gap == 0 and steps == active:
            for w in range(window):
                statistic = 0
                for k in range(n_words):
                    word = fired_L[w * n_words + k]
                    statistic += _popcount(word)
                    if words:
                        words_RWK[row, w, k] = word
                if statistics:
                    statistic_RW[row, w] = statistic
            continue
        for w in range(window):
            neuron = first_R[row] + w
            drive = drive_W[w]
            key = _U(neuron)
            statistic = 0
            for k in range(n_words):
                train_K[k] = fired_L[w * n_words + k] if kind == 0 else _ZERO
                statistic += _popcount(train_K[k])
            if kind == 0 and gap > 0:
                statistic = _drop_refractory(start, step, key, drive, train_K, active, gap)
            elif kind == 1:
                statistic = _rate(start, step, key, drive, train_K, active)
            elif kind == 2:
                statistic = _latency(start, step, key, drive, train_K, active)
            elif kind == 3:
                statistic = _phase(start, step, key, drive, train_K, cycles, period)
            elif kind == 4:
                statistic = _burst(start, step, key, drive, train_K, gap, cycles, period)
            if statistics:
                statistic_RW[row, w] = statistic
            if words:
                if steps > active:
                    _turn(train_K, shift_R[row], active, steps, turned_K)
                    for k in range(n_words):
                        words_RWK[row, w, k] = turned_K[k]
                else:
                    for k in range(n_words):
                        words_RWK[row, w, k] = train_K[k]


def over_rows(compiled: Any, arguments: tuple[Any, ...], n_rows: int, n_neurons: int) -> None:
    """Run compiled(*arguments, first, last) over all rows, in as many threads as the work is worth."""
    row_threads.over_rows(compiled, arguments, n_rows, n_neurons // _NEURONS_WORTH_A_THREAD)


def generate(rows: Rows, plan: Plan, *, words: bool, statistic: bool) -> tuple[Tensor | None, Tensor | None]:
    """See `spikecode.kernels.generate`."""
    n_rows = len(rows.place_R)
    words_RWK = torch.empty((n_rows if words else 0), plan.window, plan.words, dtype=torch.int64)
    statistic_RW = torch.empty((n_rows if statistic else 0), plan.window, dtype=torch.int32)
    arguments = (
        rows.start_R.contiguous().numpy().view(np.uint64),
        rows.step_R.contiguous().numpy().view(np.uint64),
        rows.place_R.contiguous().numpy(),
        rows.first_R.long().contiguous().numpy(),
        rows.shift_R.long().contiguous().numpy(),
        plan.drive_Z.numpy(),
        *(plan.spacing, plan.fraction_bits, plan.window, plan.kind, plan.gap, plan.cycles, plan.period),
        *(plan.active, plan.steps),
        words_RWK.numpy().view(np.uint64),
        statistic_RW.numpy(),
        *(words, statistic),
    )
    over_rows(_generate_rows, arguments, n_rows, n_rows * plan.window)
    return words_RWK if words else None, statistic_RW if statistic else None


@jit
def _popcount_rows(words_RK, total_R, first, last):
    for row in range(first, last):
        total = 0
        for k in range(words_RK.shape[1]):
            total += _popcount(words_RK[row, k])
        total_R[row] = total


def count_spikes(words_RK: Tensor) -> Tensor:
    """See `spikecode.kernels.count_spikes`."""
    total_R = torch.empty(len(words_RK), dtype=torch.int32)
    arguments = (words_RK.contiguous().numpy().view(np.uint64), total_R.numpy())
    over_rows(_popcount_rows, arguments, len(words_RK), len(words_RK) // 8)
    return total_R
