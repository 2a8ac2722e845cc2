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

_BLOCK = 512  # segments listed before any of them is read, so that their pointers are on their way together
_AHEAD = 8  # segments whose synapses are on their way while one is added
_LINE = 64  # bytes of a cache line


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
def ask(targets, begin, end):
    """Ask for the cache lines of targets[begin:end]."""
    for at in range(begin, end, _LINE // targets.itemsize):
        prefetch(targets, at)
    prefetch(targets, end - 1)


@inner
def add_listed(n, segment_B, end_B, part_B, pointers, base, targets, half, weight, arrived_N):
    """Add n listed segments of a store; give the number of synapses.

    With `half` 0 all have the `weight`, otherwise each its own beside its target; `part_B` scales them where it is not
    None. `segment_B` is overwritten.
    """
    events = 0
    for j in range(n):
        segment = segment_B[j]
        segment_B[j], end_B[j] = base + pointers[segment], base + pointers[segment + 1]
        events += end_B[j] - segment_B[j]
    for j in range(min(n, _AHEAD)):
        ask(targets, segment_B[j], end_B[j])
    for j in range(n):
        if j + _AHEAD < n:
            ask(targets, segment_B[j + _AHEAD], end_B[j + _AHEAD])
        part = targets[segment_B[j] : end_B[j]]
        if part_B is not None:
            if half:
                short_term.weighted(arrived_N, part, half, part_B[j])
            else:
                constant(arrived_N, part, short_term.scaled(weight, part_B[j]))
        elif half:
            weighted(arrived_N, part, half)
        else:
            constant(arrived_N, part, weight)
    return events


@inner
def stored(t, row_F, base, pointers, targets, half, spikes, factor_WPN, arrived_N):
    """Let the spikes arrive that the part of a store in one partition brings in step t; give the number of synapses."""
    n_slots, n_partitions = spikes.start_WPG.shape[0], spikes.start_WPG.shape[1]
    segment_B, end_B = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    part_B = None if factor_WPN is None else np.empty(_BLOCK, np.float32)
    source, n_delays, weight = row_F[store.SOURCE], row_F[store.N_DELAYS], np.int32(row_F[store.WEIGHT])
    events, n = 0, 0
    for d in range(n_delays):
        emitted = t - row_F[store.FIRST_DELAY] - d
        if emitted < 0:
            break
        slot = emitted % n_slots
        for q in range(n_partitions):
            ids = spikes.id_WPN[slot, q]
            for i in range(spikes.start_WPG[slot, q, source], spikes.start_WPG[slot, q, source + 1]):
                segment_B[n] = np.int64(ids[i]) * n_delays + d
                prefetch(pointers, segment_B[n])
                if part_B is not None:
                    part_B[n] = factor_WPN[slot, q, i]  # pyright: ignore[reportOptionalSubscript]
                n += 1
                if n == _BLOCK:
                    events += add_listed(n, segment_B, end_B, part_B, pointers, base, targets, half, weight, arrived_N)
                    n = 0
    return events + add_listed(n, segment_B, end_B, part_B, pointers, base, targets, half, weight, arrived_N)


@inner
def spikes_due(p, t, stores, spikes, states, arrived_RN):
    """Let the spikes arrive in partition p that are due in step t; give the number of synapses."""
    events = 0
    half = 4 * stores.synapses.itemsize
    for s in range(stores.table_SF.shape[0]):
        row_F, base = stores.table_SF[s], stores.synapse_SP[s, p]
        kind, factor = row_F[store.KIND], row_F[store.FACTOR]
        if kind == store.PLASTIC:
            continue
        arrived_N = arrived_RN[row_F[store.ROW]]
        if kind == store.PROCEDURAL:
            events += procedural(p, t, row_F, base, spikes, states, arrived_N)
            continue
        pointers = stores.pointers[stores.pointer_SP[s, p] :]
        if states is not None:  # noqa: SIM102 - so it is left out where there are none
            if factor >= 0:
                part = states.factor_FWPN[factor]
                if kind == store.CONSTANT:
                    events += stored(t, row_F, base, pointers, stores.targets, 0, spikes, part, arrived_N)
                else:
                    events += stored(t, row_F, base, pointers, stores.synapses, half, spikes, part, arrived_N)
                continue
        if kind == store.CONSTANT:
            events += stored(t, row_F, base, pointers, stores.targets, 0, spikes, None, arrived_N)
        else:
            events += stored(t, row_F, base, pointers, stores.synapses, half, spikes, None, arrived_N)
    return events
