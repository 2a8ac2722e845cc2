"""Compressed values, and their categorical form.

Shapes: V bins of a support; leading axes are free (`...`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

EPSILON = 1e-3


def value_transform(x: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """Compress values so that one network fits small and large returns.

        h(x) = sign(x) (sqrt(abs(x) + 1) - 1) + epsilon x

    Args:
        x: values, float, any shape.
        epsilon: slope that is left for large values, > 0; it makes h invertible and its inverse Lipschitz.

    Returns:
        h(x), same shape and dtype.

    References:
        Pohlen et al. (2018), arXiv 1805.11593, proposition A.2.
        Schrittwieser et al. (2020), arXiv 1911.08265, appendix F.
    """
    return torch.sign(x) * (torch.sqrt(x.abs() + 1) - 1) + epsilon * x


def inverse_value_transform(y: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """Undo `value_transform`.

        h^-1(y) = sign(y) (((sqrt(1 + 4 epsilon (abs(y) + 1 + epsilon)) - 1) / (2 epsilon))^2 - 1)

    Args:
        y: compressed values, float, any shape.
        epsilon: as for the transform.

    Returns:
        Values, same shape and dtype. Computed in float64: the formula takes the difference of numbers near one.
    """
    wide = y.double()
    root = (torch.sqrt(1 + 4 * epsilon * (wide.abs() + 1 + epsilon)) - 1) / (2 * epsilon)
    return (torch.sign(wide) * (root.square() - 1)).to(y.dtype)


@dataclass(frozen=True)
class Support:
    """A categorical form of values: bins at even distances in the compressed scale.

    A value lies between two bins and is written as weights of these two, whose mean is the compressed value.

    Args:
        limit: greatest compressed value, > 0; beyond it values are clipped.
        bins: number of bins, odd and >= 3, so that zero is one of them.

    Raises:
        ValueError: an argument is out of its range.
    """

    limit: float = 3.0
    bins: int = 61

    def __post_init__(self) -> None:
        if self.limit <= 0 or self.bins < 3 or self.bins % 2 == 0:
            raise ValueError(f"Support: expected limit > 0 and odd bins >= 3, got {self.limit} and {self.bins}")

    def centres(self) -> Tensor:
        """Compressed value of every bin, float32, (V,)."""
        return _centres(self.limit, self.bins)

    def encode(self, x: Tensor) -> Tensor:
        """Weights of the bins.

        Args:
            x: values, float, (...).

        Returns:
            Float32, (..., V): non-negative, at most two of them not zero, sum 1.
        """
        position = (value_transform(x.float()).clamp(-self.limit, self.limit) / self.limit + 1) / 2 * (self.bins - 1)
        low = position.floor().clamp(0, self.bins - 2)
        share = (position - low).unsqueeze(-1)
        weights = torch.zeros(*x.shape, self.bins)
        weights.scatter_(-1, low.long().unsqueeze(-1), 1 - share)
        return weights.scatter_(-1, low.long().unsqueeze(-1) + 1, share)

    def decode(self, logits_V: Tensor) -> Tensor:
        """Expected value.

        Args:
            logits_V: (..., V).

        Returns:
            Values, float32, (...).
        """
        return inverse_value_transform((logits_V.softmax(-1) * self.centres()).sum(-1))


@lru_cache
def _centres(limit: float, bins: int) -> Tensor:
    with torch.inference_mode(False):  # or it could not take part in training later
        return torch.linspace(-limit, limit, bins)
