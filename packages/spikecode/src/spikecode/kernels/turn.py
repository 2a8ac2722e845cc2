"""Turning packed trains in time without unpacking them.

Shapes: R rows, W neurons of a window, K words of a train.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikecode.kernels.plan import Plan
from spikecode.random_streams import signed


def _shifted(words_RWK: Tensor, by_R: Tensor) -> Tensor:
    """Move bits by a number of bins, to later ones where it is positive; what leaves the words is lost."""
    n_words = words_RWK.shape[2]
    whole_R1 = torch.div(by_R, 64, rounding_mode="floor")[:, None]
    bits_R11 = (by_R % 64)[:, None, None]
    source_RK = torch.arange(n_words, device=by_R.device) - whole_R1

    def words_at(index_RK: Tensor) -> Tensor:
        known_RK = (index_RK >= 0) & (index_RK < n_words)
        taken_RWK = words_RWK.gather(2, index_RK.clamp(0, n_words - 1)[:, None].expand_as(words_RWK))
        return taken_RWK * known_RK[:, None]

    low_mask_R11 = (torch.ones_like(bits_R11) << bits_R11) - 1
    # The bits that cross into a word come from the top of the one before: rotate them down, then keep those alone.
    crossing_RWK = (words_at(source_RK - 1) >> (64 - bits_R11).clamp(max=63)) & low_mask_R11
    return (words_at(source_RK) << bits_R11) | crossing_RWK


def turn_words(words_RWK: Tensor, shift_R: Tensor, plan: Plan) -> Tensor:
    """Put a pause before the active bins and turn the whole by a shift.

    Args:
        words_RWK: trains of the active bins, int64, (R, W, K).
        shift_R: bins to turn by, 0 to T - 1, (R,).
        plan: active bins and T.

    Returns:
        Trains of T bins, int64, (R, W, K).
    """
    shift_R = shift_R.long()
    later_RWK = _shifted(words_RWK, shift_R + 1)
    if plan.steps % 64:
        later_RWK[..., -1] &= signed((1 << (plan.steps % 64)) - 1)
    return later_RWK | _shifted(words_RWK, shift_R - plan.active)
