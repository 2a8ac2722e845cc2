"""What a binary code is trained for.

Shapes: batches come in G groups of M records, D dimensions, B bits: `x_GMD`, `signs_GMB`. Losses that compare records
do so within a group, so that they do not depend on how groups are dealt to processes and micro-batches. Each returns
one value a group, (G,).

Legend of symbols: x prepared unit vectors, s = sign bits in {-1, +1}, b a prefix length.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class _SignStraightThrough(torch.autograd.Function):
    """sign forward; backward the identity where the input is within the clip, zero beyond it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor, clip: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.clip = clip  # pyright: ignore[reportAttributeAccessIssue]
        return torch.where(z >= 0, 1.0, -1.0).to(z.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        return gradients[0] * (z.abs() <= ctx.clip), None  # pyright: ignore[reportAttributeAccessIssue]


def sign_straight_through(z: Tensor, clip: float = 1.5) -> Tensor:
    """Signs with a straight-through gradient.

        forward: s = +1 if z >= 0 else -1;   backward: ds/dz = 1 if abs(z) <= clip else 0

    Args:
        z: activations, any shape.
        clip: half width of the window that passes gradients, > 0.

    Returns:
        +1 and -1, shape and dtype of z.

    References:
        Hubara et al. (2016), Binarized neural networks, arXiv 1602.02830, section 2.3.
    """
    return _SignStraightThrough.apply(z, clip)  # pyright: ignore[reportReturnType]


def reconstruction_loss(decoded_GMD: Tensor, x_GMD: Tensor) -> Tensor:
    """Direction and distance of the decoded vectors.

        L = mean (1 - cos(x_hat, x)) + mean norm2(x_hat - x)^2

    Args:
        decoded_GMD: what the decoder makes of the bits, (G, M, D).
        x_GMD: prepared vectors, (G, M, D).

    Returns:
        (G,), >= 0, zero when every vector is decoded exactly.
    """
    direction = 1 - F.cosine_similarity(decoded_GMD, x_GMD, dim=-1)
    return (direction + (decoded_GMD - x_GMD).square().sum(-1)).mean(-1)


def angular_similarity(cosine: Tensor) -> Tensor:
    """The cosine that sign bits of a random rotation have in expectation.

        E <s, s'> / B = (2 / pi) arcsin(cos(x, x'))

    Args:
        cosine: in [-1, 1], any shape.

    Returns:
        In [-1, 1], a monotone function of the cosine, so that order of similarity is kept.

    References:
        Charikar (2002), Similarity estimation techniques from rounding algorithms, section 3.
    """
    return torch.asin(cosine.clamp(-1, 1)) * (2 / math.pi)


def similarity_loss(agreement_GMM: Tensor, target_GMM: Tensor) -> Tensor:
    """Distance between the codes' similarities and the vectors', over all pairs of a group.

        L = mean_ij (<s_i, s_j> / b - target_ij)^2

    Args:
        agreement_GMM: cosines of the codes, (G, M, M).
        target_GMM: what they should be: `angular_similarity` of the vectors' cosines, (G, M, M).

    Returns:
        (G,), >= 0.
    """
    return (agreement_GMM - target_GMM).square().mean((-1, -2))
