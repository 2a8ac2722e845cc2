"""Add the weights of spikes to what arrives.

To add a kind of store: a number in `lsm.store`, a function like `constant` and `weighted`, a branch in `spikes_due`.
"""

from __future__ import annotations

import numpy as np

from lsm import store
from lsm.kernels import short_term
from lsm.kernels.atomics import prefetch
from lsm.kernels.numba_jit import inner

_AHEAD = 2  # spikes whose segments are asked for in advance


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
                    if kind == store.CONSTANT:
                        prefetch(stores.targets, ahead)
                    else:
                        prefetch(stores.synapses, ahead)
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
