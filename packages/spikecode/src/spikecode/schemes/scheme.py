"""What every coding scheme says about itself.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from spikecode.population import Population


@dataclass(frozen=True)
class Moments:
    """Mean and variance of a neuron's statistic, by the probability p of a spike in a bin.

    Args:
        mean_Z: mean, float64, (Z,).
        slope_Z: derivative of the mean by p, float64, (Z,).
        variance_Z: variance, float64, (Z,).
    """

    mean_Z: Tensor
    slope_Z: Tensor
    variance_Z: Tensor


@dataclass(frozen=True)
class Scheme(ABC):
    """A coding scheme. Its statistic of a train is what the decoders use; a silent neuron has statistic 0."""

    name: ClassVar[str]
    kind: ClassVar[int]  # what the kernels know it by
    counts: ClassVar[bool]  # the statistic is the number of spikes
    linear: ClassVar[bool]  # the mean of the statistic is proportional to the rate: averages of it make sense
    shiftable: ClassVar[bool]  # a shift in time leaves the statistic as it is and no bin is silent by itself

    @abstractmethod
    def check(self, population: Population, steps: int, refractory: int) -> None:
        """Refuse a combination that the scheme cannot make.

        Args:
            population: the neurons.
            steps: T.
            refractory: bins after a spike in which none may follow.

        Raises:
            ValueError: the combination is not possible.
        """

    @abstractmethod
    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:
        """What the kernel gets for each entry, in units of 2^-32: float64 before scaling, (Z,)."""

    @abstractmethod
    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:
        """Moments of the statistic at each entry."""

    def mean_spikes(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:
        """Expected number of spikes of a neuron in T bins at each entry, float64, (Z,)."""
        return self.moments(p_Z, steps, refractory).mean_Z

    @abstractmethod
    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:
        """For the kernel: bins that separate spikes, cycles, bins of a cycle."""

    def facts(self) -> dict[str, Any]:
        """Name and parameters, as JSON takes them."""
        return {"name": self.name, **asdict(self)}


def sixth(mean_Z: Tensor, most: float) -> Tensor:
    """Variance of a number rounded at random: 1/6 on average, less where it can only be 0 or the most it can be."""
    room_Z = mean_Z.minimum(most - mean_Z).clamp(min=0)
    return (room_Z * (1 - room_Z)).where(room_Z < 0.2113, room_Z.new_tensor(1 / 6)).clamp(min=1e-4)
