"""Poisson drive: to every neuron its own train of external spikes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 48  # of the number that draws a count
GUIDE_BITS = 11  # of them that settle it nearly always
UNSETTLED = 0xFFFF
MOST_PER_STEP = 1e6


@dataclass(frozen=True)
class Poisson:
    """Independent Poisson trains, one for each neuron, that act in the step in which they are drawn.

    Probabilities of the counts of a step are multiples of 2^-48.

    Args:
        rate: Hz, summed over the external synapses of a neuron, >= 0.
        weight: of each external spike, in the unit of the neuron's synapses.

    Raises:
        ValueError: rate is negative, or a number is not finite.
    """

    rate: float
    weight: float

    def __post_init__(self) -> None:
        if not (self.rate >= 0 and math.isfinite(self.rate)):
            raise ValueError(f"Poisson: rate must be >= 0 Hz, got {self.rate}")
        if not math.isfinite(self.weight):
            raise ValueError(f"Poisson: weight must be finite, got {self.weight}")


def count_limits(mean: float) -> tuple[int, NDArray[np.uint64]]:
    """Cumulated probabilities of a Poisson count in units of 2^-48.

    Args:
        mean: of the count, 0 to 10^6.

    Returns:
        The least count; and limits, uint64: a number below 2^48 draws the least count plus the limits that are not
        above it.
    """
    assert 0 <= mean <= MOST_PER_STEP
    if mean == 0:
        return 0, np.empty(0, np.uint64)
    reach = 9 * math.sqrt(mean) + 20
    least = max(0, int(mean - reach))
    counts = range(least, int(mean + reach) + 1)
    parts = [round(2.0**BITS * math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))) for n in counts]
    parts[parts.index(max(parts))] += (1 << BITS) - sum(parts)
    limits = np.cumsum(np.array(parts, np.uint64))
    return least, limits[limits < 1 << BITS]


def count_guide(limits: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """What the upper bits of a number settle.

    Args:
        limits: of `count_limits`.

    Returns:
        For every value of the upper 11 bits how many limits are not above the number, or UNSETTLED; uint16, (2048,).
    """
    width = 1 << (BITS - GUIDE_BITS)
    first = np.arange(1 << GUIDE_BITS, dtype=np.uint64) * np.uint64(width)
    low, high = (np.searchsorted(limits, number, side="right") for number in (first, first + np.uint64(width - 1)))
    return np.where(low == high, low, UNSETTLED).astype(np.uint16)
