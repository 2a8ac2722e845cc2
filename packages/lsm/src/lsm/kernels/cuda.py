"""Triton kernels of one step; what they give are the bits of `lsm.kernels.cpu`: sums are whole numbers.

Everything that depends on the step, the number of spikes among it, is read on the device, so that steps can be put into
a CUDA graph. Not yet timed on a device.

Axes: N neurons, G populations, W steps of the spike history, R receptor rows.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from lsm import store
from lsm.kernels import models, poisson
from lsm.poisson import BITS

_jit: Any = triton.jit
OPTIONS = {"enable_fp_fusion": False}  # a product and a sum are two roundings, as on the CPU

_GOLDEN = tl.constexpr(0x9E3779B97F4A7C15)
_A, _B = tl.constexpr(0xBF58476D1CE4E5B9), tl.constexpr(0x94D049BB133111EB)
_OWN = tl.constexpr(poisson.OWN)
_CONSTANT = tl.constexpr(store.CONSTANT)
_DELTA, _EXPONENTIAL = tl.constexpr(models.LIF_DELTA), tl.constexpr(models.LIF_EXPONENTIAL)
KIND, SOURCE, DELAY, INDEX, DELAYS, POINTERS, SYNAPSES, ROW, WEIGHT, FIELDS = range(10)
_KIND, _SOURCE, _DELAY, _INDEX = tl.constexpr(KIND), tl.constexpr(SOURCE), tl.constexpr(DELAY), tl.constexpr(INDEX)
_DELAYS, _POINTERS, _SYNAPSES = tl.constexpr(DELAYS), tl.constexpr(POINTERS), tl.constexpr(SYNAPSES)
_ROW, _WEIGHT, _FIELDS = tl.constexpr(ROW), tl.constexpr(WEIGHT), tl.constexpr(FIELDS)
assert BITS == 48


@_jit
def _word(stream, j):
    """Word j of a stream; see `lsm.streams.word`."""
    z = stream + (j + 1).to(tl.uint64) * _GOLDEN
    z = (z ^ (z >> 30)) * _A
    z = (z ^ (z >> 27)) * _B
    return z ^ (z >> 31)


@_jit
def deliver(
    segment_ptr, start_ptr, id_ptr, pointer_ptr, target_ptr, synapse_ptr, arrived_ptr, events_ptr, time_ptr,
    n_slots, n_columns, n_neurons, workers,
    MASK: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Let spikes arrive: a program takes every `workers`-th spike of one store and delay."""
    segment_row = segment_ptr + tl.program_id(0).to(tl.int64) * _FIELDS
    emitted = tl.load(time_ptr) - tl.load(segment_row + _DELAY)
    if emitted >= 0:
        slot = emitted % n_slots
        source, kind = tl.load(segment_row + _SOURCE), tl.load(segment_row + _KIND)
        first = tl.load(start_ptr + slot * n_columns + source) + tl.program_id(1)
        last = tl.load(start_ptr + slot * n_columns + source + 1)
        base, weight = tl.load(segment_row + _SYNAPSES), tl.load(segment_row + _WEIGHT).to(tl.int32)
        pointers = pointer_ptr + tl.load(segment_row + _POINTERS) + tl.load(segment_row + _INDEX)
        n_delays = tl.load(segment_row + _DELAYS)
        arrived = arrived_ptr + tl.load(segment_row + _ROW) * n_neurons
        i = first
        while i < last:
            neuron = tl.load(id_ptr + slot * n_neurons + i).to(tl.int64)
            begin = tl.load(pointers + neuron * n_delays)
            end = tl.load(pointers + neuron * n_delays + 1)
            tl.atomic_add(events_ptr, (end - begin).to(tl.int64))
            at = begin
            while at < end:
                each = at + tl.arange(0, BLOCK)
                inside = each < end
                if kind == _CONSTANT:
                    target = tl.load(target_ptr + base + each, inside, 0).to(tl.int32) & MASK
                    tl.atomic_add(arrived + target, tl.zeros_like(target) + weight, inside)
                else:
                    packed = tl.load(synapse_ptr + base + each, inside, 0)
                    target = (packed & MASK).to(tl.int32)
                    tl.atomic_add(arrived + target, (packed >> HALF).to(tl.int32), inside)
                at += BLOCK
            i += workers


