"""The plasticity of a network as coefficients: what evolves of its learning."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

_POSITIVE = ("tau_plus", "tau_minus", "tau_x", "tau_y", "tau_c", "target_hz", "tau_rate", "w_max")
_NOT_NEGATIVE = ("tau_n", "scaling", "intrinsic")
_SHARES = ("centre", "normalise", "softness")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Coefficients of all plasticity of a network; 0 turns a part off, and `Rule()` is a network that does not learn.

    With traces r1 (tau_plus) and r2 (tau_x) of the spikes that arrive over a synapse, o1 (tau_minus) and o2 (tau_y) of
    its target's spikes, all read before the increments of the same step, a synapse of magnitude w sees

        s   = post r1 (a2_plus + a3_plus o2) - pre o1 (a2_minus + a3_minus r2)          pair and triplet STDP
        c'  = -c / tau_c + s,    n' = -n / tau_n + (reward - mean) / tau_n              eligibility and dopamine
        w'  = direct s + reward c (n - baseline)

    within 0 <= w <= w_max. The sign of a synapse stays as it is. Times are in ms, rates in Hz.

    Args:
        a2_plus: potentiation by a pair pre before post.
        a3_plus: potentiation by a triplet post, pre, post.
        a2_minus: depression by a pair post before pre.
        a3_minus: depression by a triplet pre, post, pre.
        tau_plus: time constant of r1, > 0.
        tau_minus: time constant of o1, > 0.
        tau_x: time constant of r2, > 0.
        tau_y: time constant of o2, > 0.
        direct: rate of STDP that acts at once.
        reward: rate of STDP that waits for reward.
        tau_c: time constant of the eligibility c, > 0.
        tau_n: time constant of the dopamine n, >= 0; 0 lets a reward act in the step in which it comes (MSTDPET).
        baseline: dopamine at which nothing is learned.
        centre: share of each reward that the running mean takes over, in [0, 1]; 0 leaves rewards as they are.
        scaling: rate of synaptic scaling of excitatory synapses, 1 / ms, >= 0.
        target_hz: rate that scaling and intrinsic plasticity bring a neuron to, > 0.
        tau_rate: time constant of the rate that scaling sees, > 0.
        intrinsic: rise of the threshold with each spike above the target rate, >= 0.
        normalise: how far the sum of a neuron's excitatory synapses is set back to what it was at birth, in [0, 1].
        w_max: greatest magnitude of a weight, > 0.
        softness: 0 for hard bounds, 1 for steps in proportion to the distance from the bound, in [0, 1].

    Raises:
        ValueError: a coefficient is not finite or out of its range.
    """

    a2_plus: float = 0.0
    a3_plus: float = 0.0
    a2_minus: float = 0.0
    a3_minus: float = 0.0
    tau_plus: float = 16.8
    tau_minus: float = 33.7
    tau_x: float = 946.0
    tau_y: float = 114.0
    direct: float = 0.0
    reward: float = 0.0
    tau_c: float = 1000.0
    tau_n: float = 200.0
    baseline: float = 0.0
    centre: float = 0.0
    scaling: float = 0.0
    target_hz: float = 20.0
    tau_rate: float = 5000.0
    intrinsic: float = 0.0
    normalise: float = 0.0
    w_max: float = 20.0
    softness: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"Rule: {item.name} must be a finite number, got {value!r}")
            object.__setattr__(self, item.name, float(value))
        for names, allowed, fits in (
            (_POSITIVE, "> 0", lambda x: x > 0),
            (_NOT_NEGATIVE, ">= 0", lambda x: x >= 0),
            (_SHARES, "in [0, 1]", lambda x: 0 <= x <= 1),
        ):
            for name in names:
                if not fits(getattr(self, name)):
                    raise ValueError(f"Rule: {name} must be {allowed}, got {getattr(self, name):g}")

    @property
    def learns(self) -> bool:
        """Whether anything changes at all."""
        stdp = (self.direct or self.reward) and (self.a2_plus or self.a3_plus or self.a2_minus or self.a3_minus)
        return bool(stdp or self.scaling or self.intrinsic or self.normalise)

    def replace(self, **changes: Any) -> Rule:
        """The rule with other values in some coefficients.

        Raises:
            ValueError: as for `Rule`.
        """
        return replace(self, **changes)

    @classmethod
    def off(cls) -> Rule:
        """No plasticity."""
        return cls()

    @classmethod
    def pair(cls, **changes: Any) -> Rule:
        """Pair STDP, all to all, with slightly more depression than potentiation (Song, Miller and Abbott 2000)."""
        amplitudes = {"a2_plus": 0.005, "a2_minus": 0.00525, "tau_plus": 20.0, "tau_minus": 20.0}
        return cls(**amplitudes | {"direct": 1.0} | changes)

    @classmethod
    def triplet_visual_cortex(cls, **changes: Any) -> Rule:
        """Minimal triplet STDP, all to all, fitted to visual cortex (Pfister and Gerstner 2006, table 4)."""
        return cls(**{"a3_plus": 6.5e-3, "a2_minus": 7.1e-3, "tau_y": 114.0, "direct": 1.0} | changes)

    @classmethod
    def triplet_hippocampus(cls, **changes: Any) -> Rule:
        """Full triplet STDP, all to all, fitted to hippocampal culture (Pfister and Gerstner 2006, table 4)."""
        amplitudes = {"a2_plus": 6.1e-3, "a3_plus": 6.7e-3, "a2_minus": 1.6e-3, "a3_minus": 1.4e-3}
        return cls(**amplitudes | {"tau_x": 946.0, "tau_y": 27.0, "direct": 1.0} | changes)

    @classmethod
    def reward_stdp(cls, **changes: Any) -> Rule:
        """STDP modulated by dopamine (Izhikevich 2007)."""
        amplitudes = {"a2_plus": 1.0, "a2_minus": 1.5, "tau_plus": 20.0, "tau_minus": 20.0}
        return cls(**amplitudes | {"reward": 1.0, "tau_c": 1000.0, "tau_n": 200.0} | changes)

    @classmethod
    def mstdpet(cls, **changes: Any) -> Rule:
        """STDP modulated by reward, with an eligibility trace (Florian 2007): `reward` is gamma / tau_z."""
        amplitudes = {"a2_plus": 1.0, "a2_minus": 1.0, "tau_plus": 20.0, "tau_minus": 20.0}
        return cls(**amplitudes | {"reward": 1 / 25, "tau_c": 25.0, "tau_n": 0.0} | changes)
