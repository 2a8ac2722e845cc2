"""Add the weights of spikes to what arrives.

To add a kind of store: a number in `lsm.store`, a function like `constant` and `weighted`, a branch in `spikes_due`.
"""

from __future__ import annotations

import numpy as np

from lsm import store
from lsm.kernels import draws, short_term
from lsm.kernels.atomics import prefetch
from lsm.kernels.numba_jit import inner
from lsm.kernels.streams import high_below, word
from lsm.layout import TILES

_AHEAD = 6  # spikes whose segments are asked for in advance; three times as many, whose pointers are
_LINE = 16  # synapses of 4 bytes in a cache line


@inner
def constant(arrived_N, targets, weight):
    """Add one weight to all targets of a segment."""
    for i in range(len(targets)):
        arrived_N[targets[i]] += weight


@inner
def weighted(arrived_N, synapses, half):
    """Add to each target of a segment its own weight: the target is in the lower `half` bits, the weight above."""
    mask = (1 << half) - 1
    for i in range(len(synapses)):
        arrived_N[synapses[i] & mask] += synapses[i] >> half


@inner
def drawn_again(p, n_partitions, table_F, source, shift, arrived_N, weight):
    """Draw the targets of a source in a partition as `lsm.kernels.draws.outdegree` does, and add one weight to them.

    Gives the number of synapses.
    """
    n_post, k, others = table_F[store.N_POST], table_F[store.K], table_F[store.OTHERS] != 0
    of_source = word(np.uint64(table_F[store.KEY]), np.uint64(source))
    events, tiles = 0, TILES // n_partitions
    for tile in range(p * tiles, (p + 1) * tiles):
        begin, end = n_post * tile // TILES, n_post * (tile + 1) // TILES
        stream = word(of_source, np.uint64(tile))
        inside = others and begin <= source < end
        below = np.uint64(end - begin - 1 if inside else end - begin)
        n = draws.outdegree_share(of_source, begin, end, k, n_post)
        for j in range(n):
            target = begin + np.int64(high_below(word(stream, np.uint64(j)), below))
            arrived_N[shift + (target + 1 if inside and target >= source else target)] += weight
        events += n
    return events


@inner
def procedural(p, t, row_F, shift, spikes, states, arrived_N):
    """Let the spikes arrive in partition p that a procedural store brings there in step t."""
    n_slots, n_partitions = spikes.start_WPG.shape[0], spikes.start_WPG.shape[1]
    emitted, events, source = t - row_F[store.FIRST_DELAY], 0, row_F[store.SOURCE]
    if emitted < 0:
        return events
    slot = emitted % n_slots
    for q in range(n_partitions):
        for i in range(spikes.start_WPG[slot, q, source], spikes.start_WPG[slot, q, source + 1]):
            weight = np.int32(row_F[store.WEIGHT])
            if states is not None:  # noqa: SIM102 - so it is left out where there are none
                if row_F[store.FACTOR] >= 0:
                    weight = short_term.scaled(weight, states.factor_FWPN[row_F[store.FACTOR], slot, q, i])
            neuron = np.int64(spikes.id_WPN[slot, q, i])
            events += drawn_again(p, n_partitions, row_F, neuron, shift, arrived_N, weight)
    return events


@inner
def spikes_due(p, t, stores, spikes, states, arrived_RN):
    """Let the spikes arrive in partition p that are due in step t; give the number of synapses."""
    n_slots, n_partitions = spikes.start_WPG.shape[0], spikes.start_WPG.shape[1]
    events = 0
    half = 4 * stores.synapses.itemsize
    for s in range(stores.table_SF.shape[0]):
        source, kind = stores.table_SF[s, store.SOURCE], stores.table_SF[s, store.KIND]
        first_delay, n_delays = stores.table_SF[s, store.FIRST_DELAY], stores.table_SF[s, store.N_DELAYS]
        weight, factor = np.int32(stores.table_SF[s, store.WEIGHT]), stores.table_SF[s, store.FACTOR]
        if kind == store.PLASTIC:
            continue
        arrived_N = arrived_RN[stores.table_SF[s, store.ROW]]
        if kind == store.PROCEDURAL:
            events += procedural(p, t, stores.table_SF[s], stores.synapse_SP[s, p], spikes, states, arrived_N)
            continue
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
                    prefetch(pointers, ids[min(i + 3 * _AHEAD, last - 1)] * n_delays + d)
                    ahead = base + pointers[ids[min(i + _AHEAD, last - 1)] * n_delays + d]
                    if kind == store.CONSTANT:
                        prefetch(stores.targets, ahead)
                    else:
                        for line in range(3):
                            prefetch(stores.synapses, ahead + _LINE * line)
                    segment = ids[i] * n_delays + d
                    begin, end = base + pointers[segment], base + pointers[segment + 1]
                    events += end - begin
                    if states is not None:  # noqa: SIM102 - so it is left out where there are none
                        if factor >= 0:
                            part = states.factor_FWPN[factor, slot, q, i]
                            if kind == store.CONSTANT:
                                constant(arrived_N, stores.targets[begin:end], short_term.scaled(weight, part))
                            else:
                                short_term.weighted(arrived_N, stores.synapses[begin:end], half, part)
                            continue
                    if kind == store.CONSTANT:
                        constant(arrived_N, stores.targets[begin:end], weight)
                    else:
                        weighted(arrived_N, stores.synapses[begin:end], half)
    return events
