"""One view of float vectors and binary codes for evaluation: inner products of rows, blockwise."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from binemb.codes import BinaryCodes

BLOCK_ROWS = 16384


class Space:
    """Rows that can be compared.

    Float vectors are scaled to unit length; codes are +1 and -1, whose inner products are integers and exact.

    Args:
        rows: float vectors, (N, D), or binary codes of N vectors.
    """

    def __init__(self, rows: Tensor | BinaryCodes) -> None:
        self._rows = rows
        self.norm_squared = rows.n_bits if isinstance(rows, BinaryCodes) else 1

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Tensor | slice) -> Tensor:
        """Chosen rows as float32 vectors whose squared length is `norm_squared`."""
        if isinstance(self._rows, BinaryCodes):
            return self._rows[rows].signs()
        return normalize(self._rows[rows].float(), dim=1)

    def blocks(self) -> list[slice]:
        """Slices that cover all rows, each small enough to be unpacked."""
        return [slice(start, min(start + BLOCK_ROWS, len(self))) for start in range(0, len(self), BLOCK_ROWS)]

    def pair_cosines(self, left: Tensor, right: Tensor) -> Tensor:
        """Cosine of row left[i] with row right[i], float32, (P,)."""
        return (self.take(left) * self.take(right)).sum(1) / self.norm_squared
