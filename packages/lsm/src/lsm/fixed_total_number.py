"""Connection rule: a number of synapses, each between a source and a target drawn at random."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm.checks import require_whole
from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, check_autapses, room
from lsm.kernels import draws
from lsm.layout import TILES, slice_start


@functools.lru_cache(maxsize=256)
def _synapses_of_tiles(key: np.uint64, n: int, n_post: int) -> NDArray[np.int64]:
    """How many of n targets drawn at random fall in each tile, int64, (64,)."""
    count_T = np.zeros(TILES, np.int64)
    draws.count_tiles(key, n, n_post, count_T)
    return count_T


@dataclass(frozen=True)
class FixedTotalNumber:
    """n synapses whose source and target are drawn independently, with replacement.

    Args:
        n: synapses of each pair of populations, >= 0.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: n is negative.
    """

    n: int
    autapses: bool = True

    def __post_init__(self) -> None:
        require_whole("FixedTotalNumber: n", self.n, 0)

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        check_autapses("FixedTotalNumber", pair, self.autapses)

    def expected(self, pair: Pair) -> float:  # noqa: ARG002
        """Mean number of synapses of the pair."""
        return float(self.n)

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        count_T = _synapses_of_tiles(pair.key, self.n, pair.n_post)
        others = pair.recurrent and not self.autapses
        chunk = room(min(CHUNK, int(count_T.max())))
        for tile in targets.tiles:
            begin, end = slice_start(pair.n_post, tile), slice_start(pair.n_post, tile + 1)
            for first in range(0, int(count_T[tile]), CHUNK):
                last = min(first + CHUNK, int(count_T[tile]))
                yield chunk.front(draws.total(pair.key, first, last, tile, begin, end, pair.n_pre, others, *chunk))
