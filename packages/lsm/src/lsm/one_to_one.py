"""Connection rule: neuron i to neuron i."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lsm.connection_rule import Pair, Synapses, Targets
from lsm.streams import word


@dataclass(frozen=True)
class OneToOne:
    """Source i reaches target i; both populations have the same size."""

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        if pair.n_pre != pair.n_post:
            raise ValueError(f"OneToOne: populations must have one size, got {pair.n_pre} and {pair.n_post}")

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(pair.n_post)

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        ids = np.arange(targets.first, targets.last, dtype=np.int32)
        yield Synapses(ids, ids, word(pair.key, ids.astype(np.uint64)))
