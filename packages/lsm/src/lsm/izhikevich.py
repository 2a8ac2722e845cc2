"""Izhikevich's neuron of two variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm.checks import require_finite


@dataclass(frozen=True, kw_only=True)
class Izhikevich:
    """A spiking neuron that fires regularly, in bursts, fast or with adaptation, by four numbers.

        V' = 0.04 V^2 + 5 V + 140 - u + I,    u' = a (b V - u)
        a spike where V >= threshold, then V <- c, u <- u + d

    by forward Euler with the step of the network; a spike that arrives adds its weight (mV) to V. I is the sum of
    constant currents, in the model's own unit (mV / ms).

    Args:
        a: rate of recovery, 1 / ms.
        b: recovery per membrane.
        c: membrane after a spike, mV.
        d: jump of the recovery at a spike, mV / ms.
        threshold: in mV.

    Raises:
        ValueError: an argument is not finite, or c is not below the threshold.

    References:
        Izhikevich (2003), Simple model of spiking neurons, IEEE Transactions on Neural Networks 14(6).
    """

    a: float = 0.02
    b: float = 0.2
    c: float = -65.0
    d: float = 8.0
    threshold: float = 30.0

    def __post_init__(self) -> None:
        for name in ("a", "b", "c", "d", "threshold"):
            require_finite(name, getattr(self, name))
        if self.c >= self.threshold:
            raise ValueError(f"c: must be below the threshold of {self.threshold:g} mV, got {self.c!r}")

    def constants(self, step: float) -> tuple[float, ...]:
        """h, 0.04, 5, 140, h a, b, c, d, threshold: what `izhikevich_step` multiplies with."""
        return step, 0.04, 5.0, 140.0, step * self.a, self.b, self.c, self.d, self.threshold


def izhikevich_step(
    membrane: np.ndarray, recovery: np.ndarray, arrivals: np.ndarray, current: np.ndarray, constants: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring neurons one step on.

    Args:
        membrane: V in mV, float32 or float64.
        recovery: u.
        arrivals: what arrives in this step, in mV; it is in V at the end of the step.
        current: constant I.
        constants: of `Izhikevich.constants`, in the type of the membrane.

    Returns:
        Spikes, bool, and the new V and u.
    """
    h, square, linear, base, h_a, b, c, d, threshold = constants
    slope = square * membrane * membrane + linear * membrane + base - recovery + current
    moved = membrane + h * slope + arrivals
    recovery = recovery + h_a * (b * membrane - recovery)
    spikes = moved >= threshold
    return spikes, np.where(spikes, c, moved), np.where(spikes, recovery + d, recovery)
