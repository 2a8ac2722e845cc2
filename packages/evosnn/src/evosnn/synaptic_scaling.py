"""Synaptic scaling: excitatory weights of a neuron grow or shrink together until it fires at its target rate.

Axes: P individuals, N neurons, E edges.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rate_trace(rate_PN: Tensor, spikes_PN: Tensor, *, decay: Tensor | float, step_ms: float) -> Tensor:
    """Bring the running mean of the rates one step on: r <- r exp(-h / tau) + z (1 - exp(-h / tau)) 1000 / h, in Hz."""
    return rate_PN * decay + spikes_PN * ((1 - decay) * (1000 / step_ms))


def scaling_factor(rate_PN: Tensor, *, eta: Tensor | float, target_hz: Tensor | float, duration_ms: float) -> Tensor:
    """What the excitatory weights of a neuron are multiplied with.

        w <- w exp(eta h (r* - r) / r*)

    Args:
        rate_PN: r in Hz, a running mean over seconds to minutes.
        eta: rate in 1 / ms, >= 0, broadcast.
        target_hz: r*, > 0, broadcast.
        duration_ms: time since the last scaling, > 0.

    References:
        Turrigiano, Leslie, Desai, Rutherford, Nelson (1998), Activity-dependent scaling of quantal amplitude in
        neocortical neurons, Nature 391; van Rossum, Bi, Turrigiano (2000).
    """
    return torch.exp(eta * duration_ms * ((target_hz - rate_PN) / target_hz))


def scale_weights(strength_PE: Tensor, factor_PE: Tensor, excitatory_PE: Tensor, w_max: Tensor | float) -> Tensor:
    """Multiply excitatory magnitudes with the factor of their target, up to w_max.

    Args:
        strength_PE: magnitudes, >= 0.
        factor_PE: factor of the target of each edge.
        excitatory_PE: bool.
        w_max: upper bound, broadcast.
    """
    scaled_PE = torch.minimum(strength_PE * factor_PE, torch.as_tensor(w_max, dtype=strength_PE.dtype))
    return torch.where(excitatory_PE, scaled_PE, strength_PE)
