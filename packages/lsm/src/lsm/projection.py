"""The parts of a network's description: populations, projections, drives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm.connection_rule import Pair, Rule
from lsm.distributions import Distribution
from lsm.neuron import Neuron
from lsm.streams import key
from lsm.synapse import Synapse


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model.

    Args:
        index: number of the population in its network.
        name: its name.
        n: number of neurons.
        model: what they compute; None for inputs, whose spikes come from outside.
        first: global id of the first neuron.
        positions: places, float64, (n, 3), or None.
    """

    index: int
    name: str
    n: int
    model: Neuron | None
    first: int
    positions: NDArray[np.float64] | None = None

    @property
    def receptors(self) -> tuple[str, ...]:
        """Names of the receptors; none for inputs."""
        return self.model.receptors if self.model else ()


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses that one rule makes between two populations.

    Args:
        index: number of the projection in its network, part of the key of its draws.
        pre: sources.
        post: targets.
        rule: which synapses there are.
        weight: in the unit of the targets' synapses.
        delay: ms.
        receptor: row of the targets' accumulator that the spikes reach.
        synapse: how the weight changes, for example ShortTerm; None for a static one.
    """

    index: int
    pre: Population
    post: Population
    rule: Rule
    weight: Distribution
    delay: Distribution
    receptor: int
    synapse: Synapse | None = None

    def pair(self, seed: int) -> Pair:
        """What the rule needs to know."""
        return Pair(
            self.pre.n, self.post.n, self.pre is self.post, key(seed, "connection", self.index),
            self.pre.positions, self.post.positions,
        )  # fmt: skip
