"""Pair spike-timing-dependent plasticity with traces, all to all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lsm.checks import require_above, require_at_least, require_finite, require_fraction


@dataclass(frozen=True, kw_only=True)
class STDP:
    """Weights that grow where the source spikes before the target, and shrink where it spikes after.

    With the traces K+ of the source's and K- of the target's spikes, which decay with tau_plus and tau_minus and jump
    by 1 at a spike, and the whole delay of the projection on the dendrite's side (a target's spike reaches the synapse
    after the delay; the source's spike acts at once and its weight arrives after the delay):

        a target's spike reaches the synapse:   w <- w + rate w_max (1 - w / w_max)^mu_plus K+
        a source's spike:                       w <- w - alpha rate w_max (w / w_max)^mu_minus K-

    clipped to 0 ... w_max. Spikes that meet at the synapse in the same step do not pair.

    Args:
        rate: share of w_max that a pair changes, >= 0.
        alpha: depression over potentiation, >= 0.
        mu_plus: 0 for additive, 1 for multiplicative potentiation.
        mu_minus: the same for depression.
        tau_plus: in ms, > 0.
        tau_minus: in ms, > 0.
        w_max: bound of the weight; negative for inhibitory weights.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Gütig, Aharonov, Rotter, Sompolinsky (2003), Learning input correlations through nonlinear temporally asymmetric
        Hebbian plasticity, Journal of Neuroscience 23(9).
        Morrison, Aertsen, Diesmann (2007), Spike-timing-dependent plasticity in balanced random networks, Neural
        Computation 19.
    """

    rate: float = 0.01
    alpha: float = 1.0
    mu_plus: float = 1.0
    mu_minus: float = 1.0
    tau_plus: float = 20.0
    tau_minus: float = 20.0
    w_max: float = 100.0

    def __post_init__(self) -> None:
        require_at_least("rate", self.rate, 0.0)
        require_at_least("alpha", self.alpha, 0.0)
        require_fraction("mu_plus", self.mu_plus)
        require_fraction("mu_minus", self.mu_minus)
        require_above("tau_plus", self.tau_plus, 0.0, unit="ms")
        require_above("tau_minus", self.tau_minus, 0.0, unit="ms")
        require_finite("w_max", self.w_max)
        if self.w_max == 0:
            raise ValueError("w_max: must not be 0")

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest weight."""
        return min(0.0, self.w_max), max(0.0, self.w_max)


def _power(share: np.ndarray, mu: float) -> np.ndarray:
    if mu == 0:
        return np.ones_like(share)
    if mu == 1:
        return share
    # by the C library in float64, one by one: numpy's own power of arrays differs in the last bit
    return np.array([math.pow(x, mu) for x in share.reshape(-1).tolist()], share.dtype).reshape(share.shape)


def share_after_potentiation(share: np.ndarray, trace: np.ndarray, up: np.floating, mu: float) -> np.ndarray:
    """w / w_max after a target's spike has reached the synapses.

    Args:
        share: w / w_max, float32 or float64.
        trace: K+ of the sources, before what arrives in the same step, in the type of share, as all that follows.
        up: rate.
        mu: mu_plus.
    """
    one = share.dtype.type(1)
    return np.minimum(share + up * _power(one - share, mu) * trace, one)


def share_after_depression(share: np.ndarray, trace: np.ndarray, down: np.floating, mu: float) -> np.ndarray:
    """w / w_max after a source's spike; this is what it delivers.

    Args:
        share: w / w_max, float32 or float64.
        trace: K- of the targets, before what arrives in the same step, in the type of share, as all that follows.
        down: alpha times rate.
        mu: mu_minus.
    """
    return np.maximum(share - down * _power(share, mu) * trace, share.dtype.type(0))


def potentiated(w: np.ndarray, trace: np.ndarray, rule: STDP) -> np.ndarray:
    """Weights after a target's spike has reached them; see `share_after_potentiation`."""
    number = w.dtype.type
    return share_after_potentiation(w / number(rule.w_max), trace, number(rule.rate), rule.mu_plus) * number(rule.w_max)


def depressed(w: np.ndarray, trace: np.ndarray, rule: STDP) -> np.ndarray:
    """Weights after a source's spike; see `share_after_depression`."""
    number, down = w.dtype.type, rule.alpha * rule.rate
    return share_after_depression(w / number(rule.w_max), trace, number(down), rule.mu_minus) * number(rule.w_max)
