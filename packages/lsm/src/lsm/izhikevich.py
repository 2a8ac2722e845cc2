"""Izhikevich's neuron of two variables."""

from __future__ import annotations

from dataclasses import dataclass

from lsm.checks import require_finite
from lsm.distributions import Constant, Distribution, Normal, Uniform
from lsm.kernels import models
from lsm.lif import check_initial


@dataclass(frozen=True)
class Izhikevich:
    """A spiking neuron that fires regularly, in bursts, fast or with adaptation, by four numbers.

        V' = 0.04 V^2 + 5 V + 140 - u + I,    u' = a (b V - u)
        a spike where V >= threshold, then V <- c, u <- u + d

    by forward Euler with the step of the network; a spike that arrives adds its weight (mV) to V. I is the
    voltage of `DC` and has the model's own unit (mV / ms); a current in pA is refused when the network is built.

    Args:
        a: rate of recovery, 1 / ms.
        b: recovery per membrane.
        c: membrane after a spike, mV.
        d: jump of the recovery at a spike, mV / ms.
        threshold: in mV.
        initial: membrane at the start, mV: a number, Normal or Uniform; c by default. u starts at b c.

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
    initial: float | Normal | Uniform | None = None

    def __post_init__(self) -> None:
        for name in ("a", "b", "c", "d", "threshold"):
            require_finite(name, getattr(self, name))
        if self.c >= self.threshold:
            raise ValueError(f"c: must be below the threshold of {self.threshold:g} mV, got {self.c!r}")
        check_initial("Izhikevich", self.initial)

    @property
    def code(self) -> int:
        """Number of the kernel, see `lsm.kernels.models`."""
        return models.IZHIKEVICH

    @property
    def receptors(self) -> tuple[str, ...]:
        """One: weights are in mV."""
        return ("all",)

    @property
    def variables(self) -> tuple[str, ...]:
        """Membrane (mV) and recovery (mV / ms above b c)."""
        return ("membrane", "recovery")

    @property
    def start(self) -> Distribution:
        """Membrane at the start, mV."""
        if self.initial is None:
            return Constant(self.c)
        return self.initial if isinstance(self.initial, Normal | Uniform) else Constant(self.initial)

    def parameters(self, step: float, quantum_R: list[float], current: float, voltage: float) -> list[float]:
        """Constants that the kernel reads, see `lsm.kernels.izhikevich`."""
        if current:
            raise ValueError(f"Izhikevich: its constant input is DC(voltage=...), got a current of {current:g} pA")
        # the recovery is kept from b c on, so that it starts at 0 like all variables but the membrane
        base = 140.0 - self.b * self.c + voltage
        return [step, 0.04, 5.0, base, step * self.a, self.b, self.c, self.d, self.threshold, *quantum_R]
