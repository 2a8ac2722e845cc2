"""What a connection rule is: something that names the synapses of one pair of populations, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lsm.layout import Layout

CHUNK = 1 << 17  # synapses drawn at once


@dataclass(frozen=True, eq=False)
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


class Targets(NamedTuple):
    """The targets of a partition.

    Args:
        first: first target.
        last: one beyond the last.
        tiles: numbers of their tiles, whose slices make up the range.
    """

    first: int
    last: int
    tiles: range

    @classmethod
    def of(cls, layout: Layout, population: int, partition: int) -> Targets:
        """The neurons of a population in a partition."""
        first, last = (int(layout.first_PG[p, population]) for p in (partition, partition + 1))
        return cls(first, last, layout.tiles(partition))


class Synapses(NamedTuple):
    """Synapses of a chunk: source and target in their populations, and a word that keys weight and delay.

    A chunk may be overwritten by the next. For `Explicit` the word is the position in the user's lists.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    word: NDArray[np.uint64]

    def front(self, n: int) -> Synapses:
        """The first n."""
        return Synapses(self.source[:n], self.target[:n], self.word[:n])


class Rule(Protocol):
    """Draws synapses; the same ones whatever the partitions are."""

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        ...

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        ...

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        ...


def room(n: int) -> Synapses:
    """Room for n synapses."""
    return Synapses(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint64))


def check_autapses(rule: str, pair: Pair, autapses: bool) -> None:
    """Raise ValueError where a neuron alone may not be its own source."""
    if pair.recurrent and not autapses and pair.n_pre == 1:
        raise ValueError(f"{rule}: one neuron without autapses has no source")
