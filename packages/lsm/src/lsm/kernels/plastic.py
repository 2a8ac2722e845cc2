"""Synapses that learn, in the partition that holds them.

A synapse lives by its own clock, which its delay d sets back: a source's spike reaches it d steps after it was fired,
when the weight is delivered, and a target's spike after 2 d steps. So the pairs are those of a delay that lies wholly
on the dendrite's side, and a weight never waits. In a step come, in this order: the dopamine; the spikes of targets,
which strengthen; the spikes of sources, which weaken and deliver; then the traces take in both.

Axes: L plastic projections, P partitions.
"""

from __future__ import annotations

import math

import numpy as np

from lsm.decay_table import FINE
from lsm.kernels import plastic_arrays
from lsm.kernels.numba_jit import inner

_FINE = FINE - 1
_SHIFT = FINE.bit_length() - 1
_STORE, _PRE, _POST, _DELAY = plastic_arrays.STORE, plastic_arrays.PRE, plastic_arrays.POST, plastic_arrays.DELAY
_ROW, _GATED, _POST_BEGIN = plastic_arrays.ROW, plastic_arrays.GATED, plastic_arrays.POST_BEGIN
_PLUS, _N_PLUS, _MINUS, _N_MINUS = (
    plastic_arrays.PLUS,
    plastic_arrays.N_PLUS,
    plastic_arrays.MINUS,
    plastic_arrays.N_MINUS,
)
_DOPAMINE, _DOPAMINE_AGE = plastic_arrays.DOPAMINE, plastic_arrays.DOPAMINE_AGE
_LEFT, _INTERVAL = plastic_arrays.LEFT, plastic_arrays.INTERVAL
_UP, _DOWN, _MU_PLUS, _MU_MINUS = (
    plastic_arrays.UP, plastic_arrays.DOWN, plastic_arrays.MU_PLUS, plastic_arrays.MU_MINUS,
)  # fmt: skip
_LOW, _HIGH, _W_MAX, _PER_UNIT = plastic_arrays.LOW, plastic_arrays.HIGH, plastic_arrays.W_MAX, plastic_arrays.PER_UNIT
_DECAY_N, _PER_DOPAMINE = plastic_arrays.DECAY_N, plastic_arrays.PER_DOPAMINE
_PER_BASELINE, _RELEASE = plastic_arrays.PER_BASELINE, plastic_arrays.RELEASE
_LEVEL, _INTEGRAL = plastic_arrays.LEVEL, plastic_arrays.INTEGRAL


@inner
def power(share, mu, real):
    """share^mu in the type `real`; the general case by way of float64."""
    if mu == real(1):
        return share
    if mu == real(0):
        return real(1)
    return real(math.pow(np.float64(share), np.float64(mu)))


@inner
def _left(trace, k, fine, coarse, begin, n):
    """What is left of a trace after k steps."""
    return trace * (fine[k & _FINE] * coarse[begin + min(k >> _SHIFT, n - 1)])


@inner
def _settle(w0, c0, integral, low, high):
    return min(max(w0 + c0 * integral, low), high)


