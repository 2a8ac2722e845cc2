"""Connection rule: every neuron to every neuron."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lsm.connection_rule import CHUNK, Pair, Synapses, Targets
from lsm.streams import word


@dataclass(frozen=True)
class AllToAll:
    """Each source reaches each target once.

    Args:
        autapses: whether a neuron may be its own source.
    """

    autapses: bool = True

    def check(self, pair: Pair) -> None:
        """Any pair will do."""

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(pair.n_pre * pair.n_post - (pair.n_pre if pair.recurrent and not self.autapses else 0))

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        at_once = max(1, CHUNK // pair.n_pre)
        source_N = np.arange(pair.n_pre, dtype=np.int32)
        for first in range(targets.first, targets.last, at_once):
            target_N = np.arange(first, min(first + at_once, targets.last), dtype=np.int32)
            source, target = np.tile(source_N, len(target_N)), np.repeat(target_N, pair.n_pre)
            if pair.recurrent and not self.autapses:
                source, target = source[source != target], target[source != target]
            number = target.astype(np.uint64) * np.uint64(pair.n_pre) + source.astype(np.uint64)
            yield Synapses(source, target, word(pair.key, number))
