"""Bounds that every change of a weight keeps.

Axes: P individuals, E edges.
"""

from __future__ import annotations

import torch
from torch import Tensor


def bounded_change(strength_PE: Tensor, change_PE: Tensor, w_max: Tensor, softness: Tensor) -> Tensor:
    """Change magnitudes of weights within 0 <= w <= w_max.

        w <- clip(w + dw f, 0, w_max),  f = 1 - softness w / w_max for dw > 0,  1 - softness (1 - w / w_max) otherwise

    Args:
        strength_PE: magnitudes w, in [0, w_max].
        change_PE: dw.
        w_max: upper bound, > 0, broadcast.
        softness: 0 for hard bounds, 1 for soft bounds, broadcast.

    References:
        van Rossum, Bi, Turrigiano (2000), Stable Hebbian learning from spike timing-dependent plasticity, Journal of
        Neuroscience 20(23); Guetig, Aharonov, Rotter, Sompolinsky (2003) for what lies between.
    """
    filled_PE = strength_PE / w_max
    factor_PE = 1 - softness * torch.where(change_PE > 0, filled_PE, 1 - filled_PE)
    return (strength_PE + change_PE * factor_PE).clamp(min=0).minimum(w_max)
