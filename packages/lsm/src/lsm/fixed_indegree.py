"""Connection rule: every target draws the same number of sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lsm.connection_rule import CHUNK, Pair, Synapses, empty_chunk
from lsm.kernels import draw_indegree
from lsm.layout import Layout


@dataclass(frozen=True)
class FixedIndegree:
    """Every target draws k sources, with replacement.

    Args:
        k: synapses that each target receives from the source population, >= 0.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: k is negative.
    """

    k: int
    autapses: bool = True

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError(f"FixedIndegree: k must be >= 0, got {self.k}")

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        if self.k and pair.recurrent and not self.autapses and pair.n_pre == 1:
            raise ValueError("FixedIndegree: one neuron without autapses has no source")

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(self.k) * pair.n_post

    def draws(self, pair: Pair, layout: Layout, partition: int, first: int, last: int) -> Iterator[Synapses]:
        """Give all synapses whose targets, first to last - 1, lie in a partition."""
        if not self.k or first == last:
            return
        per_chunk = max(1, CHUNK // self.k)
        room = empty_chunk(min(per_chunk, last - first) * self.k)
        others = pair.recurrent and not self.autapses
        for begin in range(first, last, per_chunk):
            end = min(begin + per_chunk, last)
            draw_indegree.draw(pair.key, begin, end, self.k, pair.n_pre, others, *room)
            n = (end - begin) * self.k
            yield Synapses(*(part[:n] for part in room))
