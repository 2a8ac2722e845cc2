"""The spikes of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recording:
    """Spikes of a run, sorted by time and id.

    Args:
        times: end of the step in which each spike fell, ms since the simulation began, float64.
        ids: global ids, population by population, int64.
        counts: spikes of each population, whether or not they were recorded.
        sizes: neurons of each population.
        duration: ms.
    """

    times: NDArray[np.float64]
    ids: NDArray[np.int64]
    counts: dict[str, int]
    sizes: dict[str, int]
    duration: float

    def __len__(self) -> int:
        return len(self.times)

    def rates(self, population: str) -> float:
        """Mean rate of a population, Hz.

        Args:
            population: its name.

        Returns:
            Spikes a neuron and second.

        Raises:
            ValueError: there is no such population, or the run took no time.
        """
        self._check(population)
        if not self.duration:
            raise ValueError("Recording: a run of 0 ms has no rates")
        return self.counts[population] / (self.sizes[population] * self.duration / 1000)

    def spikes(self, population: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Recorded spikes of a population.

        Args:
            population: its name.

        Returns:
            Times, ms, and ids in the population.

        Raises:
            ValueError: there is no such population, or its spikes were counted only.
        """
        self._check(population)
        first = 0
        for name, size in self.sizes.items():
            if name == population:
                break
            first += size
        inside = (self.ids >= first) & (self.ids < first + self.sizes[population])
        if self.counts[population] and not inside.any():
            raise ValueError(f"Recording: the spikes of {population!r} were counted, not recorded; see run(record=...)")
        return self.times[inside], self.ids[inside] - first

    def _check(self, population: str) -> None:
        if population not in self.sizes:
            raise ValueError(f"Recording: no population {population!r}, there are {', '.join(self.sizes)}")
