"""Leaky integrate-and-fire neurons with synaptic conductances."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lsm.checks import require_above, require_finite
from lsm.distributions import Distribution, Normal, Uniform
from lsm.kernels import models
from lsm.lif import LIF, refractory_steps


@dataclass(frozen=True)
class ConductanceLIF:
    r"""Leaky integrate-and-fire with conductances that decay exponentially.

        C dV/dt = -C / tau_m (V - rest) + g_ex (reversal_ex - V) + g_in (reversal_in - V) + I
        dg/dt = -g / tau_syn + arriving weights,    V >= threshold: spike, V <- reset for the refractory period

    A weight of w nS adds to g_ex; a negative one adds its magnitude to g_in. Conductances are exact. The membrane takes
    the mean conductance of a step by the implicit midpoint rule: stable for any step, its error of second order, and
    without an exponential, so that every kernel gives the same bits. Order within a step: V from the conductances
    before, then these decay and take what arrives.

    Args:
        tau_m: membrane time constant without synaptic conductance, ms, > 0.
        threshold: mV, above reset.
        reset: mV.
        rest: mV.
        refractory: ms, rounded to steps, >= 0.
        reversal_ex: mV.
        reversal_in: mV.
        tau_syn: decay of g_ex, ms, > 0.
        tau_syn_in: decay of g_in, ms, > 0.
        capacitance: C, pF, > 0.
        initial: membrane at the start, mV: a number, Normal or Uniform; rest by default.

    Raises:
        ValueError: a constant is out of its range.

    References:
        Vogels, Abbott (2005), Signal propagation and logic gating in networks of integrate-and-fire neurons, Journal of
        Neuroscience 25(46).
    """

    tau_m: float = 15.0
    threshold: float = -55.0
    reset: float = -60.0
    rest: float = -70.0
    refractory: float = 2.0
    reversal_ex: float = 0.0
    reversal_in: float = -85.0
    tau_syn: float = 0.2
    tau_syn_in: float = 2.0
    capacitance: float = 250.0
    initial: float | Normal | Uniform | None = None

    def __post_init__(self) -> None:
        for name in ("reversal_ex", "reversal_in"):
            require_finite(f"ConductanceLIF: {name}", getattr(self, name))
        require_above("ConductanceLIF: tau_syn_in", self.tau_syn_in, 0.0, unit="ms")
        self._leaky()

    def _leaky(self) -> LIF:
        return LIF(
            tau_m=self.tau_m, threshold=self.threshold, reset=self.reset, rest=self.rest, refractory=self.refractory,
            tau_syn=self.tau_syn, capacitance=self.capacitance, initial=self.initial,
        )  # fmt: skip

    @property
    def code(self) -> int:
        """Number of the kernel, see `lsm.kernels.models`."""
        return models.LIF_CONDUCTANCE

    @property
    def receptors(self) -> tuple[str, ...]:
        """The sign of a projection's weight decides."""
        return ("excitatory", "inhibitory")

    @property
    def variables(self) -> tuple[str, ...]:
        """Membrane (mV above rest), then the conductances (nS)."""
        return ("membrane", "conductance", "conductance_in")

    @property
    def start(self) -> Distribution:
        """Membrane at the start, relative to rest, mV."""
        return self._leaky().start

    def parameters(self, step: float, quantum_R: list[float], current: float, voltage: float) -> list[float]:
        """Constants that the kernel reads, see `lsm.kernels.conductance_lif`."""
        leak = self.capacitance / self.tau_m
        listed = [self.capacitance / step, leak / 2, current + leak * voltage]
        listed += [self.threshold - self.rest, self.reset - self.rest, refractory_steps(self.refractory, step)]
        taus = (self.tau_syn, self.tau_syn_in)
        reversals = (self.reversal_ex - self.rest, self.reversal_in - self.rest)
        for tau, reversal, quantum, sign in zip(taus, reversals, quantum_R, (1, -1), strict=True):
            half_mean = -tau * math.expm1(-step / tau) / step / 2
            listed += [sign * quantum, math.exp(-step / tau), half_mean, 2 * reversal]
        return listed
