"""All steps of a network on the CPU, in threads that own partitions.

Between two barriers a thread takes each of its partitions through as many steps as the shortest delay lasts: no spike
of these steps can arrive before their end, so what arrives in a step is known when it begins. In every step

    deliver   add the segment of each spike whose delay ends now to the sums of what arrives
    drive     add the external spikes
    update    advance the neurons by one step; list those that fire

Sums are whole numbers, so nothing depends on how neurons are dealt to partitions and threads.
"""

from __future__ import annotations

import numpy as np

from lsm import store
from lsm.kernels import (
    adaptive_lif,
    atomics,
    barrier,
    conductance_lif,
    deliver,
    izhikevich,
    lif,
    models,
    plastic,
    poisson,
    short_term,
)
from lsm.kernels.numba_jit import jit
from lsm.kernels.streams import word

_SOURCE, _KIND, _FIRST_DELAY, _N_DELAYS = store.SOURCE, store.KIND, store.FIRST_DELAY, store.N_DELAYS
_ROW, _WEIGHT, _FACTOR = store.ROW, store.WEIGHT, store.FACTOR
_CONSTANT, _PLASTIC = store.CONSTANT, store.PLASTIC
_INPUT, _LIF_DELTA = models.INPUT, models.LIF_DELTA
_LIF_EXPONENTIAL, _LIF_TWO_EXPONENTIALS = models.LIF_EXPONENTIAL, models.LIF_TWO_EXPONENTIALS
_delta, _exponential, _two_exponentials = lif.delta, lif.exponential, lif.two_exponentials
_constant, _weighted, _drive, _wait = (
    deliver.constant,
    deliver.weighted,
    poisson.drive,
    barrier.wait,
)

_scaled, _weighted_scaled, _short_term, _OF_STATE = (
    short_term.scaled,
    short_term.weighted,
    short_term.spike,
    short_term.SOURCE,
)
_prefetch, _AHEAD = atomics.prefetch, 2  # spikes whose segments are asked for in advance
_learn = plastic.step


@jit
def deliver_spikes(p, t, stores, spikes, states, arrived_RN):
    """Let the spikes arrive in partition p that are due in step t; give the number of synapses."""
    n_slots, n_partitions = spikes.start_WPG.shape[0], spikes.start_WPG.shape[1]
    events = 0
    half = 4 * stores.synapses.itemsize
    for s in range(stores.table_SF.shape[0]):
        source, kind = stores.table_SF[s, _SOURCE], stores.table_SF[s, _KIND]
        first_delay, n_delays = stores.table_SF[s, _FIRST_DELAY], stores.table_SF[s, _N_DELAYS]
        weight, factor = np.int32(stores.table_SF[s, _WEIGHT]), stores.table_SF[s, _FACTOR]
        if kind == _PLASTIC:
            continue
        arrived_N = arrived_RN[stores.table_SF[s, _ROW]]
        pointers = stores.pointers[stores.pointer_SP[s, p] :]
        base = stores.synapse_SP[s, p]
        for d in range(n_delays):
            emitted = t - first_delay - d
            if emitted < 0:
                break
            slot = emitted % n_slots
            for q in range(n_partitions):
                ids, last = spikes.id_WPN[slot, q], spikes.start_WPG[slot, q, source + 1]
                for i in range(spikes.start_WPG[slot, q, source], last):
                    ahead = base + pointers[ids[min(i + _AHEAD, last - 1)] * n_delays + d]
                    if kind == _CONSTANT:
                        _prefetch(stores.targets, ahead)
                    else:
                        _prefetch(stores.synapses, ahead)
                    segment = ids[i] * n_delays + d
                    begin, end = base + pointers[segment], base + pointers[segment + 1]
                    events += end - begin
                    if states is not None:  # left out of the compiled code where there are none
                        if factor >= 0:
                            part = states.factor_FWPN[factor, slot, q, i]
                            if kind == _CONSTANT:
                                _constant(arrived_N, stores.targets[begin:end], _scaled(weight, part))
                            else:
                                _weighted_scaled(arrived_N, stores.synapses[begin:end], half, part)
                            continue
                    if kind == _CONSTANT:
                        _constant(arrived_N, stores.targets[begin:end], weight)
                    else:
                        _weighted(arrived_N, stores.synapses[begin:end], half)
    return events


