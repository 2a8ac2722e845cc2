"""Connection rule: every target draws sources that lie near it in a sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lsm.checks import require_whole
from lsm.connection_rule import CHUNK, Pair, Synapses, Targets, check_autapses, room
from lsm.kernels import spatial

_PER_CELL = 4  # sources, in the mean


@dataclass(frozen=True)
class SpatialIndegree:
    """Every target draws k sources, with replacement, around its own place in the sheet.

    A place is drawn from a normal distribution around the target, in x and y, and a source from those in its cell of a
    grid; a place beside all sources is drawn again, and after 64 of them any source is taken. The work grows with the
    synapses, not with the pairs.

    Args:
        k: synapses that each target receives from each source population, >= 0.
        sigma: standard deviation of the distance along x and along y, in the unit of the positions, > 0.
        shift: (x, y) from the target to the middle of its sources.
        autapses: whether a neuron may be its own source.

    Raises:
        ValueError: k is negative, sigma is not positive, or shift is not two numbers.
    """

    k: int
    sigma: float
    shift: tuple[float, float] | None = None
    autapses: bool = False

    def __post_init__(self) -> None:
        require_whole("SpatialIndegree: k", self.k, 0)
        if not (self.sigma > 0 and math.isfinite(self.sigma)):
            raise ValueError(f"SpatialIndegree: sigma must be > 0, got {self.sigma}")
        if self.shift is not None and not (len(self.shift) == 2 and all(map(math.isfinite, self.shift))):
            raise ValueError(f"SpatialIndegree: shift must be two finite numbers, got {self.shift}")

    def check(self, pair: Pair) -> None:
        """Raise ValueError where the rule cannot connect this pair."""
        check_autapses("SpatialIndegree", pair, self.autapses)
        if pair.pre_positions is None or pair.post_positions is None:
            raise ValueError("SpatialIndegree: both populations must have positions")

    def expected(self, pair: Pair) -> float:
        """Mean number of synapses of the pair."""
        return float(self.k) * pair.n_post

    def draws(self, pair: Pair, targets: Targets) -> Iterator[Synapses]:
        """Give all synapses of some targets."""
        if not self.k or targets.first == targets.last:
            return
        assert pair.pre_positions is not None
        low, high = pair.pre_positions[:, :2].min(axis=0), pair.pre_positions[:, :2].max(axis=0)
        extent = np.maximum(high - low, 1e-9 * self.sigma)
        side = math.sqrt(extent[0] * extent[1] * _PER_CELL / pair.n_pre)
        side = max(side, float(extent.max()) * _PER_CELL / pair.n_pre)  # sources in a line
        cells = tuple(max(1, round(n)) for n in (extent / side).tolist())
        # cells end where the sources do, or those at the edge would share their cell with fewer and be drawn more often
        sides = tuple((extent / cells * (1 + 1e-9)).tolist())
        begin, member = spatial.sort_into_cells(pair.pre_positions, low, sides, cells)
        shift = (0.0, 0.0) if self.shift is None else (float(self.shift[0]), float(self.shift[1]))
        at_once = min(max(1, CHUNK // self.k), targets.last - targets.first)
        chunk = room(at_once * self.k)
        others = pair.recurrent and not self.autapses
        grid = (low, sides, cells, begin, member)
        for first in range(targets.first, targets.last, at_once):
            last = min(first + at_once, targets.last)
            of_targets = (pair.key, first, last, self.k, self.sigma, shift, pair.post_positions)
            yield chunk.front(spatial.indegree(*of_targets, *grid, others, *chunk))
