"""The unit in which weights are whole numbers, so that sums do not depend on the order of what is added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

MOST_STEPS = 1 << 20  # of a common unit within the largest constant weight
MOST_SIGNED = 32767  # a weight kept for each synapse has 16 bits
MOST_SUM = 1 << 30


def quantum(constants: Sequence[float], reach: float, total: float, *, fine: bool = False) -> float:
    """Pick the unit of one receptor's weights.

    Where all weights are constants with a common measure, such as 0.1 and -0.5 mV, it is that measure and nothing is
    rounded. Otherwise it is the 2^20th part of the largest weight, or the 32767th part of `reach` where that is more.

    Args:
        constants: weights that are one number for a whole projection or drive.
        reach: largest magnitude of the weights that differ from synapse to synapse; 0 without such.
        total: bound of what one neuron can receive in a step, in the unit of the weights; the sum in units stays below
            2^30.
        fine: weights are multiplied by factors or learn, so a common measure does not help.

    Returns:
        The unit, > 0.
    """
    parts = [abs(Fraction(repr(float(weight)))) for weight in constants if weight]
    largest = max([*map(float, parts), reach], default=0.0)
    if not largest:
        return 1.0
    if not reach and not fine:
        denominator = math.lcm(*(part.denominator for part in parts))
        common = Fraction(math.gcd(*(int(part * denominator) for part in parts)), denominator)
        if largest / float(common) <= MOST_STEPS and total / float(common) <= MOST_SUM:
            return float(common)
    return max(reach / MOST_SIGNED, largest / MOST_STEPS, total / MOST_SUM)
