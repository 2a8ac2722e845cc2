"""Connection rule: pairs are connected with a probability that falls with their distance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, room
from lsm.kernels import draws


@dataclass(frozen=True)
class DistanceBernoulli:
    """Each source reaches each target with probability C exp(-(D / lambda_)^2), D their distance.

    All pairs are looked at, so this is for up to some ten thousand neurons.

    Args:
        C: probability at distance 0, 0 to 1.
        lambda_: length, in the unit of the positions, > 0.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: C is no probability, or lambda_ is not positive.

    References:
        Maass, Natschlaeger, Markram (2002), Neural Computation 14(11), section 4.
    """

    C: float
    lambda_: float
    autapses: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.C <= 1:
            raise ValueError(f"DistanceBernoulli: C must be a probability from 0 to 1, got {self.C}")
        if not (self.lambda_ > 0 and math.isfinite(self.lambda_)):
            raise ValueError(f"DistanceBernoulli: lambda_ must be > 0, got {self.lambda_}")

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        if pair.pre_positions is None or pair.post_positions is None:
            raise ValueError("DistanceBernoulli: both populations must have positions")

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair, from some targets of a large one."""
        every = max(1, pair.n_post // 256)
        assert pair.pre_positions is not None
        assert pair.post_positions is not None
        return every * draws.distance_mean(
            self.C, self.lambda_, pair.pre_positions, pair.post_positions[::every].copy()
        )

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        at_once = max(1, CHUNK // pair.n_pre)
        chunk = room(at_once * pair.n_pre)
        others = pair.recurrent and not self.autapses
        places = pair.pre_positions, pair.post_positions
        for first in range(targets.first, targets.last, at_once):
            last = min(first + at_once, targets.last)
            yield chunk.front(draws.distance(pair.key, first, last, self.C, self.lambda_, *places, others, *chunk))
