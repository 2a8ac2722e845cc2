"""Currents that arrive late: every channel of a layer hears the last few tokens, each with a weight of its own.

Shapes: T micro-steps, B sequences, L tokens, D channels, K delays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def delayed(x_TBLD: Tensor, weight_KD: Tensor, before_TBPD: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Add up the last tokens' currents.

        y_i = sum_k w_k x_{i-k},   k = 0 ... K - 1

    Args:
        x_TBLD: currents, floating point, (T, B, L, D), L >= 1.
        weight_KD: w, (K, D), K >= 1.
        before_TBPD: currents of the P = K - 1 tokens before the first, the oldest first; None: zeros.

    Returns:
        y, (T, B, L, D), and the currents of the last K - 1 tokens, (T, B, K - 1, D), for the next call.

    References:
        Hammouamri, Khalfaoui-Hassani, Masquelier (2024), arXiv 2306.17670: learned delays of spiking networks as
        weights of a convolution in time. Peng et al. (2023), arXiv 2305.13048, section 3.1: a token mixed with the one
        before it, in front of linear attention.
    """
    n_before, length = len(weight_KD) - 1, x_TBLD.shape[2]
    if not n_before:
        return x_TBLD * weight_KD[0], x_TBLD[:, :, :0]
    if before_TBPD is None:
        before_TBPD = x_TBLD.new_zeros(*x_TBLD.shape[:2], n_before, x_TBLD.shape[3])
    whole = torch.cat([before_TBPD, x_TBLD], 2)
    y_TBLD = x_TBLD * weight_KD[0]
    for k in range(1, n_before + 1):
        y_TBLD = torch.addcmul(y_TBLD, whole[:, :, n_before - k : n_before - k + length], weight_KD[k])
    return y_TBLD, whole[:, :, length:]


class TokenDelays(nn.Module):
    """Learned delays of every channel; at the start only what is not delayed comes through.

    Args:
        channels: D.
        delays: K, >= 1.
    """

    def __init__(self, channels: int, delays: int) -> None:
        super().__init__()
        self.weight_KD = nn.Parameter(torch.zeros(delays, channels))
        nn.init.ones_(self.weight_KD[0])

    def forward(self, x_TBLD: Tensor, before_TBPD: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `delayed`."""
        return delayed(x_TBLD, self.weight_KD.to(x_TBLD.dtype), before_TBPD)
