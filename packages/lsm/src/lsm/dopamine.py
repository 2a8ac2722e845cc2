"""Plasticity that dopamine gates: what spikes have marked becomes weight while dopamine is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lsm.checks import require_above, require_at_least, require_finite


@dataclass(frozen=True, kw_only=True)
class DopamineSTDP:
    """Spike timing writes an eligibility c; dopamine n turns it into weight.

        c' = -c / tau_c   + A_plus K+   at a target's spike that has reached the synapse
                          - A_minus K-  at a source's spike
        n' = -n / tau_n   + (sum of released dopamine) / tau_n
        w' = c (n - baseline),  clipped to w_min ... w_max

    integrated exactly. The traces K+ and K- and the part of the delay are those of `STDP`. Dopamine is released by the
    spikes of a population (1 each) after `dopamine_delay`, and by `Simulation.run(reward=...)`.

    Args:
        A_plus: eligibility for a pair in the causal order.
        A_minus: against the causal order, >= 0.
        tau_plus: in ms, > 0.
        tau_minus: in ms, > 0.
        tau_c: of the eligibility, in ms, > 0.
        tau_n: of the dopamine, in ms, > 0.
        baseline: dopamine at which nothing changes.
        w_min: least weight.
        w_max: greatest weight.
        dopamine: name of the population whose spikes release dopamine; "" for rewards alone.
        dopamine_delay: from such a spike to its release at the synapses, in ms; at least one step.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Izhikevich (2007), Solving the distal reward problem through linkage of STDP and dopamine signaling, Cerebral
        Cortex 17(10).
        Potjans, Morrison, Diesmann (2010), Enabling functional neural circuit simulations with distributed computing of
        neuromodulated plasticity, Frontiers in Computational Neuroscience 4.
    """

    A_plus: float = 1.0
    A_minus: float = 1.5
    tau_plus: float = 20.0
    tau_minus: float = 20.0
    tau_c: float = 1000.0
    tau_n: float = 200.0
    baseline: float = 0.0
    w_min: float = 0.0
    w_max: float = 200.0
    dopamine: str = ""
    dopamine_delay: float = 1.0

    def __post_init__(self) -> None:
        require_finite("A_plus", self.A_plus)
        require_at_least("A_minus", self.A_minus, 0.0)
        for name in ("tau_plus", "tau_minus", "tau_c", "tau_n", "dopamine_delay"):
            require_above(name, getattr(self, name), 0.0, unit="ms")
        require_finite("baseline", self.baseline)
        require_finite("w_min", self.w_min)
        require_finite("w_max", self.w_max)
        if self.w_min >= self.w_max:
            raise ValueError(f"w_min: must be below w_max, got {self.w_min!r} and {self.w_max!r}")

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest weight."""
        return self.w_min, self.w_max


@dataclass
class DopamineLevel:
    """Dopamine of one projection, and what it has done since the beginning t0 of an interval.

    Eligibilities are kept as of t0, c0, so that a step costs nothing per synapse: at t in the interval

        c(t) = c0 exp(-(t - t0) / tau_c),    w(t) = w0 + c0 I(t),
        I(t) = integral from t0 to t of exp(-(s - t0) / tau_c) (n(s) - baseline) ds

    where w0 is the weight less what later eligibility would have had of I: see `eligible`. An interval lasts about
    tau_c; at its end every synapse is settled.

    Attributes:
        n: dopamine now.
        integral: I(t).
        age: steps since t0.
    """

    n: float = 0.0
    integral: float = 0.0
    age: int = 0


@dataclass(frozen=True)
class DopamineConstants:
    """What a step of h multiplies with.

    Attributes:
        decay: exp(-h / tau_n), of the dopamine.
        per_dopamine: integral over a step of exp(-s (1 / tau_c + 1 / tau_n)).
        per_baseline: the baseline times the integral of exp(-s / tau_c).
        left: exp(-k h / tau_c) for k = 0 ... length.
        growth: exp(k h / tau_c), the factor from an eligibility now to one as of t0.
        release: what one spike adds to the dopamine, 1 / tau_n.
    """

    decay: float
    per_dopamine: float
    per_baseline: float
    left: np.ndarray
    growth: np.ndarray
    release: float

    @property
    def length(self) -> int:
        """Steps of an interval."""
        return len(self.left) - 1


def dopamine_constants(rule: DopamineSTDP, step: float) -> DopamineConstants:
    """The constants of a rule for steps of `step` ms."""
    rate = 1 / rule.tau_c + 1 / rule.tau_n
    k = np.arange(max(1, round(rule.tau_c / step)) + 1)
    return DopamineConstants(
        decay=math.exp(-step / rule.tau_n),
        per_dopamine=-math.expm1(-step * rate) / rate,
        per_baseline=-rule.baseline * rule.tau_c * math.expm1(-step / rule.tau_c),
        left=np.exp(-k * step / rule.tau_c),
        growth=np.exp(k * step / rule.tau_c),
        release=1 / rule.tau_n,
    )


def dopamine_step(level: DopamineLevel, constants: DopamineConstants) -> None:
    """Bring the dopamine one step on; at the end of an interval the synapses must be settled first (`age` = length)."""
    assert level.age < constants.length
    change = level.n * constants.per_dopamine - constants.per_baseline
    level.integral += float(constants.left[level.age]) * change
    level.n *= constants.decay
    level.age += 1


def settled(w0: np.ndarray, c0: np.ndarray, integral: float, rule: DopamineSTDP) -> np.ndarray:
    """Weights now, clipped, in the type of w0."""
    number = w0.dtype.type
    return np.minimum(np.maximum(w0 + c0 * number(integral), number(rule.w_min)), number(rule.w_max))


def eligible(
    w0: np.ndarray,
    c0: np.ndarray,
    change: np.ndarray,
    level: DopamineLevel,
    constants: DopamineConstants,
    rule: DopamineSTDP,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Change eligibilities now.

    Args:
        w0: weights as of the interval.
        c0: eligibilities as of the interval.
        change: what is added to the eligibility now.
        level: the dopamine.
        constants: of `dopamine_constants`.
        rule: the bounds.

    Returns:
        The weights now, and the new w0 and c0.
    """
    number = w0.dtype.type
    now = settled(w0, c0, level.integral, rule)
    c0 = c0 + change * number(constants.growth[level.age])
    return now, now - c0 * number(level.integral), c0
