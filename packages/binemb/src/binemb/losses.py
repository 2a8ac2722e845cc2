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


def contrastive_loss(agreement_GMM: Tensor, target_GMM: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Tell the code of the nearest vector of the group from those of the others (InfoNCE).

        L = mean_i -log  exp(a_ip / t) / sum_{j != i} exp(a_ij / t),   p = argmax_{j != i} target_ij

    Args:
        agreement_GMM: cosines of the codes, (G, M, M), M >= 2.
        target_GMM: similarities of the vectors, which say who is nearest, (G, M, M).
        temperature: t, > 0.

    Returns:
        (G,), >= 0.

    References:
        van den Oord et al. (2018), Representation learning with contrastive predictive coding, arXiv 1807.03748.
    """
    itself_MM = torch.eye(target_GMM.shape[-1], dtype=torch.bool, device=target_GMM.device)
    nearest_GM = target_GMM.masked_fill(itself_MM, -torch.inf).argmax(-1)
    scores_GMM = (agreement_GMM / temperature).masked_fill(itself_MM, -torch.inf)
    chosen_GM = scores_GMM.gather(-1, nearest_GM[..., None]).squeeze(-1)
    return (scores_GMM.logsumexp(-1) - chosen_GM).mean(-1)


def balance_loss(signs_GMB: Tensor) -> Tensor:
    """Every bit set in half of the records.

        L = mean_j (mean_i s_ij)^2

    Args:
        signs_GMB: (G, M, B).

    Returns:
        (G,), in [0, 1].

    References:
        Weiss, Torralba, Fergus (2008), Spectral hashing, NeurIPS, section 2.
    """
    return signs_GMB.mean(1).square().mean(-1)


def decorrelation_loss(signs_GMB: Tensor) -> Tensor:
    """No two bits alike, nor opposite.

        L = mean_{j != l} (mean_i s_ij s_il)^2

    Args:
        signs_GMB: (G, M, B), B >= 2.

    Returns:
        (G,), in [0, 1].

    References:
        Weiss, Torralba, Fergus (2008), Spectral hashing, NeurIPS, section 2.
    """
    n_records, n_bits = signs_GMB.shape[1:]
    moment_GBB = signs_GMB.mT @ signs_GMB / n_records
    total_G = moment_GBB.square().sum((-1, -2)) - moment_GBB.diagonal(dim1=-2, dim2=-1).square().sum(-1)
    return total_G / (n_bits * (n_bits - 1))


def uniformity_loss(agreement_GMM: Tensor, *, scale: float = 2.0) -> Tensor:
    """Codes of a group spread over all there are, so that they are diverse.

        L = log mean_{i != j} exp(-t norm2(u_i - u_j)^2),   norm2(u_i - u_j)^2 = 2 (1 - a_ij)

    Args:
        agreement_GMM: cosines of the codes, (G, M, M), M >= 2; u = s / sqrt(b).
        scale: t, > 0.

    Returns:
        (G,), <= 0; 0 when all codes are the same.

    References:
        Wang, Isola (2020), Understanding contrastive representation learning through alignment and uniformity on the
        hypersphere, arXiv 2005.10242, section 4.1.
    """
    n_records = agreement_GMM.shape[-1]
    itself_MM = torch.eye(n_records, dtype=torch.bool, device=agreement_GMM.device)
    exponents_GMM = (-2 * scale * (1 - agreement_GMM)).masked_fill(itself_MM, -torch.inf)
    return exponents_GMM.flatten(1).logsumexp(-1) - math.log(n_records * (n_records - 1))
