"""One-bit codes of vectors, packed, that know their number of bits.

Shapes: N codes, M bits a code, B = ceil(M / 8) bytes a code.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from sdquant.bits import unpack_bits

FORMAT, VERSION = "sdquant.codes", 1


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of N vectors, eight bits a byte as `pack_bits` packs them; len() gives N.

    Args:
        packed: uint8, (N, B): a set bit is +1, bits beyond M are clear.
        n_bits: M >= 1; the width alone does not tell it.

    Raises:
        TypeError: packed is not uint8, or n_bits is no whole number.
        ValueError: n_bits is below 1, packed does not have B bytes a row, or bits beyond M are set.
    """

    packed: Tensor
    n_bits: int

    def __post_init__(self) -> None:
        if not isinstance(self.packed, Tensor) or self.packed.dtype != torch.uint8:
            raise TypeError(f"Codes: packed must be a uint8 tensor, got {getattr(self.packed, 'dtype', self.packed)!r}")
        object.__setattr__(self, "n_bits", operator.index(self.n_bits))
        if self.n_bits < 1:
            raise ValueError(f"Codes: n_bits must be at least 1, got {self.n_bits}")
        n_bytes = -(-self.n_bits // 8)
        if self.packed.ndim != 2 or self.packed.shape[1] != n_bytes:
            raise ValueError(
                f"Codes: {self.n_bits} bits take packed of shape (n, {n_bytes}), got {tuple(self.packed.shape)}"
            )
        used = self.n_bits % 8
        if used and bool((self.packed[:, -1] >> used).any()):
            raise ValueError(f"Codes: bits of packed beyond the {self.n_bits} of a code must be clear")

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, rows: slice | list[int] | Tensor) -> Codes:
        """Take some of the codes: a slice, row numbers or a mask of N booleans.

        Raises:
            TypeError: rows is of another kind; one code is codes[i : i + 1].
            IndexError: a row number or a mask does not fit N.
        """
        if isinstance(rows, list):
            rows = torch.tensor(rows, dtype=None if rows else torch.int64)
        if isinstance(rows, Tensor) and rows.ndim == 1 and not rows.is_floating_point():
            # uint8 row numbers would be read as a mask
            rows = rows if rows.dtype == torch.bool else rows.long()
        elif not isinstance(rows, slice):
            raise TypeError(
                f"Codes: index by a slice, a list or a tensor (k,) of row numbers or booleans, got {rows!r}"
            )
        return Codes(self.packed[rows], self.n_bits)

    def unpack(self) -> Tensor:
        """Give the bits as -1 and +1, int8, (N, M)."""
        return unpack_bits(self.packed, self.n_bits)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        tensors = {"packed": self.packed}
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata={"n_bits": self.n_bits})

    @classmethod
    def load(cls, path: str | Path) -> Codes:
        """Read what `save` wrote, on the CPU.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, another format or a newer version.
        """
        tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            return cls(tensors["packed"], metadata["n_bits"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: inconsistent codes: {error}") from error
