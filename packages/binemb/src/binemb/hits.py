"""What searches return."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Hits:
    """Codes that a search found, best first; the three stand in step.

    Args:
        ids: int64, (n_queries, k).
        distances: Hamming distance in bits, int32, (n_queries, k).
        similarity: 1 - distance / n_bits, the share of agreeing bits, float32, (n_queries, k), in [0, 1]. After
            scoring again: (1 + cos) / 2 of the cosine that was scored by, which for two codes is the same number.
    """

    ids: Tensor
    distances: Tensor
    similarity: Tensor


@dataclass(frozen=True, eq=False)
class FloatHits:
    """Float vectors that a search found, best first; the three stand in step.

    Args:
        ids: int64, (n_queries, k).
        scores: cosine or inner product, as the index's metric says, float32, (n_queries, k), descending.
        similarity: (1 + cos) / 2, float32, (n_queries, k), in [0, 1]. Where the metric is the inner product, it need
            not descend.
    """

    ids: Tensor
    scores: Tensor
    similarity: Tensor