@inner
def release(learner, p, t, stores, plastic, spikes):
    """Bring the dopamine of a partition one step on; where an interval ends, settle its synapses."""
    table, constant, level = plastic.table_LX[learner], plastic.constant_LK[learner], plastic.level_LPX[learner, p]
    real = plastic.constant_LK.dtype.type
    if plastic.age_LP[learner, p] == table[_INTERVAL]:
        store, begin = table[_STORE], plastic.eligible_LP[learner, p]
        at = stores.synapse_SP[store, p]
        integral, left = real(level[_INTEGRAL]), real(plastic.left[table[_LEFT] + table[_INTERVAL]])
        for e in range(plastic.eligible_LP[learner, p + 1] - begin):
            c0 = plastic.eligibility[begin + e]
            w = _settle(stores.learning_weights[at + e], c0, integral, constant[_LOW], constant[_HIGH])
            stores.learning_weights[at + e] = w
            plastic.eligibility[begin + e] = c0 * left
        level[_INTEGRAL], plastic.age_LP[learner, p] = 0.0, 0
    of_step = plastic.dopamine_LD[learner]
    change = level[_LEVEL] * of_step[_PER_DOPAMINE] - of_step[_PER_BASELINE]
    level[_INTEGRAL] += plastic.left[table[_LEFT] + plastic.age_LP[learner, p]] * change
    level[_LEVEL] *= of_step[_DECAY_N]
    plastic.age_LP[learner, p] += 1
    emitted = t - table[_DOPAMINE_AGE]
    if table[_DOPAMINE] >= 0 and emitted >= 0:
        slot, g, released = emitted % spikes.start_WPG.shape[0], table[_DOPAMINE], 0
        for q in range(spikes.start_WPG.shape[1]):
            released += spikes.start_WPG[slot, q, g + 1] - spikes.start_WPG[slot, q, g]
        level[_LEVEL] += released * of_step[_RELEASE]


@inner
def strengthen(learner, p, t, neurons, stores, plastic, spikes):
    """Let the spikes of targets reach their synapses."""
    table, constant = plastic.table_LX[learner], plastic.constant_LK[learner]
    emitted = t - 2 * table[_DELAY]
    if emitted < 0:
        return
    slot, g, gated = emitted % spikes.start_WPG.shape[0], table[_POST], table[_GATED] != 0
    real = plastic.constant_LK.dtype.type
    one, w_max = real(1), constant[_W_MAX]
    at, index = stores.synapse_SP[table[_STORE], p], plastic.index_LP[learner, p]
    c_at, pre = plastic.eligible_LP[learner, p], plastic.pre_LP[learner, p]
    integral, growth = real(plastic.level_LPX[learner, p, _INTEGRAL]), one
    if gated:
        growth = real(plastic.growth[table[_LEFT] + plastic.age_LP[learner, p]])
    for i in range(spikes.start_WPG[slot, p, g], spikes.start_WPG[slot, p, g + 1]):
        target = plastic.incoming_LP[learner, p] + spikes.id_WPN[slot, p, i] - neurons.first_PG[p, g]
        for j in range(index + plastic.incoming[target], index + plastic.incoming[target + 1]):
            e, source = plastic.place[j], pre + plastic.source[j]
            k = t - plastic.pre_last[source]
            trace = _left(
                plastic.pre_trace[source], k, plastic.fine_L2J[learner, 0], plastic.coarse, table[_PLUS], table[_N_PLUS]
            )
            w = stores.learning_weights[at + e]
            if gated:
                c0 = plastic.eligibility[c_at + e]
                now = _settle(w, c0, integral, constant[_LOW], constant[_HIGH])
                c0 = c0 + (constant[_UP] * trace) * growth
                plastic.eligibility[c_at + e] = c0
                stores.learning_weights[at + e] = now - c0 * integral
            else:
                share = w / w_max
                share = share + (constant[_UP] * power(one - share, constant[_MU_PLUS], real)) * trace
                stores.learning_weights[at + e] = min(share, one) * w_max


