"""Triton kernels for CUDA tensors; they give the same bits as `reference`.

A program makes a block of neurons of one row, word by word. 64-bit whole numbers only, so no rounding is involved.

Shapes: R rows, W neurons of a window, K words of a train, Z entries of a tuning table.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from spikecode.kernels.plan import Plan, Rows
from spikecode.kernels.turn import turn_words
from spikecode.random_streams import MULTIPLIERS, NEURON_BITS, WORD_BITS

_jit: Any = triton.jit
_A = tl.constexpr(MULTIPLIERS[0])
_B = tl.constexpr(MULTIPLIERS[1])
_NEURON = tl.constexpr(1 << NEURON_BITS)
_WORD = tl.constexpr(1 << WORD_BITS)
_EQUILIBRIUM_WORD = tl.constexpr((1 << (NEURON_BITS - WORD_BITS)) - 1)
_LOW = tl.constexpr((1 << 32) - 1)
_PAIRS = tl.constexpr(0x5555555555555555)
_FOURS = tl.constexpr(0x3333333333333333)
_EIGHTS = tl.constexpr(0x0F0F0F0F0F0F0F0F)
_OPTIONS = {"enable_fp_fusion": False}  # there are no floats; Triton warns where it is left open
_BYTES = tl.constexpr(0x0101010101010101)


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@_jit
def _draw(start, step, neuron, word, part):
    """64 random bits of each neuron."""
    counter = neuron * _NEURON + word * _WORD + part
    z = start + step * counter.to(tl.uint64)
    z = (z ^ (z >> 30)) * _A
    z = (z ^ (z >> 27)) * _B
    return z ^ (z >> 31)


@_jit
def _popcount(word):
    word = word - ((word >> 1) & _PAIRS)
    word = (word & _FOURS) + ((word >> 2) & _FOURS)
    word = (word + (word >> 4)) & _EIGHTS
    return ((word * _BYTES) >> 56).to(tl.int32)


@_jit
def _bernoulli_word(start, step, neuron, word, drive, n_bins, inside):
    """Compare 32 random bits with the drive in 64 bins at once, until every bin has met one that differs."""
    ones = tl.zeros_like(drive).to(tl.uint64) - 1
    valid = ones >> (64 - tl.minimum(n_bins, 64)).to(tl.uint64)
    sure = (drive >> 32) > 0
    fired = tl.where(sure, valid, ones - ones)
    undecided = tl.where(sure | (drive == 0) | (inside == 0), ones - ones, valid)
    part = 0
    while (part < 32) & (tl.max((undecided != 0).to(tl.int32), axis=0) > 0):  # pyright: ignore[reportOperatorIssue]
        random = _draw(start, step, neuron, word, part)
        digit = tl.where(((drive >> (31 - part)) & 1) == 1, ones, ones - ones)
        fired = fired | (undecided & (random ^ ones) & digit)
        undecided = undecided & ((random ^ digit) ^ ones)
        part += 1
    return fired


@_jit
def _generate_kernel(
    start_ptr,
    step_ptr,
    place_ptr,
    first_ptr,
    drive_ptr,
    words_ptr,
    statistic_ptr,
    spacing,
    most,
    window,
    gap,
    cycles,
    period,
    active,
    n_words,
    FRACTION_BITS: tl.constexpr,
    KIND: tl.constexpr,
    REFRACTORY: tl.constexpr,
    WORDS: tl.constexpr,
    STATISTIC: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    w = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = w < window
    start = tl.load(start_ptr + row).to(tl.uint64)
    step = tl.load(step_ptr + row).to(tl.uint64)
    neuron = tl.load(first_ptr + row).to(tl.int64) + w
    distance = tl.abs(tl.load(place_ptr + row) - neuron * spacing) + (1 << (FRACTION_BITS - 1))  # pyright: ignore[reportOperatorIssue]
    entry = tl.minimum(distance >> FRACTION_BITS, most)
    drive = tl.load(drive_ptr + entry, mask=inside, other=0)
    statistic = tl.zeros([BLOCK], tl.int32)
    number = (drive + (_draw(start, step, neuron, 0, 0) & _LOW).to(tl.int64)) >> 32
    level = (_draw(start, step, neuron, 0, 0) & _LOW).to(tl.int64)
    blocked = tl.zeros([BLOCK], tl.int64)
    if REFRACTORY:
        random = (_draw(start, step, neuron, _EQUILIBRIUM_WORD, 0) & _LOW).to(tl.int64) >> 16
        whole = ((1 << 32) + gap * drive) >> 16
        for left in range(1, gap + 1):
            chosen = (random * whole < ((left * drive) >> 16) << 16) & (blocked == 0)
            blocked = tl.where(chosen, left, blocked)
    for k in range(n_words):
        n_bins = tl.minimum(active - 64 * k, 64)
        train = tl.zeros([BLOCK], tl.int64).to(tl.uint64)
        if KIND == 0 and n_bins > 0:
            train = _bernoulli_word(start, step, neuron, k, drive, n_bins, inside)
        if KIND == 0 and not REFRACTORY:
            statistic += _popcount(train)
        else:
            kept = tl.zeros([BLOCK], tl.int64).to(tl.uint64)
            for b in range(n_bins):
                t = 64 * k + b
                fires = neuron < 0
                if KIND == 0:
                    fires = (((train >> b) & 1) == 1) & (blocked == 0)
                    blocked = tl.where(fires, gap, tl.maximum(blocked - 1, 0))
                    statistic += fires.to(tl.int32)
                if KIND == 1:
                    fires = ((level + drive) >> 32) > (level >> 32)
                    level += drive
                    statistic += fires.to(tl.int32)
                if KIND == 2:
                    fires = number == t
                    statistic += fires.to(tl.int32) * (active - t)
                if KIND >= 3:
                    cycle = t // period
                    m = t - cycle * period
                    if m == 0:
                        number = (drive + (_draw(start, step, neuron, cycle, 0) & _LOW).to(tl.int64)) >> 32
                    if KIND == 3:
                        fires = (number == m) & (cycle < cycles)
                        statistic += fires.to(tl.int32) * (period - m)
                    else:
                        fires = (m % gap == 0) & (m // gap < number) & (cycle < cycles)
                        statistic += fires.to(tl.int32)
                kept = kept | (fires.to(tl.uint64) << b)
            train = kept
        if WORDS:
            tl.store(words_ptr + (row * window + w) * n_words + k, train.to(tl.int64), mask=inside)
    if STATISTIC:
        tl.store(statistic_ptr + row * window + w, statistic, mask=inside)


def generate(rows: Rows, plan: Plan, *, words: bool, statistic: bool) -> tuple[Tensor | None, Tensor | None]:
    """See `spikecode.kernels.generate`."""
    n_rows, device = len(rows.place_R), rows.place_R.device
    words_RWK = torch.empty((n_rows if words else 0, plan.window, plan.words), dtype=torch.int64, device=device)
    statistic_RW = torch.empty((n_rows if statistic else 0, plan.window), dtype=torch.int32, device=device)
    block = 128
    if n_rows:
        with _device_of(rows.place_R):
            _generate_kernel[(n_rows, triton.cdiv(plan.window, block))](
                rows.start_R.contiguous(),
                rows.step_R.contiguous(),
                rows.place_R.contiguous(),
                rows.first_R.contiguous(),
                plan.drive_Z,
                words_RWK,
                statistic_RW,
                plan.spacing,
                len(plan.drive_Z) - 1,
                plan.window,
                plan.gap,
                plan.cycles,
                plan.period,
                plan.active,
                plan.words,
                FRACTION_BITS=plan.fraction_bits,
                KIND=plan.kind,
                REFRACTORY=plan.kind == 0 and plan.gap > 0,
                WORDS=words,
                STATISTIC=statistic,
                BLOCK=block,
                **_OPTIONS,
            )
    if words and plan.steps > plan.active:
        words_RWK = turn_words(words_RWK, rows.shift_R, plan)
    return words_RWK if words else None, statistic_RW if statistic else None
