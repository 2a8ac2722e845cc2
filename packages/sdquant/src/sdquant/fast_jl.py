"""Fast Johnson-Lindenstrauss transform.

Shapes: N vectors, D dimensions, P padded dimensions, K random draws, O outputs.
"""

from __future__ import annotations

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from sdquant.hadamard import block_fwht

_PAD_TO = 64


class FastJL(nn.Module):
    """Random projection that keeps norms in expectation, in O(D log D) a draw.

        y = sqrt(P / O) R W S_2 Pi W S_1 pad(x)

    with S_1, S_2 random signs, Pi a random permutation, W the blockwise Walsh-Hadamard transform of `block_fwht`, R a
    choice of O rows without replacement, and P the next multiple of 64. For O > P independent draws are stacked; all
    but the last keep all their rows, so E norm2(y)^2 = norm2(x)^2 holds exactly and for O = k P without spread.

    Args:
        dim: D, dimensions of the input, >= 1.
        out: O, dimensions of the output, >= 1; may exceed dim.
        seed: key of the draw. Signs, permutation and rows are drawn on the CPU, so they are the same on every device.

    Shape:
        Input (..., D), float32 or float64; output (..., O), same dtype and device.

    Raises:
        ValueError: dim or out is below 1, or the input's last axis is not dim.

    References:
        Ailon, Chazelle (2009), SIAM Journal on Computing 39(1): signs, Hadamard, sampling.
        Yu et al. (2016), arXiv 1610.09072: several sign-Hadamard rounds.

    Departs from:
        The permutation between the rounds: with P not a power of two W mixes within blocks only, and without it two
        rounds would leave the blocks apart.
    """

    signs_KRP: Tensor
    permutation_KP: Tensor
    rows_L: Tensor

    def __init__(self, dim: int, out: int, seed: int) -> None:
        super().__init__()
        if dim < 1 or out < 1:
            raise ValueError(f"FastJL: dim and out must be at least 1, got dim={dim}, out={out}")
        self.dim, self.out, self.seed = dim, out, seed
        self.padded = -(-dim // _PAD_TO) * _PAD_TO
        n_draws = -(-out // self.padded)
        signs, permutations = [], []
        for draw in range(n_draws):
            generator = keyed_generator(seed, "sdquant.FastJL", draw)
            signs.append(torch.randint(0, 2, (2, self.padded), generator=generator) * 2 - 1)
            permutations.append(torch.randperm(self.padded, generator=generator))
        n_last = out - (n_draws - 1) * self.padded
        rows = torch.randperm(self.padded, generator=keyed_generator(seed, "sdquant.FastJL.rows", 0))[:n_last]
        # Not saved: the seed holds it all.
        self.register_buffer("signs_KRP", torch.stack(signs).to(torch.int8), persistent=False)
        self.register_buffer("permutation_KP", torch.stack(permutations), persistent=False)
        self.register_buffer("rows_L", rows.sort().values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Project x, (..., D), to (..., O)."""
        if not x.ndim or x.shape[-1] != self.dim:
            raise ValueError(f"FastJL: expected input (..., {self.dim}), got {tuple(x.shape)}")
        padded = nn.functional.pad(x, (0, self.padded - self.dim))
        draws = [self._draw(padded, k) for k in range(len(self.signs_KRP))]
        draws[-1] = draws[-1][..., self.rows_L]
        return torch.cat(draws, dim=-1) * (self.padded / self.out) ** 0.5

    def matrix(self) -> Tensor:
        """Give the transform as a dense matrix, float32, (O, D)."""
        return self(torch.eye(self.dim, device=self.rows_L.device)).T.contiguous()

    def extra_repr(self) -> str:
        return f"dim={self.dim}, out={self.out}, seed={self.seed}"

    def _draw(self, padded: Tensor, k: int) -> Tensor:
        mixed = block_fwht(padded * self.signs_KRP[k, 0])[..., self.permutation_KP[k]]
        return block_fwht(mixed * self.signs_KRP[k, 1])
