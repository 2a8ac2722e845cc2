"""Connection rule: every source draws the same number of targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lsm.checks import require_whole
from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, check_autapses, room
from lsm.kernels import draws
from lsm.layout import slice_start


@dataclass(frozen=True)
class FixedOutdegree:
    """Every source draws k targets, with replacement.

    The k synapses of a source are spread evenly over the tiles of the targets, in whole numbers that start at random;
    within a tile they fall anywhere. So the synapses of a source in a tile can be drawn without any others.

    Args:
        k: synapses that each source makes in each target population, >= 0.
        autapses: whether a neuron may be its own target.

    Raises:
        ValueError: k is negative.
    """

    k: int
    autapses: bool = True

    def __post_init__(self) -> None:
        require_whole("FixedOutdegree: k", self.k, 0)

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        check_autapses("FixedOutdegree", pair, self.autapses)
        if pair.recurrent and not self.autapses and pair.n_post < 128:
            raise ValueError("FixedOutdegree: autapses=False needs at least 128 neurons, two in every tile")

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(self.k) * pair.n_pre

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        if not self.k or targets.first == targets.last:
            return
        others = pair.recurrent and not self.autapses
        for tile in targets.tiles:
            begin, end = slice_start(pair.n_post, tile), slice_start(pair.n_post, tile + 1)
            most = self.k * (end - begin) // pair.n_post + 1
            at_once = min(max(1, CHUNK // most), pair.n_pre)
            chunk = room(at_once * most)
            for first in range(0, pair.n_pre, at_once):
                last = min(first + at_once, pair.n_pre)
                n = draws.outdegree(pair.key, first, last, tile, begin, end, self.k, pair.n_post, others, *chunk)
                yield chunk.front(n)
