"""Poisson drive: to every neuron its own train of external spikes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WHOLE = 1 << 32
MOST_PER_STEP = 1e6


@dataclass(frozen=True)
class Poisson:
    """Independent Poisson trains, one for each neuron, that act in the step in which they are drawn.

    Probabilities of the counts of a step are multiples of 2^-32.

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


def count_probabilities(mean: float) -> tuple[int, list[int]]:
    """Probabilities of a Poisson count in units of 2^-32.

    Args:
        mean: of the count, 0 to 10^6.

    Returns:
        The first count, and whole numbers for it and those after it; they add up to 2^32.
    """
    assert 0 <= mean <= MOST_PER_STEP
    if mean == 0:
        return 0, [WHOLE]
    reach = 7 * math.sqrt(mean) + 20
    low = max(0, int(mean - reach))
    counts = range(low, int(mean + reach) + 1)
    parts = [round(WHOLE * math.exp(n * math.log(mean) - mean - math.lgamma(n + 1))) for n in counts]
    while parts[-1] == 0:
        parts.pop()
    parts[parts.index(max(parts))] += WHOLE - sum(parts)
    return low, parts


def alias_table(parts: list[int]) -> NDArray[np.uint64]:
    """Make the table from which one 32-bit number draws an index exactly.

    The upper bits of the number pick a column; the column holds its own index up to a limit of the lower bits and
    another index from there.

    Args:
        parts: probabilities of the indices in units of 2^-32, at most 2^15 of them.

    Returns:
        Columns, a power of two: limit in bits 0 to 31, own index in 32 to 47, the other in 48 to 63; uint64.

    References:
        Walker (1977), An efficient method for generating discrete random variables, ACM TOMS 3(3).
    """
    n = max(2, 1 << (len(parts) - 1).bit_length())
    capacity = WHOLE // n
    left = [*parts, *([0] * (n - len(parts)))]
    table = np.zeros(n, np.uint64)
    small = [i for i in range(n) if left[i] < capacity]
    large = [i for i in range(n) if left[i] >= capacity]
    while small:
        i, other = small.pop(), large[-1]
        table[i] = left[i] | i << 32 | other << 48
        left[other] -= capacity - left[i]
        if left[other] < capacity:
            small.append(large.pop())
    for i in large:
        assert left[i] == capacity
        table[i] = capacity | i << 32 | i << 48
    return table
