"""Connection rule: every pair of neurons is connected with one probability."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, room
from lsm.kernels import draws
from lsm.layout import slice_start


@dataclass(frozen=True)
class PairwiseBernoulli:
    """Each source reaches each target with probability p, once.

    Args:
        p: 0 to 1.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: p is no probability.
    """

    p: float
    autapses: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"PairwiseBernoulli: p must be a probability from 0 to 1, got {self.p}")

    def check(self, pair: Pair) -> None:
        """Any pair will do."""

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return self.p * (pair.n_pre * pair.n_post - (pair.n_pre if pair.recurrent and not self.autapses else 0))

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        if self.p == 0:
            return
        others = pair.recurrent and not self.autapses
        for tile in targets.tiles:
            begin, end = slice_start(pair.n_post, tile), slice_start(pair.n_post, tile + 1)
            if begin == end:
                continue
            at_once = min(max(1, CHUNK // (end - begin)), pair.n_pre)
            chunk = room(at_once * (end - begin))
            for first in range(0, pair.n_pre, at_once):
                last = min(first + at_once, pair.n_pre)
                yield chunk.front(draws.bernoulli(pair.key, first, last, tile, begin, end, self.p, others, *chunk))
