"""Read and set the weights of synapses that learn, in an order that partitions do not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm.kernels import plastic_arrays as field
from lsm.kernels.short_term import NEVER

if TYPE_CHECKING:
    from lsm.simulation import Simulation


class Part(NamedTuple):
    """Synapses of one plastic projection in one partition, in the order of its store.

    Args:
        weights: view of the weights as of the interval, see `lsm.dopamine`.
        eligibility: view of the eligibilities as of the interval; empty without dopamine.
        sources: of the synapses, in their population, int64.
        targets: of the synapses, in their population, int64.
    """

    weights: NDArray[np.floating]
    eligibility: NDArray[np.floating]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


def plastic_part(simulation: Simulation, learner: int, p: int) -> Part:
    """Synapses of plastic projection learner in partition p."""
    stores, learning, layout = simulation.stores, simulation.learning, simulation.layout
    store, post = learning.table_LX[learner, field.STORE], learning.table_LX[learner, field.POST]
    n_pre = int(learning.pre_LP[learner, p + 1] - learning.pre_LP[learner, p])
    pointer, at = stores.pointer_SP[store, p], stores.synapse_SP[store, p]
    pointers = stores.pointers[pointer : pointer + n_pre + 1]
    shift = layout.first_PG[p, post] - layout.local_PG[p, post]
    begin, end = learning.eligible_LP[learner, p : p + 2]
    return Part(
        stores.learning_weights[at : at + pointers[-1]],
        learning.eligibility[begin:end],
        np.repeat(np.arange(n_pre), np.diff(pointers)),
        stores.learning_targets[at : at + pointers[-1]].astype(np.int64) + shift,
    )


def gathered_parts(simulation: Simulation, learner: int) -> list[Part]:
    """Synapses of a plastic projection in all partitions, whichever process has them; those of this one are views."""
    own = [plastic_part(simulation, learner, p) for p in simulation.ranks.own]
    gathered = simulation.ranks.gather(own)
    gathered[simulation.ranks.rank] = own
    return [part for parts in gathered for part in parts]


def canonical_order(parts: list[Part]) -> NDArray[np.int64]:
    """Order by source and target of the synapses of all partitions, one after the other.

    Several synapses of one pair are drawn for the same tile one after the other, so their order does not depend on
    partitions either.
    """
    sources = np.concatenate([part.sources for part in parts])
    return np.lexsort((np.concatenate([part.targets for part in parts]), sources))


def plastic_weights(
    simulation: Simulation, learner: int
) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]:
    """Weights now of plastic projection learner, their sources and targets, by source and then by target."""
    parts = gathered_parts(simulation, learner)
    p = simulation.ranks.own.start  # dopamine is the same in all partitions
    weights = [_weights_now(simulation, learner, p, part) for part in parts]
    order = canonical_order(parts)
    sources = np.concatenate([part.sources for part in parts])[order]
    targets = np.concatenate([part.targets for part in parts])[order]
    return np.concatenate(weights)[order], sources, targets


def _weights_now(simulation: Simulation, learner: int, p: int, part: Part) -> NDArray[np.floating]:
    """Weights of a part, by the dopamine of partition p."""
    learning, now = simulation.learning, part.weights
    if not learning.table_LX[learner, field.GATED]:
        return now
    constant_K = learning.constant_LK[learner]
    integral = now.dtype.type(learning.level_LPX[learner, p, field.INTEGRAL])
    return np.clip(now + part.eligibility * integral, constant_K[field.LOW], constant_K[field.HIGH])


def forget_traces(simulation: Simulation) -> None:
    """Clear traces, eligibilities and dopamine; weights stay as they are now."""
    learning = simulation.learning
    for learner, table_X in enumerate(learning.table_LX):
        if table_X[field.GATED]:
            for p in simulation.ranks.own:
                part = plastic_part(simulation, learner, p)
                part.weights[:] = _weights_now(simulation, learner, p, part)
    learning.eligibility[:], learning.level_LPX[:], learning.age_LP[:] = 0, 0, 0
    for trace, last in ((learning.pre_trace, learning.pre_last), (learning.post_trace, learning.post_last)):
        trace[:], last[:] = 0, NEVER
