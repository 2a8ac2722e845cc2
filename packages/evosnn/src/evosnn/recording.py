"""What networks did, step by step.

Axes: T steps, P individuals, C afferents, N neurons, E edges.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Recording:
    """What happened in each step.

    Attributes:
        spikes_TPN: spikes of the neurons, bool.
        afferents_TPC: spikes of the afferents, bool.
        membrane_TPN: membranes after the step.
        weights_TPE: weights after the step.
    """

    spikes_TPN: Tensor
    afferents_TPC: Tensor
    membrane_TPN: Tensor
    weights_TPE: Tensor
