"""Constant input."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DC:
    """The same constant input to every neuron.

    Args:
        current: pA.
        voltage: the shift of the resting membrane that the input brings about, mV.

    Raises:
        ValueError: a number is not finite.
    """

    current: float = 0.0
    voltage: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.current) and math.isfinite(self.voltage)):
            raise ValueError(f"DC: input must be finite, got current={self.current} pA, voltage={self.voltage} mV")
