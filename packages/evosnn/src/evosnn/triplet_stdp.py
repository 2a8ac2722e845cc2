"""Triplet spike-timing-dependent plasticity, all to all.

Axes: P individuals, E edges.
"""

from __future__ import annotations

from torch import Tensor


def triplet_stdp_change(
    pre_PE: Tensor,
    post_PE: Tensor,
    r1_PE: Tensor,
    r2_PE: Tensor,
    o1_PE: Tensor,
    o2_PE: Tensor,
    *,
    a2_plus: Tensor | float,
    a3_plus: Tensor | float,
    a2_minus: Tensor | float,
    a3_minus: Tensor | float,
) -> Tensor:
    """Change of the weights in one step.

        dw = post r1 (a2_plus + a3_plus o2) - pre o1 (a2_minus + a3_minus r2)

    Args:
        pre_PE: spikes that arrive, 0 or 1.
        post_PE: spikes of the targets, 0 or 1.
        r1_PE: fast traces of arrivals (tau_plus), before those of this step.
        r2_PE: slow traces of arrivals (tau_x), before those of this step.
        o1_PE: fast traces of the targets' spikes (tau_minus), before those of this step.
        o2_PE: slow traces of the targets' spikes (tau_y), before those of this step.
        a2_plus: potentiation by pairs, broadcast.
        a3_plus: potentiation by triplets, broadcast.
        a2_minus: depression by pairs, broadcast.
        a3_minus: depression by triplets, broadcast.

    Departs from:
        the paper only where spikes meet in one step: none of the four traces has them yet, so a pair of no distance
        changes nothing by itself.

    References:
        Pfister, Gerstner (2006), Triplets of spikes in a model of spike timing-dependent plasticity, Journal of
        Neuroscience 26(38), equations 1 to 4.
    """
    return post_PE * (r1_PE * (a2_plus + a3_plus * o2_PE)) - pre_PE * (o1_PE * (a2_minus + a3_minus * r2_PE))
