"""The synapses of a projection as lists, drawn once more."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm.connection_rule import Targets
from lsm.distributions import Distribution, Listed, draw
from lsm.kernels.fill import DELAY_SALT, WEIGHT_SALT
from lsm.layout import Layout
from lsm.network import Network
from lsm.projection import Projection
from lsm.streams import mix


class Connections(NamedTuple):
    """Synapses sorted by source, target and delay.

    Attributes:
        sources: in their population, int32.
        targets: in their population, int32.
        weights: as they are described, before the simulation rounds them to its unit; float64.
        delays: ms, float64.
    """

    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays: NDArray[np.float64]


def connections(network: Network, projection: Projection) -> Connections:
    """List the synapses of a projection; the same as any simulation of the network has.

    Args:
        network: the description.
        projection: one of its projections.

    Returns:
        The synapses, with the weights they start with.
    """
    layout = Layout((projection.post.n,), 1)
    parts = []
    for source, target, word in projection.rule.draws(projection.pair(network.seed), Targets.of(layout, 0, 0)):
        weight = _values(projection.weight, word, WEIGHT_SALT)
        delay = np.maximum(np.rint(_values(projection.delay, word, DELAY_SALT) / network.step), 1) * network.step
        parts.append((source.copy(), target.copy(), weight, delay))
    if not parts:
        none = np.empty(0, np.int32)
        return Connections(none, none, np.empty(0), np.empty(0))
    source, target, weight, delay = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((weight, delay, target, source))
    return Connections(source[order], target[order], weight[order], delay[order])


def _values(distribution: Distribution, word: NDArray[np.uint64], salt: np.uint64) -> NDArray[np.float64]:
    return draw(distribution, word if isinstance(distribution, Listed) else mix(word ^ salt))
