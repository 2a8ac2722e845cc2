"""Random measurements of vectors: what `BinaryEmbedding` quantizes.

Shapes: N vectors, D dimensions, M measurements.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from sdquant.fast_jl import FastJL

_FIXED_POINT = 2.0**20

Transform = Literal["fast", "gaussian"]


class RandomMeasurement(nn.Module):
    """Multiply by a random matrix with entries of variance 1.

    "fast" is sqrt(M) S FastJL with S random signs: a sum of consecutive Hadamard rows sees few of the dimensions, and
    a sum of rows with random signs sees all. "gaussian" is independent normal entries.

    Args:
        dim: D >= 1.
        out: M >= 1.
        transform: "fast" or "gaussian".
        seed: key of the draw, the same on every device.

    Shape:
        Input (N, D), float64, of norms up to 1; output (N, M), float32, the same for every size of batch on the CPU.

    Raises:
        ValueError: a size is below 1, or transform is unknown.
    """

    signs_M: Tensor
    matrix_DM: Tensor

    def __init__(self, dim: int, out: int, transform: Transform, seed: int) -> None:
        super().__init__()
        if dim < 1 or out < 1:
            raise ValueError(f"RandomMeasurement: dim and out must be at least 1, got dim={dim}, out={out}")
        if transform not in ("fast", "gaussian"):
            raise ValueError(f"RandomMeasurement: transform must be 'fast' or 'gaussian', got {transform!r}")
        self.transform = transform
        # Not saved: the seed holds it all.
        if transform == "fast":
            self.fast_jl = FastJL(dim, out, seed)
            generator = keyed_generator(seed, "sdquant.RandomMeasurement.signs")
            signs_M = torch.randint(0, 2, (out,), generator=generator) * 2.0 - 1
            self.register_buffer("signs_M", signs_M * math.sqrt(out), persistent=False)
        else:
            generator = keyed_generator(seed, "sdquant.RandomMeasurement.gaussian")
            matrix_DM = torch.randn(dim, out, generator=generator, dtype=torch.float64)
            self.register_buffer("matrix_DM", _fixed_point(matrix_DM), persistent=False)

    def forward(self, x_ND: Tensor) -> Tensor:
        """Measure x, (N, D), as (N, M)."""
        if self.transform == "fast":
            return self.fast_jl(x_ND.float()).mul_(self.signs_M)
        return (_fixed_point(x_ND) @ self.matrix_DM).float()


def into_unit_ball(x_ND: Tensor, radius: float | None) -> Tensor:
    """Divide rows by the radius, longer ones by their length; without radius by a power of two that is large enough.

    Each row gets the same in every batch.

    Args:
        x_ND: finite rows, not zero where there is no radius, (N, D).
        radius: length that becomes 1, > 0, or None where directions alone matter.

    Returns:
        Rows of length up to 1, float64, (N, D).
    """
    x_ND = x_ND.double()
    if radius is None:
        peak_N1 = x_ND.abs().amax(1, keepdim=True) * 2.0 ** math.ceil(math.log2(x_ND.shape[1]) / 2)
        return x_ND * torch.exp2(-torch.frexp(peak_N1).exponent.double())
    norm_N1 = x_ND.square().cumsum(1)[:, -1:].sqrt()  # a running sum adds in one order
    return x_ND / norm_N1.clamp(min=radius)


def _fixed_point(values: Tensor) -> Tensor:
    """Round to multiples of 2^-20: sums of products are then exact in float64, in any order of adding."""
    return (values.double() * _FIXED_POINT).round() / _FIXED_POINT