@jit
def drive(p, t, neurons, drives, arrived_RN):
    """Add the external spikes of step t in partition p."""
    for d in range(drives.table_DF.shape[0]):
        g, row, weight = drives.table_DF[d, 0], drives.table_DF[d, 1], np.int32(drives.table_DF[d, 2])
        least, begin, end = np.int32(drives.table_DF[d, 3]), drives.table_DF[d, 4], drives.table_DF[d, 5]
        arrived = arrived_RN[row, neurons.local_PG[p, g] : neurons.local_PG[p, g + 1]]
        stream = word(drives.key_D[d], np.uint64(t))
        _drive(stream, drives.guide_D[d], drives.limits[begin:end], least, weight, neurons.first_PG[p, g], arrived)


@jit
def update(p, g, neurons, arrived_RN, fired):
    """Advance population g in partition p by one step."""
    local, n = neurons.local_PG[p, g], neurons.local_PG[p, g + 1] - neurons.local_PG[p, g]
    first, size = neurons.first_PG[p, g], neurons.first_PG[-1, g]
    c, model = neurons.constant_GK[g], neurons.model_G[g]
    clock = neurons.clock[neurons.clock_G[g] + first :][:n]
    arrived, arrived_in = arrived_RN[0, local : local + n], arrived_RN[-1, local : local + n]
    begin = neurons.state_G[g] + first
    v, second, third = neurons.state[begin:][:n], neurons.state[begin + size :][:n], neurons.state[begin + 2 * size :][:n]
    if model == _LIF_DELTA:
        _delta(c, v, clock, arrived, fired)
    elif model == _LIF_EXPONENTIAL:
        _exponential(c, v, second, clock, arrived, fired)
    elif model == _LIF_TWO_EXPONENTIALS:
        _two_exponentials(c, v, second, third, clock, arrived, arrived_in, fired)


@jit
def list_fired(fired, n, first, out, at):
    """Append first + i for every i below n that fired; give the new length."""
    words = fired.view(np.uint64)
    for k in range((n + 7) >> 3):
        if words[k] != 0:
            for i in range(8 * k, min(8 * k + 8, n)):
                if fired[i]:
                    out[at] = first + i
                    at += 1
    return at


@jit
def list_inputs(inputs, g, t, first, last, out, at):
    """Append the channels of population g from first to last - 1 that spike in step t of the call."""
    for i in range(inputs.start_GT[g, t], inputs.start_GT[g, t + 1]):
        if first <= inputs.id_n[i] < last:
            out[at] = inputs.id_n[i]
            at += 1
    return at


@jit
def run_partition(p, t, since, neurons, stores, drives, spikes, states, learning, inputs, arrived_RN, fired):
    """Take partition p through step t; give the number of synapses that spikes went through."""
    events = deliver_spikes(p, t, stores, spikes, states, arrived_RN)
    if learning is not None:
        events += _learn(p, t, neurons, stores, learning, spikes, arrived_RN)
    drive(p, t, neurons, drives, arrived_RN)
    slot = t % spikes.start_WPG.shape[0]
    start_G, id_N = spikes.start_WPG[slot, p], spikes.id_WPN[slot, p]
    at = 0
    for g in range(len(neurons.model_G)):
        start_G[g] = at
        first, last = neurons.first_PG[p, g], neurons.first_PG[p + 1, g]
        if neurons.model_G[g] == _INPUT:
            at = list_inputs(inputs, g, t - since, first, last, id_N, at)
        else:
            update(p, g, neurons, arrived_RN, fired)
            at = list_fired(fired, last - first, first, id_N, at)
    start_G[-1] = at
    if states is not None:
        for f in range(states.table_FX.shape[0]):
            g = states.table_FX[f, _OF_STATE]
            _short_term(f, t, states, id_N, start_G[g], start_G[g + 1], states.factor_FWPN[f, slot, p])
    return events


@jit
def run(thread, n_threads, since, n_steps, stride, neurons, stores, drives, spikes, states, learning, inputs, work):
    """Take the partitions of a thread through `n_steps` steps from step `since`, `stride` steps between barriers."""
    arrived_RN, fired = work.arrived_TRN[thread], work.fired_TN[thread]
    events, arrivals = 0, 0
    for begin in range(since, since + n_steps, stride):
        for p in range(thread, len(neurons.local_PG), n_threads):
            for t in range(begin, min(begin + stride, since + n_steps)):
                events += run_partition(p, t, since, neurons, stores, drives, spikes, states, learning, inputs, arrived_RN, fired)
        arrivals += n_threads
        if n_threads > 1:
            _wait(work.turn, arrivals)
    work.events_T[thread] += events
