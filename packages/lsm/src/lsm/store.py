"""How the synapses of a partition lie in memory.

The projections of one source population that agree in receptor, delay and constant weight share a store with 2 bytes a
synapse; those with a weight for each synapse share one with 4. Synapses that learn have a store for each projection; a
procedural store keeps nothing. Within a store the targets are sorted by (source, delay), and `pointers` says where each
segment of one source and delay begins: the delay costs no memory a synapse.

Axes: S stores, P partitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm.distributions import Constant, Distribution, Listed
from lsm.dopamine import DopamineSTDP
from lsm.fixed_outdegree import FixedOutdegree
from lsm.network import Network
from lsm.projection import Projection
from lsm.short_term import ShortTerm
from lsm.short_term_states import short_term_states
from lsm.stdp import STDP

CONSTANT, WEIGHTED, PLASTIC, PROCEDURAL = range(4)
SOURCE, KIND, FIRST_DELAY, N_DELAYS, ROW, WEIGHT, FACTOR, N_PRE, N_POST, K, OTHERS, KEY, FIELDS = range(13)


class StoreArrays(NamedTuple):
    """All stores of all partitions of a process.

    Args:
        table_SF: source population, kind, first delay (steps), number of delays, receptor row, weight (units), number
            of the short-term state or -1; of procedural stores also sources, targets, synapses of a source,
            whether autapses are left out, and the key as int64; int64.
        pointer_SP: where the pointers of a store and partition begin, int64; there are sources * delays + 1.
        synapse_SP: where its synapses begin, in `targets`, `synapses` or `learning_targets`; of a procedural store what
            turns a target into a local one; int64.
        pointers: begin of each segment, counted from synapse_SP, int32.
        targets: local targets of stores with a constant weight, uint16 or int32.
        synapses: weight in the upper and local target in the lower half, int32 or int64.
        learning_targets: local targets of synapses that learn, uint16 or int32.
        learning_weights: their weights, in the unit of the weights; of the type of the neurons' states.
    """

    table_SF: NDArray[np.int64]
    pointer_SP: NDArray[np.int64]
    synapse_SP: NDArray[np.int64]
    pointers: NDArray[np.int32]
    targets: NDArray[np.uint16 | np.int32]
    synapses: NDArray[np.int32 | np.int64]
    learning_targets: NDArray[np.uint16 | np.int32]
    learning_weights: NDArray[np.floating]


@dataclass
class StorePlan:
    """Projections that share a store."""

    source: int
    kind: int
    row: int
    weight: int
    first_delay: int
    n_delays: int
    factor: int = -1
    projections: list[Projection] = field(default_factory=list)


def delay_steps(delay: Distribution, step: float) -> tuple[int, int]:
    """Smallest and largest delay that can be drawn, in steps."""
    low, high = delay.bounds
    return max(1, round(low / step)), max(1, round(high / step))


def plan_stores(network: Network, quantum_GR: list[list[float]], *, procedural: bool = False) -> list[StorePlan]:
    """Group projections into stores.

    Args:
        network: the description.
        quantum_GR: unit of the weights of each population and receptor.
        procedural: whether synapses that can be drawn again at each spike are not kept.

    Returns:
        Stores in the order of their first projection.
    """
    plans: dict[tuple[object, ...], StorePlan] = {}
    states = short_term_states(network.projections)
    for projection in network.projections:
        constant, weight = isinstance(projection.weight, Constant), 0
        if isinstance(projection.weight, Constant):
            weight = round(projection.weight.value / quantum_GR[projection.post.index][projection.receptor])
        learns = isinstance(projection.synapse, STDP | DopamineSTDP)  # each projection in a store of its own
        drawn = procedural and not learns and constant and isinstance(projection.delay, Constant)
        drawn = drawn and isinstance(projection.rule, FixedOutdegree)
        delay = projection.delay
        same_delay = id(delay) if isinstance(delay, Listed) else delay
        key = (
            projection.index if learns or drawn else -1,
            projection.pre.index,
            constant,
            projection.receptor,
            weight,
            same_delay,
            projection.synapse,
        )
        if key not in plans:
            low, high = delay_steps(delay, network.step)
            kind = PLASTIC if learns else PROCEDURAL if drawn else CONSTANT if constant else WEIGHTED
            factor = -1
            if isinstance(projection.synapse, ShortTerm):
                factor = states[projection.pre.index, projection.synapse]
            row = projection.receptor
            plans[key] = StorePlan(projection.pre.index, kind, row, weight, low, high - low + 1, factor)
        plans[key].projections.append(projection)
    return list(plans.values())
