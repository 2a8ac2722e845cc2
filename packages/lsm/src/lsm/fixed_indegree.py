"""Connection rule: every target draws the same number of sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lsm.checks import require_whole
from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, check_autapses, room
from lsm.kernels import draws


@dataclass(frozen=True)
class FixedIndegree:
    """Every target draws k sources, with replacement.

    Args:
        k: synapses that each target receives from each source population, >= 0.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: k is negative.
    """

    k: int
    autapses: bool = True

    def __post_init__(self) -> None:
        require_whole("FixedIndegree: k", self.k, 0)

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        check_autapses("FixedIndegree", pair, self.autapses)

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(self.k) * pair.n_post

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        if not self.k or targets.first == targets.last:
            return
        at_once = min(max(1, CHUNK // self.k), targets.last - targets.first)
        chunk = room(at_once * self.k)
        others = pair.recurrent and not self.autapses
        for first in range(targets.first, targets.last, at_once):
            last = min(first + at_once, targets.last)
            yield chunk.front(draws.indegree(pair.key, first, last, self.k, pair.n_pre, others, *chunk))
