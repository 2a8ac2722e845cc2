"""Homeostatic intrinsic plasticity: a neuron's threshold moves until it fires at its target rate.

Axes: P individuals, N neurons.
"""

from __future__ import annotations

from torch import Tensor


def intrinsic_change(offset_PN: Tensor, spikes_PN: Tensor, eta: Tensor | float, expected: Tensor | float) -> Tensor:
    """Bring the offset of the threshold one step on: offset <- offset + eta (z - r* h).

    Args:
        offset_PN: what has been added to the threshold so far.
        spikes_PN: z, 0 or 1, in the type of the offset.
        eta: step for a spike, >= 0, broadcast.
        expected: r* h, spikes a step at the target rate, broadcast.

    References:
        Lazar, Pipa, Triesch (2009), SORN: a self-organizing recurrent neural network, Frontiers in Computational
        Neuroscience 3:23, equation 5.
    """
    return offset_PN + eta * (spikes_PN - expected)
