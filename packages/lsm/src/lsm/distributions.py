"""What a weight, a delay or a starting membrane may be: a number, a distribution, or an array."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm.kernels import values

NORMAL_REACH = 8.6  # standard deviations that 53-bit uniforms reach
LEAST_SHARE = 1e-5  # of the draws that bounds must leave


@dataclass(frozen=True)
class Constant:
    """The same number for all."""

    value: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that can be drawn."""
        return self.value, self.value

    def parameters(self) -> tuple[int, float, float, float, float]:
        """What the kernel reads: kind, two parameters, bounds."""
        return values.CONSTANT, self.value, 0.0, self.value, self.value


@dataclass(frozen=True)
class Normal:
    """A normal distribution, drawn again while outside [low, high].

    Args:
        mean: mean, in the unit of what is drawn.
        sd: standard deviation, >= 0.
        low: smallest value allowed; without it there is no lower bound.
        high: largest value allowed.

    Raises:
        ValueError: sd is negative, a number is not finite, or fewer than one draw in 100,000 lies in [low, high].
    """

    mean: float
    sd: float
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd >= 0):
            raise ValueError(f"Normal: mean must be finite and sd >= 0, got mean={self.mean}, sd={self.sd}")
        if not self._share() >= LEAST_SHARE:  # draws would be repeated without end
            raise ValueError(
                f"Normal: [low, high] = [{self.low}, {self.high}] must be near mean={self.mean}; at least one in "
                f"100,000 draws with sd={self.sd} must lie there"
            )

    def _share(self) -> float:
        """Probability of [low, high]; NaN where an end is."""
        if self.sd == 0:
            return float(self.low <= self.mean <= self.high)
        low, high = ((end - self.mean) / (self.sd * math.sqrt(2)) for end in (self.low, self.high))
        return (math.erfc(low) - math.erfc(high)) / 2

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that can be drawn."""
        reach = NORMAL_REACH * self.sd
        return max(self.low, self.mean - reach), min(self.high, self.mean + reach)

    def parameters(self) -> tuple[int, float, float, float, float]:
        """What the kernel reads: kind, two parameters, bounds."""
        return values.NORMAL, self.mean, self.sd, *self.bounds


@dataclass(frozen=True)
class Uniform:
    """Every value of [low, high) alike.

    Args:
        low: smallest value.
        high: upper end, >= low.

    Raises:
        ValueError: an end is not finite, or they are swapped.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"Uniform: needs finite low <= high, got low={self.low}, high={self.high}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that can be drawn."""
        return self.low, self.high

    def parameters(self) -> tuple[int, float, float, float, float]:
        """What the kernel reads: kind, two parameters, bounds."""
        return values.UNIFORM, self.low, self.high - self.low, self.low, self.high


@dataclass(frozen=True, eq=False)
class Listed:
    """One number for each synapse or neuron, in their order."""

    table: NDArray[np.float64]

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest number of the list."""
        return (float(self.table.min()), float(self.table.max())) if len(self.table) else (0.0, 0.0)

    def parameters(self) -> tuple[int, float, float, float, float]:
        """What the kernel reads: kind, two parameters, bounds."""
        return values.LISTED, 0.0, 0.0, *self.bounds


Distribution = Constant | Normal | Uniform | Listed


def as_distribution(value: object, name: str) -> Distribution:
    """Take a number, an array or a distribution.

    Args:
        value: what the user gave.
        name: how an error calls it.

    Returns:
        The distribution.

    Raises:
        ValueError: a number is not finite.
        TypeError: it is none of these.
    """
    if isinstance(value, Constant | Normal | Uniform | Listed):
        return value
    try:
        table = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a number, an array, Normal or Uniform, got {value!r}") from error
    if not np.isfinite(table).all():
        raise ValueError(f"{name} must be finite, got {'an array with NaN or infinity' if table.ndim else value}")
    return Listed(np.ascontiguousarray(table.reshape(-1))) if table.ndim else Constant(float(table))


def draw(distribution: Distribution, words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One value for each word; for a list, words are positions in it.

    Args:
        distribution: what to draw from.
        words: uint64, (n,).

    Returns:
        Values, float64, (n,).
    """
    out = np.empty(len(words))
    table = distribution.table if isinstance(distribution, Listed) else np.empty(0)
    values.draw_values(distribution.parameters(), table, words, out)
    return out
