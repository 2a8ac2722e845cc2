"""Thresholds that rise with a neuron's own spikes (ALIF), and that homeostasis moves.

Axes: P individuals, N neurons.
"""

from __future__ import annotations

from torch import Tensor


def effective_threshold(base_PN: Tensor, beta_PN: Tensor, adaptation_PN: Tensor, offset_PN: Tensor) -> Tensor:
    """The threshold of a step: v_th + beta a + offset.

    Args:
        base_PN: v_th.
        beta_PN: rise per unit of adaptation; 0 for a plain LIF neuron.
        adaptation_PN: a.
        offset_PN: what intrinsic plasticity has added.

    References:
        Bellec, Salaj, Subramoney, Legenstein, Maass (2018), Long short-term memory and learning-to-learn in networks of
        spiking neurons, arXiv 1803.09574.
    """
    return base_PN + beta_PN * adaptation_PN + offset_PN


def adapt(adaptation_PN: Tensor, spikes_PN: Tensor, rho_PN: Tensor) -> Tensor:
    """Bring the adaptation one step on: a <- rho a + z.

    Args:
        adaptation_PN: a.
        spikes_PN: z, 0 or 1, in the type of a.
        rho_PN: exp(-h / tau_a); tau_a of 200 to 2000 ms gives a working memory.
    """
    return rho_PN * adaptation_PN + spikes_PN
