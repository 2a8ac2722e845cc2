"""How the synapses of a partition lie in memory.

The projections of one source population that agree in receptor, delay and constant weight share a store with 2 bytes a
synapse; those with a weight for each synapse share one with 4. Within a store the targets are sorted by (source,
delay), and `pointers` says where each segment of one source and delay begins: the delay costs no memory a synapse.

Axes: S stores, P partitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm.distributions import Constant, Distribution, Listed
from lsm.projection import Projection

CONSTANT, WEIGHTED = 0, 1
SOURCE, KIND, FIRST_DELAY, N_DELAYS, ROW, WEIGHT, FIELDS = 0, 1, 2, 3, 4, 5, 6


class StoreArrays(NamedTuple):
    """All stores of all partitions of a process.

    Args:
        table_SF: source population, kind, first delay (steps), number of delays, receptor row, weight (units); int64.
        pointer_SP: where the pointers of a store and partition begin, int64; there are sources * delays + 1.
        synapse_SP: where its synapses begin, in `targets` or `synapses`, int64.
        pointers: begin of each segment, counted from synapse_SP, int32.
        targets: local targets of stores with a constant weight, uint16 or int32.
        synapses: weight in the upper and local target in the lower half, uint32 or uint64.
    """

    table_SF: NDArray[np.int64]
    pointer_SP: NDArray[np.int64]
    synapse_SP: NDArray[np.int64]
    pointers: NDArray[np.int32]
    targets: NDArray[np.uint16] | NDArray[np.int32]
    synapses: NDArray[np.uint32] | NDArray[np.uint64]


@dataclass
class StorePlan:
    """Projections that share a store."""

    source: int
    kind: int
    row: int
    weight: int
    first_delay: int
    n_delays: int
    projections: list[Projection] = field(default_factory=list)


def delay_steps(delay: Distribution, step: float) -> tuple[int, int]:
    """Smallest and largest delay that can be drawn, in steps."""
    low, high = delay.bounds
    return max(1, round(low / step)), max(1, round(high / step))


def plan_stores(projections: list[Projection], quantum_GR: list[list[float]], step: float) -> list[StorePlan]:
    """Group projections into stores.

    Args:
        projections: of the network.
        quantum_GR: unit of the weights of each population and receptor.
        step: ms.

    Returns:
        Stores in the order of their first projection.
    """
    plans: dict[tuple[object, ...], StorePlan] = {}
    for projection in projections:
        constant, weight = isinstance(projection.weight, Constant), 0
        if isinstance(projection.weight, Constant):
            weight = round(projection.weight.value / quantum_GR[projection.post.index][projection.receptor])
        delay = projection.delay
        same_delay = id(delay) if isinstance(delay, Listed) else delay
        key = (projection.pre.index, constant, projection.receptor, weight, same_delay, id(projection.synapse))
        if key not in plans:
            low, high = delay_steps(delay, step)
            kind = CONSTANT if constant else WEIGHTED
            plans[key] = StorePlan(projection.pre.index, kind, projection.receptor, weight, low, high - low + 1)
        plans[key].projections.append(projection)
    return list(plans.values())
