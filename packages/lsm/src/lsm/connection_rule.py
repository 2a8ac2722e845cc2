"""What a connection rule is: something that names the synapses of one pair of populations, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lsm.layout import Layout

CHUNK = 1 << 17  # synapses drawn at once


@dataclass(frozen=True)
class Pair:
    """Two populations that a rule connects.

    Args:
        n_pre: neurons of the source population.
        n_post: neurons of the target population.
        recurrent: both are the same population.
        key: stream of all draws of this projection.
        pre_positions: places of the sources, float64, (n_pre, 3), or None.
        post_positions: places of the targets, float64, (n_post, 3), or None.
    """

    n_pre: int
    n_post: int
    recurrent: bool
    key: np.uint64
    pre_positions: NDArray[np.float64] | None = None
    post_positions: NDArray[np.float64] | None = None


class Synapses(NamedTuple):
    """Synapses of a chunk: source and target in their populations, and a word that keys weight and delay.

    A chunk may be overwritten by the next.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    word: NDArray[np.uint64]


class Rule(Protocol):
    """Draws synapses; the same ones whatever the partitions are."""

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        ...

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        ...

    def draws(self, pair: Pair, layout: Layout, partition: int, first: int, last: int) -> Iterator[Synapses]:
        """Give all synapses whose targets, first to last - 1, lie in a partition."""
        ...


def empty_chunk(n: int) -> Synapses:
    """Room for n synapses."""
    return Synapses(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint64))
