"""One matrix out of the embeddings that a codec is given, and back.

Shapes: N rows, D dimensions of all parts together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Metric = Literal["euclidean", "cosine"]
Parts = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class Joining:
    """How several embeddings of the same things stand side by side.

    Args:
        dims: dimensions of each part.
        scales: what each part is multiplied by; positive.
        metric: "cosine" gives every row of a part unit length first; "euclidean" takes rows as they are.

    Raises:
        ValueError: sizes do not fit, or a scale is not positive and finite.
    """

    dims: tuple[int, ...]
    scales: tuple[float, ...]
    metric: Metric

    def __post_init__(self) -> None:
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric must be 'euclidean' or 'cosine', got {self.metric!r}")
        if not all(isinstance(dim, int) for dim in self.dims):
            raise TypeError(f"dims must be whole numbers, got {self.dims}")
        if not self.dims or len(self.dims) != len(self.scales) or min(self.dims) < 1:
            raise ValueError(f"{len(self.dims)} parts of dimensions {self.dims} with {len(self.scales)} scales")
        if not all(math.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ValueError(f"scales must be positive and finite, got {self.scales}")

    @classmethod
    def fit(cls, x: Parts, metric: Metric, weights: Sequence[float] | None) -> Joining:
        """Take the dimensions, and scale several parts to a mean square of 1 a row, times their weight squared.

        Args:
            x: rows, floating point, (N, D), or several of these.
            metric: see the class.
            weights: one positive number a part; all 1 by default. One part alone is not scaled.

        Raises:
            TypeError: a part is no floating matrix.
            ValueError: no rows, rows disagree, NaN or infinity, or a part that is zero throughout.
        """
        parts = _checked(x)
        if not len(parts[0]):
            raise ValueError("x: no rows; a codec needs vectors to fit to")
        weights = [1.0] * len(parts) if weights is None else list(weights)
        if len(weights) != len(parts) or not all(math.isfinite(w) and w > 0 for w in weights):
            raise ValueError(f"weights: {len(parts)} positive numbers wanted, got {weights}")
        if len(parts) == 1 and weights != [1.0]:
            raise ValueError(f"weights: {weights} for one embedding alone, where they mean nothing")
        scales = weights
        if len(parts) > 1 and metric == "euclidean":
            sizes = [float(part.double().square().sum(1).mean().sqrt()) for part in parts]
            if min(sizes) == 0:
                raise ValueError(f"x: part {sizes.index(0)} is zero throughout")
            scales = [weight / size for weight, size in zip(weights, sizes, strict=True)]
        return cls(tuple(part.shape[1] for part in parts), tuple(scales), metric)

    @property
    def dim(self) -> int:
        return sum(self.dims)

    def join(self, x: Parts) -> Tensor:
        """Put parts side by side, float32, (N, D).

        Raises:
            TypeError: a part is no floating matrix.
            ValueError: the wrong number of parts or width, NaN or infinity, a value beyond float32, or (cosine) a row
                of zeros.
        """
        parts = _checked(x)
        found = tuple(part.shape[1] for part in parts)
        if found != self.dims:
            raise ValueError(f"x: the codec is for dimension(s) {_plain(self.dims)}, got {_plain(found)}")
        scaled = []
        for part, scale in zip(parts, self.scales, strict=True):
            if self.metric == "cosine":
                length_N1 = part.double().norm(dim=1, keepdim=True)
                if bool((length_N1 == 0).any()):
                    row = int((length_N1[:, 0] == 0).nonzero()[0])
                    raise ValueError(
                        f"x: row {row} is zero, without direction: leave it out, or use metric='euclidean'"
                    )
                part = part / length_N1
            scaled.append((part * scale).float())
        joined_ND = torch.cat(scaled, dim=1) + 0.0  # -0 becomes 0: equal rows have equal bytes
        if not bool(torch.isfinite(joined_ND).all()):
            raise ValueError("x: values too large for float32")
        return joined_ND

    def split(self, joined_ND: Tensor) -> Tensor | list[Tensor]:
        """Undo `join`, but for the lengths that metric "cosine" took away: a matrix, or one a part."""
        parts = [part / scale for part, scale in zip(joined_ND.split(list(self.dims), dim=1), self.scales, strict=True)]
        return parts[0] if len(parts) == 1 else parts


def _plain(dims: tuple[int, ...]) -> str:
    return " + ".join(map(str, dims))


def _checked(x: Parts) -> list[Tensor]:
    parts = [x] if isinstance(x, Tensor) else list(x)
    if not parts:
        raise ValueError("x: no parts")
    for part in parts:
        if not isinstance(part, Tensor) or not part.is_floating_point() or part.ndim != 2 or not part.shape[1]:
            found = f"{part.dtype} {tuple(part.shape)}" if isinstance(part, Tensor) else repr(type(part))
            raise TypeError(f"x: a floating tensor (n, dim) wanted, got {found}")
        if len(part) != len(parts[0]):
            raise ValueError(f"x: parts must have the same rows, got {len(parts[0])} and {len(part)}")
        finite_N = torch.isfinite(part).all(dim=1)
        if not bool(finite_N.all()):
            raise ValueError(f"x: row {int((~finite_N).nonzero()[0])} has a NaN or an infinity")
    return parts


def distinct_rows(x_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Find the different rows.

    Args:
        x_ND: rows without negative zeros, (N, D).

    Returns:
        Row number of the first of each, increasing, int64, (U,); for each row which of these it equals, int64, (N,).
    """
    rows = x_ND.detach().cpu().contiguous().numpy()
    keys = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return torch.from_numpy(first[order]), torch.from_numpy(rank[inverse.reshape(-1)])
