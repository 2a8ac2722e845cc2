"""Where neurons live: populations cut into 64 tiles, consecutive tiles joined to partitions.

Every population is cut into 64 slices; tile t is slice t of all populations. A partition is a run of tiles that one
thread owns at a time. What is drawn is keyed by neuron or tile, so results do not depend on the number of partitions.

Axes: G populations, P partitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TILES = 64
MOST_SMALL = 1 << 16  # neurons that a 16-bit local id can tell apart


def slice_start(n: int, tile: int) -> int:
    """First neuron of a tile's slice of a population of n."""
    return n * tile // TILES


def count_partitions(sizes: list[int], at_least: int) -> int:
    """Fewest partitions that share out the work and, where 64 suffice, keep local ids in 16 bits.

    Args:
        sizes: neurons of each population.
        at_least: threads over all ranks, 1 to 64.

    Returns:
        A power of two up to 64.
    """
    n_partitions = 1
    while n_partitions < at_least:
        n_partitions *= 2
    while n_partitions < TILES and Layout(tuple(sizes), n_partitions).most_local > MOST_SMALL:
        n_partitions *= 2
    return n_partitions


@dataclass(frozen=True)
class Layout:
    """Ranges of neurons by partition and population.

    Args:
        sizes: neurons of each population, (G,).
        n_partitions: P, a power of two up to 64.
    """

    sizes: tuple[int, ...]
    n_partitions: int

    def tiles(self, partition: int) -> range:
        """Tiles of a partition."""
        per = TILES // self.n_partitions
        return range(partition * per, (partition + 1) * per)

    @property
    def first_PG(self) -> NDArray[np.int64]:
        """First neuron of each population in each partition, and the end in row P; int64, (P + 1, G)."""
        per = TILES // self.n_partitions
        return np.array([[slice_start(n, p * per) for n in self.sizes] for p in range(self.n_partitions + 1)], np.int64)

    @property
    def local_PG(self) -> NDArray[np.int64]:
        """Local id of each population's first neuron in each partition, and the end; int64, (P, G + 1)."""
        lengths_PG = np.diff(self.first_PG, axis=0)
        return np.concatenate([np.zeros((self.n_partitions, 1), np.int64), np.cumsum(lengths_PG, axis=1)], axis=1)

    @property
    def most_local(self) -> int:
        """Neurons of the largest partition."""
        return int(self.local_PG[:, -1].max())
