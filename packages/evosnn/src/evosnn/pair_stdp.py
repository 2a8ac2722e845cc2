"""Pair spike-timing-dependent plasticity with traces, all to all.

Axes: P individuals, E edges.
"""

from __future__ import annotations

from torch import Tensor


def pair_stdp_change(
    pre_PE: Tensor, post_PE: Tensor, r1_PE: Tensor, o1_PE: Tensor, *, a2_plus: Tensor | float, a2_minus: Tensor | float
) -> Tensor:
    """Change of the weights in one step.

        dw = post a2_plus r1 - pre a2_minus o1

    Args:
        pre_PE: spikes that arrive, 0 or 1.
        post_PE: spikes of the targets, 0 or 1.
        r1_PE: traces of arrivals, before those of this step.
        o1_PE: traces of the targets' spikes, before those of this step.
        a2_plus: potentiation, broadcast.
        a2_minus: depression, broadcast.

    References:
        Song, Miller, Abbott (2000), Competitive Hebbian learning through spike-timing-dependent synaptic plasticity,
        Nature Neuroscience 3(9).
    """
    return post_PE * (r1_PE * a2_plus) - pre_PE * (o1_PE * a2_minus)


def decayed_trace(trace: Tensor, spikes: Tensor, decay: Tensor | float) -> Tensor:
    """Bring a trace one step on: x <- (x + spike) exp(-h / tau), the value before the spikes of the next step."""
    return (trace + spikes) * decay
