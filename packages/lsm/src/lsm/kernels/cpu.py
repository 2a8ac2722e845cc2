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

from lsm.kernels import barrier, deliver, models, plastic, poisson, short_term, update
from lsm.kernels.numba_jit import inner, jit
from lsm.kernels.streams import word


@inner
def drive(p, t, neurons, drives, arrived_RN):
    """Add the external spikes of step t in partition p."""
    for d in range(drives.table_DF.shape[0]):
        g, row, weight = drives.table_DF[d, 0], drives.table_DF[d, 1], np.int32(drives.table_DF[d, 2])
        least, begin, end = np.int32(drives.table_DF[d, 3]), drives.table_DF[d, 4], drives.table_DF[d, 5]
        arrived = arrived_RN[row, neurons.local_PG[p, g] : neurons.local_PG[p, g + 1]]
        stream = word(drives.key_D[d], np.uint64(t))
        poisson.drive(
            stream, drives.guide_D[d], drives.limits[begin:end], least, weight, neurons.first_PG[p, g], arrived
        )


@inner
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


@inner
def list_inputs(inputs, g, t, first, last, out, at):
    """Append the channels of population g from first to last - 1 that spike in step t of the call."""
    for i in range(inputs.start_GT[g, t], inputs.start_GT[g, t + 1]):
        if first <= inputs.id_n[i] < last:
            out[at] = inputs.id_n[i]
            at += 1
    return at


@inner
def run_partition(p, t, since, neurons, stores, drives, spikes, states, learning, inputs, arrived_RN, fired):
    """Take partition p through step t; give the number of synapses that spikes went through."""
    events = deliver.spikes_due(p, t, stores, spikes, states, arrived_RN)
    if learning is not None:
        events += plastic.step(p, t, neurons, stores, learning, spikes, arrived_RN)
    drive(p, t, neurons, drives, arrived_RN)
    slot = t % spikes.start_WPG.shape[0]
    start_G, id_N = spikes.start_WPG[slot, p], spikes.id_WPN[slot, p]
    at = 0
    for g in range(len(neurons.model_G)):
        start_G[g] = at
        first, last = neurons.first_PG[p, g], neurons.first_PG[p + 1, g]
        if neurons.model_G[g] == models.INPUT:
            at = list_inputs(inputs, g, t - since, first, last, id_N, at)
        else:
            update.update(p, g, neurons, arrived_RN, fired)
            at = list_fired(fired, last - first, first, id_N, at)
    start_G[-1] = at
    if states is not None:
        for f in range(states.table_FX.shape[0]):
            g = states.table_FX[f, short_term.SOURCE]
            short_term.spike(f, t, states, id_N, start_G[g], start_G[g + 1], states.factor_FWPN[f, slot, p])
    return events


@jit
def run(
    thread, n_threads, first, last, since, n_steps, stride, neurons, stores, drives, spikes, states, learning, inputs,
    work,
):  # fmt: skip
    """Take a thread's share of partitions first to last - 1 through `n_steps` steps from step `since`.

    There are `stride` steps between barriers.
    """
    arrived_RN, fired = work.arrived_TRN[thread], work.fired_TN[thread]
    events, arrivals = 0, 0
    for begin in range(since, since + n_steps, stride):
        for p in range(first + thread, last, n_threads):
            for t in range(begin, min(begin + stride, since + n_steps)):
                events += run_partition(
                    p, t, since, neurons, stores, drives, spikes, states, learning, inputs, arrived_RN, fired
                )
        arrivals += n_threads
        if n_threads > 1:
            barrier.wait(work.turn, arrivals)
    work.events_T[thread] += events
