"""Normalisation of the sum of a neuron's incoming excitatory weights (SORN).

Axes: P individuals, N neurons, E edges.
"""

from __future__ import annotations

import torch
from torch import Tensor


def incoming_sum(strength_PE: Tensor, target_PE: Tensor, excitatory_PE: Tensor, n_neurons: int) -> Tensor:
    """Sum of the excitatory magnitudes that reach each neuron, (P, N).

    Args:
        strength_PE: magnitudes, >= 0.
        target_PE: target of each edge, int64, in [0, N).
        excitatory_PE: bool; others do not count.
        n_neurons: N.
    """
    sum_PN = strength_PE.new_zeros(len(strength_PE), n_neurons)
    return sum_PN.scatter_add_(1, target_PE, torch.where(excitatory_PE, strength_PE, 0.0))


def normalization_factor(sum_PN: Tensor, target_sum_PN: Tensor, share: Tensor | float) -> Tensor:
    """What the excitatory weights of a neuron are multiplied with so that they add up to the target.

        w <- w (1 + share (target / sum - 1)),   unchanged where nothing comes in

    Args:
        sum_PN: sum of a neuron's excitatory magnitudes.
        target_sum_PN: what it should be.
        share: how far it goes there, in [0, 1]; 1 in the paper.

    References:
        Lazar, Pipa, Triesch (2009), SORN: a self-organizing recurrent neural network, Frontiers in Computational
        Neuroscience 3:23.
    """
    some_PN = sum_PN > 0
    return torch.where(some_PN, 1 + share * (target_sum_PN / torch.where(some_PN, sum_PN, 1.0) - 1), 1.0)
