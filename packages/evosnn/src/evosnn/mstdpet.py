"""STDP modulated by reward, with an eligibility trace, as Florian gave it.

Axes: P individuals, E edges.
"""

from __future__ import annotations

from torch import Tensor


def mstdpet_eligibility(trace_PE: Tensor, stdp_PE: Tensor, *, decay: Tensor | float, tau_z: Tensor | float) -> Tensor:
    """Bring the eligibility one step on: z <- z exp(-h / tau_z) + stdp / tau_z.

    Args:
        trace_PE: z.
        stdp_PE: what pair STDP would have done in this step, zeta.
        decay: exp(-h / tau_z).
        tau_z: time constant in ms, > 0.
    """
    return trace_PE * decay + stdp_PE / tau_z


def mstdpet_change(trace_PE: Tensor, reward_P: Tensor, *, gamma: float) -> Tensor:
    """Change of the weights when a reward comes: dw = gamma r z.

    Args:
        trace_PE: z.
        reward_P: r, the reward of this step.
        gamma: learning rate.

    Departs from:
        nothing here; a network keeps c = tau_z z instead of z, so that `Rule.reward` is gamma / tau_z.

    References:
        Florian (2007), Reinforcement learning through modulation of spike-timing-dependent synaptic plasticity, Neural
        Computation 19(6), equations 24 to 28.
    """
    return gamma * reward_P[:, None] * trace_PE
