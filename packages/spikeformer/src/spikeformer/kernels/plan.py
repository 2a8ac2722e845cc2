"""What the kernels of the LIF neuron are told beside the tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LifPlan:
    """Reset, clamp and surrogate of a call.

    Args:
        reset: "subtract", "zero" or "none".
        bounds: least and greatest potential, or None.
        arctan: whether the surrogate derivative is height / ((rate u)^2 + 1); else it is height / (rate |u| + 1)^2.
        height: of the surrogate derivative at u = 0.
        rate: how fast the surrogate derivative falls.
        learn: whether backward gives gradients of beta and threshold.
    """

    reset: str
    bounds: tuple[float, float] | None = None
    arctan: bool = False
    height: float = 1.0
    rate: float = 25.0
    learn: bool = False
