"""One view of float vectors and binary codes for evaluation: inner products of rows, blockwise."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import normalize

from binemb.codes import BinaryCodes
from binemb.preparation import check_vectors

if TYPE_CHECKING:
    from binemb.matryoshka import MatryoshkaBinarizer

BLOCK_ROWS = 16384


def check_rows(rows: Tensor | BinaryCodes, words: Sized, function: str) -> None:
    """Refuse rows that cannot be judged: a NaN would lose every comparison and packed bytes would pass for vectors.

    Raises:
        TypeError: neither codes nor a floating-point tensor.
        ValueError: no matrix, values that are not finite, or another number of words.
    """
    if not isinstance(rows, BinaryCodes):
        check_vectors(rows, function)
    if len(rows) != len(words):
        raise ValueError(f"{function}: {len(rows)} rows for {len(words)} words")


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

    def asked(self, rows: Tensor) -> Tensor:
        """Chosen rows as what candidates are compared with: inner products with rows of `take`."""
        return self.take(rows)

    def blocks(self) -> list[slice]:
        """Slices that cover all rows, each small enough to be unpacked."""
        return [slice(start, min(start + BLOCK_ROWS, len(self))) for start in range(0, len(self), BLOCK_ROWS)]

    def pair_cosines(self, left: Tensor, right: Tensor) -> Tensor:
        """Cosine of row left[i] with row right[i], float32, (P,)."""
        return (self.take(left) * self.take(right)).sum(1) / self.norm_squared


class AsymmetricSpace(Space):
    """Codes as candidates, and decoded vectors as what they are compared with.

        <y_hat(a), D^T s_b> = <D y_hat(a), s_b>,   y_hat(a) = D^T s_a / norm2(D^T s_a)

    so that an inner product with a decoded vector is one with signs. b is not scaled to unit length, which its signs
    alone do not tell.

    Args:
        codes: codes of N vectors, of one of the model's levels.
        model: the model that gave them.

    Raises:
        ValueError: the codes' length is not one of the model's levels.
    """

    def __init__(self, codes: BinaryCodes, model: MatryoshkaBinarizer) -> None:
        super().__init__(codes)
        self.norm_squared = 1
        self._codes, self._model = codes, model
        model.decode(codes[:0])  # refuses codes that it does not decode

    def asked(self, rows: Tensor) -> Tensor:
        """Weights of the signs, float32, (len(rows), B)."""
        decoder_BD = self._model.level_decoders()[self._model.bits.index(self._codes.n_bits)].cpu()
        return self._model.decode(self._codes[rows]) @ decoder_BD.T
