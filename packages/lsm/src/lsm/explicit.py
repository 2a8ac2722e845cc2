"""Connection rule: lists of sources and targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm.connection_rule import Pair, Synapses, Targets


@dataclass(frozen=True, eq=False, init=False)
class Explicit:
    """The synapses that are listed; weights and delays may be arrays in the same order.

    Args:
        sources: numbers of neurons in the source population, (n,).
        targets: numbers of neurons in the target population, (n,).

    Raises:
        ValueError: the lists differ in length, or hold other than whole numbers >= 0.
    """

    sources: NDArray[np.int32]
    targets: NDArray[np.int32]

    def __init__(self, sources: ArrayLike, targets: ArrayLike) -> None:
        for name, given in (("sources", sources), ("targets", targets)):
            ids = np.asarray(given)
            ids = ids.astype(np.int32) if ids.size == 0 else ids
            if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer) or (ids.size and ids.min() < 0):
                raise ValueError(f"Explicit: {name} must be a list of whole numbers >= 0")
            if ids.size and ids.max() >= 1 << 31:
                raise ValueError(f"Explicit: {name} must be below 2^31, got {ids.max()}")
            object.__setattr__(self, name, ids.astype(np.int32))
        if len(self.sources) != len(self.targets):
            raise ValueError(f"Explicit: got {len(self.sources)} sources and {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.sources)

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        for name, ids, n in (("sources", self.sources, pair.n_pre), ("targets", self.targets, pair.n_post)):
            if len(ids) and ids.max() >= n:
                raise ValueError(f"Explicit: {name} must be below {n}, the size of the population, got {ids.max()}")

    def expected(self, pair: Pair) -> float:  # noqa: ARG002
        """Mean number of synapses of the pair."""
        return float(len(self))

    def most_indegree(self, pair: Pair) -> int:
        """Synapses of the target that has most of them."""
        return int(np.bincount(self.targets, minlength=pair.n_post).max())

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:  # noqa: ARG002
        """Give all synapses of some targets."""
        index = np.flatnonzero((self.targets >= targets.first) & (self.targets < targets.last))
        yield Synapses(self.sources[index], self.targets[index], index.astype(np.uint64))
