"""Draw all synapses of a network into stores, twice: once to count, once to put them in their places."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lsm import store
from lsm.connection_rule import Synapses, Targets
from lsm.distributions import Distribution, Listed
from lsm.fixed_outdegree import FixedOutdegree
from lsm.kernels import fill
from lsm.layout import MOST_SMALL, Layout
from lsm.network import Network
from lsm.store import StoreArrays, StorePlan

_NO_TABLE = np.empty(0)


def build_stores(
    network: Network,
    layout: Layout,
    plans: list[StorePlan],
    quantum_GR: list[list[float]],
    threads: int,
    dtype: np.dtype,
    own: range,
) -> StoreArrays:
    """Draw the synapses.

    Args:
        network: the description.
        layout: its partitions.
        plans: the stores.
        quantum_GR: unit of the weights of each population and receptor.
        threads: how many partitions to fill at once.
        dtype: of weights that learn.
        own: partitions of this process; the others stay empty.

    Returns:
        The stores of all partitions.
    """
    n_partitions = layout.n_partitions
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda p: [_count(network, layout, plan, p) for plan in plans], own)
        counted = dict(zip(own, parts, strict=True))
    used = [_used_delays([counted[p][s] for p in own], plan) for s, plan in enumerate(plans)]
    table_SF = np.array(
        [
            (
                plan.source,
                plan.kind,
                plan.first_delay + first,
                n,
                plan.row,
                plan.weight,
                plan.factor,
                *_rule(network, plan),
            )
            for plan, (first, n) in zip(plans, used, strict=True)
        ],
        np.int64,
    ).reshape(-1, store.FIELDS)
    pointer_SP = np.zeros((len(plans), n_partitions), np.int64)
    synapse_SP = np.zeros((len(plans), n_partitions), np.int64)
    total, synapses, most = 0, [0, 0, 0, 0], 0
    for s, plan in enumerate(plans):
        for p in own:
            first, n = used[s]
            counted[p][s] = counts = counted[p][s][:, first : first + n].reshape(-1)
            pointer_SP[s, p], synapse_SP[s, p] = total, synapses[plan.kind]
            total += len(counts) + 1
            most = max(most, len(counts) + 1)
            if plan.kind == store.PROCEDURAL:
                post = plan.projections[0].post.index
                synapse_SP[s, p] = layout.local_PG[p, post] - layout.first_PG[p, post]
            here = int(counts.sum(dtype=np.int64))
            if here > np.iinfo(np.int32).max:
                raise ValueError("build: more than 2^31 synapses of a population in a partition; take more partitions")
            synapses[plan.kind] += here
    for p in set(range(n_partitions)) - set(own):
        pointer_SP[:, p] = total  # zeros, as of a partition without synapses
    pointers = np.zeros(total + (most if len(own) < n_partitions else 0), np.int32)
    small = layout.most_local <= MOST_SMALL
    arrays = StoreArrays(
        table_SF,
        pointer_SP,
        synapse_SP,
        pointers,
        np.empty(synapses[store.CONSTANT], np.uint16 if small else np.int32),
        np.empty(synapses[store.WEIGHTED], np.int32 if small else np.int64),
        np.empty(synapses[store.PLASTIC], np.uint16 if small else np.int32),
        np.empty(synapses[store.PLASTIC], dtype),
    )

    def fill_partition(p: int) -> None:
        for s, plan in enumerate(plans):
            if plan.kind == store.PROCEDURAL:
                continue
            counts = counted[p][s]
            segments = pointers[pointer_SP[s, p] : pointer_SP[s, p] + len(counts) + 1]
            # segment i is filled through pointer i + 1, which begins at its start and ends at its end
            np.cumsum(counts[:-1], out=segments[2:])
            _fill(network, layout, plan, s, p, arrays, segments[1:], quantum_GR)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill_partition, own))
    return arrays


def _rule(network: Network, plan: StorePlan) -> tuple[int, ...]:
    """What draws the synapses of a procedural store."""
    if plan.kind != store.PROCEDURAL:
        return 0, 0, 0, 0, 0
    (projection,) = plan.projections
    assert isinstance(projection.rule, FixedOutdegree)
    pair = projection.pair(network.seed)
    others = pair.recurrent and not projection.rule.autapses
    return pair.n_pre, pair.n_post, projection.rule.k, int(others), int(pair.key.view(np.int64))


def _draws(network: Network, layout: Layout, plan: StorePlan, p: int) -> Iterator[tuple[int, Synapses]]:
    """Chunks of synapses of a store in a partition, with the number of their projection in the plan."""
    for i, projection in enumerate(plan.projections):
        targets = Targets.of(layout, projection.post.index, p)
        for chunk in projection.rule.draws(projection.pair(network.seed), targets):
            yield i, chunk


def _kernel_form(distribution: Distribution) -> tuple[tuple[int, float, float, float, float], NDArray[np.float64]]:
    return distribution.parameters(), distribution.table if isinstance(distribution, Listed) else _NO_TABLE


def _count(network: Network, layout: Layout, plan: StorePlan, p: int) -> NDArray[np.int32]:
    """Synapses of each source and delay."""
    n_sources = 0 if plan.kind == store.PROCEDURAL else plan.projections[0].pre.n
    counts = np.zeros((n_sources, plan.n_delays), np.int32)
    if plan.kind == store.PROCEDURAL:
        return counts
    for i, chunk in _draws(network, layout, plan, p):
        delay, delay_table = _kernel_form(plan.projections[i].delay)
        of_delay = (delay, delay_table, network.step, plan.first_delay, plan.n_delays)
        fill.count(chunk.source, chunk.word, *of_delay, counts.reshape(-1))
    return counts


def _used_delays(counts: list[NDArray[np.int32]], plan: StorePlan) -> tuple[int, int]:
    """First delay that any synapse has, counted from the plan's, and how many from there are needed."""
    if plan.n_delays == 1:
        return 0, 1
    used = np.flatnonzero(np.any([part.any(axis=0) for part in counts], axis=0))
    return (int(used[0]), int(used[-1] - used[0] + 1)) if len(used) else (0, 1)


def _fill(
    network: Network, layout: Layout, plan: StorePlan, s: int, p: int, arrays: StoreArrays, cursor: NDArray[np.int32],
    quantum_GR: list[list[float]],
) -> None:  # fmt: skip
    first_delay, n_delays = (int(arrays.table_SF[s, field]) for field in (store.FIRST_DELAY, store.N_DELAYS))
    begin = arrays.synapse_SP[s, p]
    for i, (source_n, target_n, word_n) in _draws(network, layout, plan, p):
        projection = plan.projections[i]
        post = projection.post.index
        shift = layout.local_PG[p, post] - layout.first_PG[p, post]
        common = (
            source_n,
            target_n,
            word_n,
            *_kernel_form(projection.delay),
            network.step,
            first_delay,
            n_delays,
            shift,
        )
        if plan.kind == store.CONSTANT:
            fill.fill_constant(*common, cursor, arrays.targets[begin:])
        elif plan.kind == store.PLASTIC:
            parts = arrays.learning_targets[begin:], arrays.learning_weights[begin:]
            fill.fill_plastic(*common, *_kernel_form(projection.weight), cursor, *parts)
        else:
            unit = quantum_GR[post][projection.receptor]
            half = arrays.synapses.itemsize * 4
            fill.fill_weighted(*common, *_kernel_form(projection.weight), unit, cursor, arrays.synapses[begin:], half)