@inner
def weaken(learner, p, t, neurons, stores, plastic, spikes, arrived_RN):
    """Let the spikes of sources reach their synapses, which deliver; give the number of synapses."""
    table, constant = plastic.table_LX[learner], plastic.constant_LK[learner]
    emitted, events = t - table[_DELAY], 0
    if emitted < 0:
        return events
    slot, g, gated = emitted % spikes.start_WPG.shape[0], table[_PRE], table[_GATED] != 0
    real = plastic.constant_LK.dtype.type
    one, w_max, per_unit = real(1), constant[_W_MAX], constant[_PER_UNIT]
    at, c_at = stores.synapse_SP[table[_STORE], p], plastic.eligible_LP[learner, p]
    pointers = stores.pointers[stores.pointer_SP[table[_STORE], p] :]
    arrived_N, post = arrived_RN[table[_ROW]], table[_POST]
    shift = table[_POST_BEGIN] + neurons.first_PG[p, post] - neurons.local_PG[p, post]
    integral, growth = real(plastic.level_LPX[learner, p, _INTEGRAL]), one
    if gated:
        growth = real(plastic.growth[table[_LEFT] + plastic.age_LP[learner, p]])
    for q in range(spikes.start_WPG.shape[1]):
        for i in range(spikes.start_WPG[slot, q, g], spikes.start_WPG[slot, q, g + 1]):
            source = spikes.id_WPN[slot, q, i]
            begin, end = np.int64(pointers[source]), np.int64(pointers[source + 1])
            events += end - begin
            for e in range(begin, end):
                local = np.int64(stores.learning_targets[at + e])
                target = shift + local
                k = t - plastic.post_last[target]
                trace = _left(
                    plastic.post_trace[target],
                    k,
                    plastic.fine_L2J[learner, 1],
                    plastic.coarse,
                    table[_MINUS],
                    table[_N_MINUS],
                )
                w = stores.learning_weights[at + e]
                if gated:
                    c0 = plastic.eligibility[c_at + e]
                    now = _settle(w, c0, integral, constant[_LOW], constant[_HIGH])
                    c0 = c0 - (constant[_DOWN] * trace) * growth
                    plastic.eligibility[c_at + e] = c0
                    stores.learning_weights[at + e] = now - c0 * integral
                else:
                    share = w / w_max
                    share = share - (constant[_DOWN] * power(share, constant[_MU_MINUS], real)) * trace
                    now = max(share, one - one) * w_max
                    stores.learning_weights[at + e] = now
                arrived_N[local] += np.int32(np.rint(now * per_unit))
    return events


@inner
def _take_in(t, spikes, slot, q, g, begin, trace_n, last_n, fine, coarse, coarse_begin, n):
    """Add the spikes of one partition to their traces."""
    for i in range(spikes.start_WPG[slot, q, g], spikes.start_WPG[slot, q, g + 1]):
        at = begin + spikes.id_WPN[slot, q, i]
        left = _left(trace_n[at], t - last_n[at], fine, coarse, coarse_begin, n)
        trace_n[at] = left + trace_n.dtype.type(1)
        last_n[at] = t


@inner
def take_in(learner, p, t, plastic, spikes):
    """Let the traces of a partition take in what has reached the synapses in this step."""
    table, n_slots = plastic.table_LX[learner], spikes.start_WPG.shape[0]
    fine_2J, coarse = plastic.fine_L2J[learner], plastic.coarse
    before, after = t - table[_DELAY], t - 2 * table[_DELAY]
    if before >= 0:
        for q in range(spikes.start_WPG.shape[1]):
            _take_in(
                t, spikes, before % n_slots, q, table[_PRE], plastic.pre_LP[learner, p], plastic.pre_trace,
                plastic.pre_last, fine_2J[0], coarse, table[_PLUS], table[_N_PLUS],
            )  # fmt: skip
    if after >= 0:
        _take_in(
            t, spikes, after % n_slots, p, table[_POST], table[_POST_BEGIN], plastic.post_trace, plastic.post_last,
            fine_2J[1], coarse, table[_MINUS], table[_N_MINUS],
        )  # fmt: skip


@inner
def step(p, t, neurons, stores, plastic, spikes, arrived_RN):
    """All plastic projections of partition p in step t; give the number of synapses that spikes went through."""
    events = 0
    for learner in range(plastic.table_LX.shape[0]):
        if plastic.table_LX[learner, _GATED] != 0:
            release(learner, p, t, stores, plastic, spikes)
        strengthen(learner, p, t, neurons, stores, plastic, spikes)
        events += weaken(learner, p, t, neurons, stores, plastic, spikes, arrived_RN)
        take_in(learner, p, t, plastic, spikes)
    return events
