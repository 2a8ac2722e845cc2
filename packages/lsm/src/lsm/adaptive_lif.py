"""Leaky integrate-and-fire neurons whose threshold rises with every spike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lsm.checks import require_above, require_at_least


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How a threshold adapts.

        threshold(t) = threshold + beta a(t),    a' = -a / tau_a,    a <- a + 1 at a spike

    Args:
        beta: rise of the threshold at a spike, in mV, >= 0.
        tau_a: time constant of the adaptation in ms, > 0.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Bellec, Salaj, Subramoney, Legenstein, Maass (2018), Long short-term memory and learning-to-learn in networks of
        spiking neurons, NeurIPS, arXiv:1803.09574.
    """

    beta: float
    tau_a: float

    def __post_init__(self) -> None:
        require_at_least("beta", self.beta, 0.0, unit="mV")
        require_above("tau_a", self.tau_a, 0.0, unit="ms")

    def constants(self, step: float) -> tuple[float, float]:
        """exp(-h / tau_a) and beta."""
        return math.exp(-step / self.tau_a), self.beta


def adapted_threshold(
    adaptation: np.ndarray, threshold: np.ndarray | float, constants: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The adaptation at the end of a step, before the spikes of that step, and the threshold they must reach.

    Args:
        adaptation: a, float32 or float64; a spike of this step adds 1 to what is returned.
        threshold: without adaptation, mV, in the type of the adaptation.
        constants: of `Adaptation.constants`, in the type of the adaptation.
    """
    decay, beta = constants
    adaptation = decay * adaptation
    return adaptation, threshold + beta * adaptation
