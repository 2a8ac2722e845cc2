"""The steps of `lsm.kernels.cpu` in plain numpy: slow, and the same to the last bit.

Axes: as in `lsm.kernels.arrays`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm import poisson, store
from lsm.kernels import models, plastic_reference, short_term
from lsm.kernels import poisson as drawing
from lsm.kernels.arrays import DriveArrays, InputArrays, NeuronArrays, SpikeArrays, WorkArrays
from lsm.kernels.draws import outdegree
from lsm.kernels.plastic_arrays import PlasticArrays
from lsm.kernels.short_term import ShortTermArrays
from lsm.kernels.update_reference import update
from lsm.layout import TILES, slice_start
from lsm.store import StoreArrays
from lsm.streams import word


def run(
    own: range, since: int, n_steps: int, neurons: NeuronArrays, stores: StoreArrays, drives: DriveArrays,
    spikes: SpikeArrays, states: ShortTermArrays | None, learning: PlasticArrays | None, inputs: InputArrays,
    work: WorkArrays,
) -> int:  # fmt: skip
    """Take the own partitions through some steps; give the number of synapses that spikes went through."""
    arrived_RN, events = work.arrived_TRN[0], 0
    for t in range(since, since + n_steps):
        for p in own:
            events += _deliver(p, t, stores, spikes, states, arrived_RN)
            if learning is not None:
                events += plastic_reference.step(p, t, neurons, stores, learning, spikes, arrived_RN)
            _drive(p, t, neurons, drives, arrived_RN)
            _update(p, t, t - since, neurons, spikes, states, inputs, arrived_RN)
    return events


def _deliver(
    p: int, t: int, stores: StoreArrays, spikes: SpikeArrays, states: ShortTermArrays | None,
    arrived_RN: NDArray[np.int32],
) -> int:  # fmt: skip
    events, half = 0, 4 * stores.synapses.itemsize
    for s, row in enumerate(stores.table_SF):
        if row[store.KIND] == store.PLASTIC:
            continue
        if row[store.KIND] == store.PROCEDURAL:
            arrived_N, shift = arrived_RN[row[store.ROW]], int(stores.synapse_SP[s, p])
            events += _deliver_drawn(p, t, row, shift, spikes, states, arrived_N)
            continue
        pointers, base = stores.pointers[stores.pointer_SP[s, p] :], stores.synapse_SP[s, p]
        for d in range(row[store.N_DELAYS]):
            emitted = t - row[store.FIRST_DELAY] - d
            if emitted < 0:
                break
            slot = emitted % len(spikes.start_WPG)
            for q, start_G in enumerate(spikes.start_WPG[slot]):
                at = np.arange(start_G[row[store.SOURCE]], start_G[row[store.SOURCE] + 1])
                segment = spikes.id_WPN[slot, q, at] * np.int64(row[store.N_DELAYS]) + d
                begin, length = base + pointers[segment], pointers[segment + 1] - pointers[segment]
                index = np.repeat(begin - (np.cumsum(length) - length), length) + np.arange(length.sum())
                if row[store.KIND] == store.CONSTANT:
                    target, weight = stores.targets[index], np.full(len(index), row[store.WEIGHT], np.int32)
                else:
                    packed = stores.synapses[index]
                    target, weight = packed & ((1 << half) - 1), (packed >> half).astype(np.int32)
                if states is not None and row[store.FACTOR] >= 0:
                    factor = np.repeat(states.factor_FWPN[row[store.FACTOR], slot, q, at], length)
                    weight = np.rint(weight.astype(np.float32) * factor).astype(np.int32)
                np.add.at(arrived_RN[row[store.ROW]], target, weight)
                events += len(index)
    return events


def _deliver_drawn(
    p: int, t: int, row_F: NDArray[np.int64], shift: int, spikes: SpikeArrays, states: ShortTermArrays | None,
    arrived_N: NDArray[np.int32],
) -> int:  # fmt: skip
    """A procedural store, by the function that draws stored synapses."""
    emitted, events = t - int(row_F[store.FIRST_DELAY]), 0
    n_pre, n_post, k, others = (int(row_F[i]) for i in (store.N_PRE, store.N_POST, store.K, store.OTHERS))
    if emitted < 0:
        return events
    slot, tiles = emitted % len(spikes.start_WPG), TILES // spikes.start_WPG.shape[1]
    source_n, target_n, word_n = np.empty(k, np.int32), np.empty(k, np.int32), np.empty(k, np.uint64)
    for q, start_G in enumerate(spikes.start_WPG[slot]):
        for i in range(start_G[row_F[store.SOURCE]], start_G[row_F[store.SOURCE] + 1]):
            weight, source = np.float32(row_F[store.WEIGHT]), int(spikes.id_WPN[slot, q, i])
            assert source < n_pre
            if states is not None and row_F[store.FACTOR] >= 0:
                weight = np.rint(weight * states.factor_FWPN[row_F[store.FACTOR], slot, q, i])
            for tile in range(p * tiles, (p + 1) * tiles):
                bounds = (slice_start(n_post, tile), slice_start(n_post, tile + 1))
                key = row_F[store.KEY : store.KEY + 1].view(np.uint64)[0]
                rows = (source_n, target_n, word_n)
                n = outdegree(key, source, source + 1, tile, *bounds, k, n_post, bool(others), *rows)
                np.add.at(arrived_N, shift + target_n[:n], np.int32(weight))
                events += n
    return events


def _drive(p: int, t: int, neurons: NeuronArrays, drives: DriveArrays, arrived_RN: NDArray[np.int32]) -> None:
    for d, (g, row, weight, least, begin, end) in enumerate(drives.table_DF):
        neuron = np.arange(neurons.first_PG[p, g], neurons.first_PG[p + 1, g]).astype(np.uint64)
        stream = word(drives.key_D[d : d + 1], np.array([t], np.uint64))
        shared, lane = word(stream, neuron >> np.uint64(2)), neuron & np.uint64(drawing.LANES - 1)
        upper = (shared >> (lane * np.uint64(16))) & np.uint64(0xFFFF)
        number = (upper << np.uint64(32)) | (word(stream, np.uint64(drawing.OWN) + neuron) >> np.uint64(32))
        assert poisson.BITS == 48
        count = np.searchsorted(drives.limits[begin:end], number, side="right")
        local = slice(neurons.local_PG[p, g], neurons.local_PG[p, g + 1])
        arrived_RN[row, local] += (weight * (least + count)).astype(np.int32)


def _update(
    p: int, t: int, step: int, neurons: NeuronArrays, spikes: SpikeArrays, states: ShortTermArrays | None,
    inputs: InputArrays, arrived_RN: NDArray[np.int32],
) -> None:  # fmt: skip
    slot = t % len(spikes.start_WPG)
    start_G, id_N = spikes.start_WPG[slot, p], spikes.id_WPN[slot, p]
    at = 0
    for g, model in enumerate(neurons.model_G):
        first, last = neurons.first_PG[p, g], neurons.first_PG[p + 1, g]
        if model == models.INPUT:
            given = inputs.id_n[inputs.start_GT[g, step] : inputs.start_GT[g, step + 1]]
            fired = given[(given >= first) & (given < last)]
        else:
            fired = first + np.flatnonzero(update(p, g, neurons, arrived_RN))
        start_G[g] = at
        id_N[at : at + len(fired)] = fired
        at += len(fired)
    start_G[-1] = at
    arrived_RN[:] = 0
    if states is not None:
        for f, row in enumerate(states.table_FX):
            begin, end = start_G[row[short_term.SOURCE]], start_G[row[short_term.SOURCE] + 1]
            short_term.spike_reference(f, t, states, id_N[begin:end], states.factor_FWPN[f, slot, p, begin:end])
