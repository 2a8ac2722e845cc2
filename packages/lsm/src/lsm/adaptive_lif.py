"""Leaky integrate-and-fire neurons whose threshold rises with every spike."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lsm.checks import require_above, require_at_least
from lsm.kernels import models
from lsm.lif import LIF


@dataclass(frozen=True)
class AdaptiveLIF(LIF):
    r"""A leaky integrate-and-fire neuron, see `LIF`, with a threshold that adapts.

        threshold(t) = threshold + beta a(t),    a' = -a / tau_a,    a <- a + 1 at a spike

    A spike raises the threshold from the next step on.

    Args:
        beta: rise of the threshold at a spike, in mV, >= 0.
        tau_a: time constant of the adaptation in ms, > 0.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Bellec, Salaj, Subramoney, Legenstein, Maass (2018), Long short-term memory and learning-to-learn in networks of
        spiking neurons, NeurIPS, arXiv:1803.09574.
    """

    beta: float = 1.8
    tau_a: float = 200.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("AdaptiveLIF: beta", self.beta, 0.0, unit="mV")
        require_above("AdaptiveLIF: tau_a", self.tau_a, 0.0, unit="ms")

    @property
    def code(self) -> int:
        """Number of the kernel, see `lsm.kernels.models`."""
        return models.ADAPTIVE_OF[super().code]

    @property
    def variables(self) -> tuple[str, ...]:
        """Those of `LIF`, then the adaptation."""
        return (*super().variables, "adaptation")

    def parameters(self, step: float, quantum_R: list[float], current: float, voltage: float) -> list[float]:
        """Constants that the kernel reads, see `lsm.kernels.adaptive_lif`."""
        of_lif = super().parameters(step, quantum_R, current, voltage)
        return [math.exp(-step / self.tau_a), self.beta, *of_lif]
