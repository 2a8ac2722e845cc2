"""Slow traces: exponential averages over tokens with learnable time constants.

Shapes: B sequences, L tokens, H heads, d channels of a head, D = H d channels, C tokens of a chunk.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikeformer.retention import decay_mask


def slow_trace(
    u_BLD: Tensor, tau_H: Tensor, trace_BD: Tensor | None = None, *, chunk: int = 64
) -> tuple[Tensor, Tensor]:
    """Average every channel over the tokens so far, the older the less.

        y_i = a y_{i-1} + (1 - a) u_i,   a = exp(-1 / tau)

    Args:
        u_BLD: inputs, floating point, (B, L, D).
        tau_H: time constants in tokens, > 0, at least float32, one for D / H neighbouring channels, (H,).
        trace_BD: y before the first token, (B, D); None: zero.
        chunk: tokens that are computed at once, >= 1.

    Returns:
        y of every token, (B, L, D), and that of the last, (B, D), at least float32.

    Raises:
        ValueError: D is not a multiple of H.
    """
    u_BLD = u_BLD.to(torch.promote_types(u_BLD.dtype, torch.float32))  # in 16 bits slow decays are 1
    B, L, D = u_BLD.shape
    heads = len(tau_H)
    if D % heads:
        raise ValueError(f"slow_trace: {D} channels do not divide into {heads} time constants")
    decay_H = torch.exp(-1 / tau_H).to(u_BLD.dtype)
    gain_H = -torch.expm1(-1 / tau_H).to(u_BLD.dtype)
    u_BHLd = u_BLD.view(B, L, heads, -1).transpose(1, 2)
    y_BHd = u_BLD.new_zeros(B, heads, D // heads) if trace_BD is None else trace_BD.view(B, heads, -1)
    size = min(chunk, max(L, 1))
    weight_HCC = decay_mask(decay_H, size) * gain_H[:, None, None]
    since_HC = decay_H[:, None] ** torch.arange(1, size + 1, device=u_BLD.device)
    outputs = []
    for start in range(0, L, size):
        part = u_BHLd[:, :, start : start + size]
        n = part.shape[2]
        y_BHnd = weight_HCC[:, :n, :n] @ part + since_HC[:, :n, None] * y_BHd[:, :, None]
        y_BHd = y_BHnd[:, :, -1]
        outputs.append(y_BHnd)
    y_BHLd = torch.cat(outputs, 2) if outputs else u_BHLd
    return y_BHLd.transpose(1, 2).reshape(B, L, D), y_BHd.reshape(B, D)


class SlowTrace(nn.Module):
    """Slow traces of the channels of every head, with time constants that are learned within bounds.

        tau_h = low (high / low)^sigmoid(p_h)

    Args:
        heads: H, >= 1.
        tau_range: bounds (low, high) of the time constants in tokens. They start spread evenly in the logarithm.
    """

    def __init__(self, heads: int, tau_range: tuple[float, float]) -> None:
        super().__init__()
        self.tau_range = tau_range
        share_H = (torch.arange(heads, dtype=torch.float32) + 0.5) / heads
        self.place_H = nn.Parameter(torch.logit(share_H))

    @property
    def tau(self) -> Tensor:
        """Time constants in tokens, at least float32, (H,)."""
        low, high = self.tau_range
        place_H = self.place_H.to(torch.promote_types(self.place_H.dtype, torch.float32))
        return low * torch.exp(math.log(high / low) * torch.sigmoid(place_H))

    def forward(self, u_BLD: Tensor, trace_BD: Tensor | None = None, *, chunk: int = 64) -> tuple[Tensor, Tensor]:
        """See `slow_trace`; y of every token comes in the type of the parameters."""
        with torch.autocast(u_BLD.device.type, enabled=False):  # sums over many tokens need float32
            y_BLD, trace_BD = slow_trace(u_BLD, self.tau, trace_BD, chunk=chunk)
        return y_BLD.to(self.place_H.dtype), trace_BD
