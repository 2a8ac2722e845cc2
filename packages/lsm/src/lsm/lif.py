"""Leaky integrate-and-fire neurons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lsm.checks import require_finite
from lsm.distributions import Constant, Distribution, Normal, Uniform
from lsm.kernels import models

MOST_REFRACTORY = 32767  # steps: clocks have 16 bits


@dataclass(frozen=True)
class LIF:
    r"""Leaky integrate-and-fire, integrated exactly from step to step.

        tau_m dV/dt = -(V - rest) + tau_m / C I,     V >= threshold: spike, V <- reset for the refractory period

    With `synapse="delta"` a spike of weight w moves V by w mV at once, and is lost while the target is refractory.
    With `synapse="exponential"` it adds w pA to a current that decays with tau_syn; the order within a step is that of
    NEST's iaf_psc_exp: V from the current before, then the current decays and takes what arrives.

    Args:
        tau_m: membrane time constant, ms, > 0.
        threshold: mV, above reset.
        reset: mV.
        rest: mV.
        refractory: ms, rounded to steps, >= 0.
        synapse: "delta" (weights in mV) or "exponential" (weights in pA).
        tau_syn: decay of the current, ms, > 0; with `tau_syn_in` that of excitatory projections only.
        tau_syn_in: decay of the current of inhibitory projections, ms; tau_syn by default.
        capacitance: C, pF, > 0.
        initial: membrane at the start, mV: a number, Normal or Uniform; rest by default.

    Raises:
        ValueError: a constant is out of its range.

    References:
        Rotter, Diesmann (1999), Exact digital simulation of time-invariant linear systems, Biol. Cybern. 81.
    """

    tau_m: float = 20.0
    threshold: float = 20.0
    reset: float = 0.0
    rest: float = 0.0
    refractory: float = 2.0
    synapse: Literal["delta", "exponential"] = "delta"
    tau_syn: float = 0.5
    tau_syn_in: float | None = None
    capacitance: float = 250.0
    initial: float | Normal | Uniform | None = None

    def __post_init__(self) -> None:
        if self.synapse not in ("delta", "exponential"):
            raise ValueError(f"LIF: synapse must be 'delta' or 'exponential', got {self.synapse!r}")
        for name in ("tau_m", "tau_syn", "capacitance", *(() if self.tau_syn_in is None else ("tau_syn_in",))):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"LIF: {name} must be > 0, got {getattr(self, name)}")
        if not (self.refractory >= 0 and math.isfinite(self.refractory)):
            raise ValueError(f"LIF: refractory must be >= 0 ms, got {self.refractory}")
        if not (math.isfinite(self.reset) and math.isfinite(self.rest) and self.reset < self.threshold < math.inf):
            raise ValueError(f"LIF: threshold must be above reset, got {self.threshold} and {self.reset} mV")
        check_initial("LIF", self.initial)

    @property
    def code(self) -> int:
        """Number of the kernel, see `lsm.kernels.models`."""
        if self.synapse == "delta":
            return models.LIF_DELTA
        return models.LIF_EXPONENTIAL if len(self.receptors) == 1 else models.LIF_TWO_EXPONENTIALS

    @property
    def receptors(self) -> tuple[str, ...]:
        """Two where excitatory and inhibitory currents decay differently."""
        if self.synapse == "delta" or self.tau_syn_in in (None, self.tau_syn):
            return ("all",)
        return ("excitatory", "inhibitory")

    @property
    def variables(self) -> tuple[str, ...]:
        """Membrane (mV above rest), then the currents (pA)."""
        if self.synapse == "delta":
            return ("membrane",)
        return ("membrane", "current") if len(self.receptors) == 1 else ("membrane", "current", "current_in")

    @property
    def start(self) -> Distribution:
        """Membrane at the start, relative to rest, mV."""
        initial = self.rest if self.initial is None else self.initial
        if isinstance(initial, Normal):
            return Normal(initial.mean - self.rest, initial.sd, initial.low - self.rest, initial.high - self.rest)
        if isinstance(initial, Uniform):
            return Uniform(initial.low - self.rest, initial.high - self.rest)
        return Constant(initial - self.rest)

    def parameters(self, step: float, quantum_R: list[float], current: float, voltage: float) -> list[float]:
        """Constants that the kernel reads, see `lsm.kernels.lif`."""
        gain = -math.expm1(-step / self.tau_m)
        drift = gain * (self.tau_m / self.capacitance * current + voltage)
        common = [math.exp(-step / self.tau_m), drift, self.threshold - self.rest, self.reset - self.rest]
        common.append(refractory_steps(self.refractory, step))
        if self.synapse == "delta":
            return [*common, *quantum_R]
        taus = [self.tau_syn, self.tau_syn if self.tau_syn_in is None else self.tau_syn_in]
        for quantum, tau in zip(quantum_R, taus, strict=False):
            common += [quantum, math.exp(-step / tau), _membrane_of_current(step, self.tau_m, tau, self.capacitance)]
        return common


def check_initial(model: str, initial: object) -> None:
    """Raise where the membrane at the start is neither a finite number nor a distribution."""
    if initial is not None and not isinstance(initial, Normal | Uniform):
        require_finite(f"{model}: initial", initial)


def refractory_steps(refractory: float, step: float) -> int:
    """Steps of a refractory period.

    Args:
        refractory: ms.
        step: ms.

    Raises:
        ValueError: more than 32,767 steps.
    """
    steps = round(refractory / step)
    if steps > MOST_REFRACTORY:
        raise ValueError(f"refractory: at most {MOST_REFRACTORY} steps of {step} ms, got {refractory} ms")
    return steps


def _membrane_of_current(step: float, tau_m: float, tau_syn: float, capacitance: float) -> float:
    """What a current of 1 pA that decays with tau_syn adds to the membrane within a step, mV."""
    rate = 1 / tau_syn - 1 / tau_m
    grown = step if abs(rate * step) < 1e-12 else -math.expm1(-rate * step) / rate
    return math.exp(-step / tau_m) * grown / capacitance
