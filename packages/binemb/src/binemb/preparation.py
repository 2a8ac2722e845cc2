"""Preparing embeddings for binary codes: drop what all of them share, keep the direction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def principal_components(x_ND: Tensor, count: int) -> Tensor:
    """Leading eigenvectors of the covariance of centred rows, from float64 sums.

    Args:
        x_ND: rows, (N, D).
        count: how many, 0 to D.

    Returns:
        Orthonormal rows, float32, (count, D), largest variance first; each with its largest entry positive.
    """
    centred = x_ND.double() - x_ND.double().mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    leading = vectors.flip(1)[:, :count].T
    largest = leading.gather(1, leading.abs().argmax(1, keepdim=True)) if count else leading[:, :1]
    return (leading * largest.sign()).float()


class Preparation(nn.Module):
    """Subtract the mean, project out the leading principal components, scale to unit length.

        x' = (I - C^T C) (x - m),   y = x' / norm2(x')

    The leading components of word vectors carry word frequency more than meaning; without them similarity of words
    agrees better with people's.

    Args:
        mean_D: m, float32, (D,).
        components_KD: C, orthonormal rows, float32, (K, D).

    References:
        Mu, Viswanath (2018), All-but-the-top, arXiv 1702.01417, algorithm 1.
    """

    mean_D: Tensor
    components_KD: Tensor

    def __init__(self, mean_D: Tensor, components_KD: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean_D", mean_D.float())
        self.register_buffer("components_KD", components_KD.float())

    @classmethod
    def fit(cls, x_ND: Tensor, *, components: int = 2) -> Preparation:
        """Measure mean and components on the vectors to be encoded.

        Args:
            x_ND: vectors, (N, D).
            components: how many principal components to drop, 0 to D - 1.

        Raises:
            ValueError: components is out of range, or the vectors are not a finite matrix.
        """
        check_vectors(x_ND, "Preparation.fit")
        if not 0 <= components < x_ND.shape[1]:
            raise ValueError(
                f"Preparation.fit: components must lie in [0, {x_ND.shape[1] - 1}], got {components} for vectors of "
                f"{x_ND.shape[1]} dimensions (TrainConfig.components in training)"
            )
        return cls(x_ND.double().mean(0), principal_components(x_ND, components))

    def forward(self, x_ND: Tensor) -> Tensor:
        """Prepared vectors, (..., D), of unit length; a row with nothing left after projection is zero.

        Computes in float64 for float64 input, else in float32.
        """
        dtype = torch.promote_types(x_ND.dtype, torch.float32)
        components_KD = self.components_KD.to(dtype)
        centred = x_ND.to(dtype) - self.mean_D
        return F.normalize(centred - centred @ components_KD.T @ components_KD, dim=-1)


def check_vectors(x_ND: Tensor, where: str, *, dim: int | None = None) -> None:
    """Refuse what is no finite matrix of the expected width.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: wrong shape, no rows, NaN or infinite values; naming the place.
    """
    if not isinstance(x_ND, Tensor) or not x_ND.is_floating_point():
        found = x_ND.dtype if isinstance(x_ND, Tensor) else type(x_ND).__name__
        raise TypeError(f"{where}: expected a floating-point torch tensor, got {found}")
    if x_ND.ndim != 2 or x_ND.shape[0] == 0:
        raise ValueError(f"{where}: expected a matrix with at least one row, got shape {tuple(x_ND.shape)}")
    if dim is not None and x_ND.shape[1] != dim:
        raise ValueError(f"{where}: expected vectors of {dim} dimensions, got {x_ND.shape[1]}")
    finite_N = torch.isfinite(x_ND).all(1)
    if not finite_N.all():
        bad = (~finite_N).nonzero().flatten()
        raise ValueError(f"{where}: {len(bad)} rows hold NaN or infinity, the first is row {int(bad[0])}")