@_jit
def drive(
    arrived_ptr, key_ptr, limit_ptr, time_ptr, weight, least, n_limits, first, n, halvings: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Add Poisson counts, drawn as `lsm.kernels.poisson` draws them, to neurons first to first + n - 1 of a row."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    neuron = i.to(tl.uint64)
    stream = _word(tl.load(key_ptr).to(tl.uint64), tl.load(time_ptr))
    lane = (_word(stream, neuron >> 2) >> ((neuron & 3) * 16)) & 0xFFFF
    number = ((lane << 32) | (_word(stream, neuron + _OWN) >> 32)).to(tl.int64)
    low, high = tl.zeros_like(i), tl.zeros_like(i) + n_limits  # limits that are not above the number: low to high
    for _ in range(halvings):
        middle = (low + high) // 2
        searching = low < high
        passed = searching & (tl.load(limit_ptr + middle, searching, 0) <= number)
        low, high = tl.where(passed, middle + 1, low), tl.where(searching & (passed == 0), middle, high)
    at = arrived_ptr + first + i
    tl.store(at, tl.load(at, inside, 0) + weight * (least + low), inside)


@_jit
def update(
    constant_ptr, state_ptr, clock_ptr, arrived_ptr, fired_ptr, first, n, n_neurons,
    MODEL: tl.constexpr, SECOND_ROW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Advance one population, whose first neuron has the global number `first`; see `lsm.kernels.lif`."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    v = tl.load(state_ptr + i, inside, 0.0)
    left = tl.load(clock_ptr + i, inside, 0).to(tl.int32)
    decay, drift, threshold = tl.load(constant_ptr), tl.load(constant_ptr + 1), tl.load(constant_ptr + 2)
    reset, refractory = tl.load(constant_ptr + 3), tl.load(constant_ptr + 4).to(tl.int32)
    at = arrived_ptr + first + i
    arrived = tl.load(at, inside, 0).to(v.dtype)
    tl.store(at, tl.zeros_like(i), inside)
    if MODEL == _DELTA:
        moved = (drift + decay * v) + tl.load(constant_ptr + 5) * arrived
    else:
        current = tl.load(state_ptr + n + i, inside, 0.0)
        moved = decay * v + tl.load(constant_ptr + 7) * current
        current = tl.load(constant_ptr + 6) * current + tl.load(constant_ptr + 5) * arrived
        tl.store(state_ptr + n + i, current, inside)
        if MODEL != _EXPONENTIAL:
            other_at = arrived_ptr + SECOND_ROW * n_neurons + first + i
            other_arrived = tl.load(other_at, inside, 0).to(v.dtype)
            tl.store(other_at, tl.zeros_like(i), inside)
            other = tl.load(state_ptr + 2 * n + i, inside, 0.0)
            moved = moved + tl.load(constant_ptr + 10) * other
            other = tl.load(constant_ptr + 9) * other + tl.load(constant_ptr + 8) * other_arrived
            tl.store(state_ptr + 2 * n + i, other, inside)
        moved = moved + drift
    u = tl.where(left == 0, moved, v)
    spike = u >= threshold
    tl.store(state_ptr + i, tl.where(spike, reset, u), inside)
    left = tl.where(spike, refractory, tl.maximum(left - 1, 0))
    tl.store(clock_ptr + i, left.to(tl.int16), inside)
    tl.store(fired_ptr + first + i, spike.to(tl.int32), inside)


@_jit
def give_inputs(begin_ptr, channel_ptr, fired_ptr, time_ptr, since_ptr, n_steps, first, BLOCK: tl.constexpr):
    """Let the channels of an input population fire that do so in this step; one program."""
    step = tl.load(time_ptr) - tl.load(since_ptr)
    at, end = tl.load(begin_ptr + step), tl.load(begin_ptr + step + 1)
    if step < n_steps:
        while at < end:
            each = at + tl.arange(0, BLOCK)
            inside = each < end
            channel = tl.load(channel_ptr + each, inside, 0)
            tl.store(fired_ptr + first + channel, tl.zeros_like(channel) + 1, inside)
            at += BLOCK


@_jit
def list_fired(
    fired_ptr, rank_ptr, local_ptr, first_ptr, id_ptr, start_ptr, time_ptr, n_slots, n_columns, n_neurons,
    BLOCK: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write the numbers of those that fired, in order, and where each population begins; clear what fired."""
    slot = tl.load(time_ptr) % n_slots
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n_neurons
    fired = tl.load(fired_ptr + i, inside, 0) != 0
    rank = tl.load(rank_ptr + i, inside, 0) - 1
    tl.store(id_ptr + slot * n_neurons + rank, tl.load(local_ptr + i, inside, 0), inside & fired)
    tl.store(fired_ptr + i, tl.zeros_like(i), inside)
    if tl.program_id(0) == 0:
        g = tl.arange(0, COLUMNS)
        first = tl.load(first_ptr + g, g < n_columns, 0)
        begin = tl.load(rank_ptr + first - 1, (g < n_columns) & (first > 0), 0)
        tl.store(start_ptr + slot * n_columns + g, begin, g < n_columns)
