"""Packed binary codes and the similarities between them.

Bit j of a vector is bit j % 8, counted from the least significant, of byte j // 8, as `numpy.packbits` packs with
bitorder="little"; a set bit stands for +1, a clear one for -1. Unused bits of the last byte are clear.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

FORMAT, VERSION = "binemb.codes", 1
UNPACKED_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class BinaryCodes:
    """Binary codes of n vectors.

    Args:
        packed: uint8, (n, ceil(n_bits / 8)).
        n_bits: bits a vector, >= 1; never inferred from the width.
        levels: prefix lengths that are codes of their own, ascending; the last is n_bits.
        words: what each code stands for, n of them, or None. No line breaks inside.

    Raises:
        TypeError: packed is not uint8, or n_bits or a level is no whole number.
        ValueError: shapes, levels or words disagree, or padding bits are set.
    """

    packed: Tensor
    n_bits: int
    levels: tuple[int, ...] = ()
    words: list[str] | None = None

    def __post_init__(self) -> None:
        if self.packed.dtype != torch.uint8:
            raise TypeError(f"BinaryCodes: packed must be uint8, got {self.packed.dtype}")
        object.__setattr__(self, "n_bits", operator.index(self.n_bits))
        if self.n_bits < 1 or self.packed.ndim != 2 or self.packed.shape[1] != n_bytes(self.n_bits):
            raise ValueError(f"BinaryCodes: packed {tuple(self.packed.shape)} does not hold {self.n_bits} bits a row")
        levels = tuple(operator.index(level) for level in self.levels or (self.n_bits,))
        if list(levels) != sorted(set(levels)) or levels[0] < 1 or levels[-1] != self.n_bits:
            raise ValueError(f"BinaryCodes: levels {levels} are not ascending prefixes ending at {self.n_bits} bits")
        object.__setattr__(self, "levels", levels)
        if self.words is not None and len(self.words) != len(self):
            raise ValueError(f"BinaryCodes: {len(self.words)} words for {len(self)} codes")
        spare = self.n_bits % 8
        if spare and len(self) and int((self.packed[:, -1] >> spare).max()) > 0:
            raise ValueError(f"BinaryCodes: bits after the {self.n_bits}th are set; they must be clear")

    @classmethod
    def from_signs(cls, signs_NB: Tensor, *, levels: tuple[int, ...] = ()) -> BinaryCodes:
        """Pack signs.

        Args:
            signs_NB: numbers, (N, B); one >= 0 becomes +1 (a set bit).
            levels: as for the class.

        Raises:
            TypeError: truth values, of which False would be a set bit too.
            ValueError: no matrix, or a value that is NaN.
        """
        if signs_NB.dtype == torch.bool:
            raise TypeError("from_signs: signs_NB must be numbers, got torch.bool; make True and False +1 and -1")
        if signs_NB.ndim != 2:
            raise ValueError(f"from_signs: signs_NB must be a matrix, got shape {tuple(signs_NB.shape)}")
        if signs_NB.is_floating_point() and signs_NB.isnan().any():
            raise ValueError("from_signs: signs_NB holds NaN, which has no sign")
        bits_NB = (signs_NB >= 0).cpu().numpy()
        return cls(torch.from_numpy(np.packbits(bits_NB, axis=1, bitorder="little")), signs_NB.shape[1], levels)

    def signs(self, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """The codes as +1 and -1, (n, n_bits)."""
        bits = np.unpackbits(self.packed.numpy(), axis=1, count=self.n_bits, bitorder="little")
        return torch.from_numpy(bits).to(dtype).mul_(2).sub_(1)

    def __len__(self) -> int:
        return self.packed.shape[0]

    def __getitem__(self, rows: slice | Tensor | list[int]) -> BinaryCodes:
        """Codes of some of the vectors, chosen by a slice, row numbers or a mask."""
        if not isinstance(rows, slice):
            rows = torch.arange(len(self))[rows]
        words = None
        if self.words is not None:
            words = self.words[rows] if isinstance(rows, slice) else [self.words[row] for row in rows.tolist()]
        return BinaryCodes(self.packed[rows], self.n_bits, self.levels, words)

    @property
    def bytes_per_vector(self) -> int:
        """Bytes that one code takes."""
        return self.packed.shape[1]

    def truncate(self, n_bits: int) -> BinaryCodes:
        """The codes' first n_bits bits; any prefix may be taken, the levels are those that were trained.

        Where n_bits is a multiple of 8 nothing is copied: the prefixes lie in the memory, or the mapped file, of the
        whole codes.

        Raises:
            ValueError: n_bits is not in 1 to the codes' own number.
        """
        if not 1 <= n_bits <= self.n_bits:
            raise ValueError(f"truncate: n_bits must lie in [1, {self.n_bits}], got {n_bits}")
        packed = clear_padding(self.packed[:, : n_bytes(n_bits)], n_bits)
        levels = (*(level for level in self.levels if level < n_bits), n_bits)
        return BinaryCodes(packed, n_bits, levels, self.words)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically."""
        metadata = {"n_bits": self.n_bits, "levels": list(self.levels), "has_words": self.words is not None}
        tensors = {"packed": self.packed}
        if self.words is not None:
            tensors["words"] = pack_words(self.words)
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = True) -> BinaryCodes:
        """Read codes, memory-mapped.

        Args:
            path: the file.
            verify: compare the checksum, which reads the whole file once.

        Raises:
            FileFormatError: truncated, changed, another format or a newer version.
        """
        tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION, verify=verify)
        try:
            words = unpack_words(tensors["words"], len(tensors["packed"])) if metadata["has_words"] else None
            return cls(tensors["packed"], metadata["n_bits"], tuple(metadata["levels"]), words)
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: inconsistent codes: {error}") from error


def pack_words(words: list[str]) -> Tensor:
    """Words as the bytes of a text, one word a line, uint8.

    Raises:
        ValueError: a word holds a line break.
    """
    if any("\n" in word for word in words):
        raise ValueError("a word holds a line break; such words cannot be stored")
    return torch.from_numpy(np.frombuffer("\n".join(words).encode(), np.uint8).copy())


def unpack_words(packed: Tensor, count: int) -> list[str]:
    """What `pack_words` packed; a text without a line stands for no word or for an empty one, so the count says."""
    return packed.numpy().tobytes().decode().split("\n") if count else []


def n_bytes(n_bits: int) -> int:
    """Bytes that hold n_bits bits."""
    return -(-n_bits // 8)


def clear_padding(packed: Tensor, n_bits: int) -> Tensor:
    """Packed rows without the bits after the n_bits-th of their last byte; a copy only if there can be such bits.

    Args:
        packed: uint8, (n, ceil(n_bits / 8)).
        n_bits: bits to keep.
    """
    if n_bits % 8:
        packed = packed.clone()
        packed[:, -1] &= (1 << n_bits % 8) - 1
    return packed


def _check_pair(a: BinaryCodes, b: BinaryCodes) -> None:
    if a.n_bits != b.n_bits:
        raise ValueError(f"codes of {a.n_bits} and {b.n_bits} bits cannot be compared; truncate the longer ones")


def hamming(a: BinaryCodes, b: BinaryCodes) -> Tensor:
    """Number of bits that differ, for every pair.

        h(a, b) = (B - <a, b>) / 2,   a, b in {-1, +1}^B

    Args:
        a: n codes.
        b: m codes of the same number of bits.

    Returns:
        int32, (n, m). Exact: inner products of signs are integers below 2^24.

    Raises:
        ValueError: the numbers of bits differ.
    """
    _check_pair(a, b)
    return ((a.n_bits - a.signs() @ b.signs().T) / 2).round_().to(torch.int32)


def cosine(a: BinaryCodes, b: BinaryCodes) -> Tensor:
    """Cosine of the +-1 vectors, 1 - 2 h / B, float32, (n, m), in [-1, 1]."""
    _check_pair(a, b)
    return a.signs() @ b.signs().T / a.n_bits


def asymmetric(x_QB: Tensor, codes: BinaryCodes) -> Tensor:
    """Inner product of float rows with the +-1 vectors of codes, for every pair.

        s(x, c) = sum_j x_j c_j,   c in {-1, +1}^B

    The codes are unpacked block by block, 64 MiB at a time. Sums are rounded as x's dtype rounds; half precision is
    raised to float32 first.

    Args:
        x_QB: floating point, (Q, B), on any device.
        codes: n codes of B bits.

    Returns:
        (Q, n), in x's dtype and on its device.

    Raises:
        TypeError: x is not floating point.
        ValueError: x is no matrix of rows of B values.

    References:
        Gordo, Perronnin, Gong, Lazebnik (2014), IEEE TPAMI 36(1), "Asymmetric distances for binary embeddings".
    """
    if not x_QB.is_floating_point():
        raise TypeError(f"asymmetric: x_QB must be floating point, got {x_QB.dtype}")
    if x_QB.ndim != 2 or x_QB.shape[1] != codes.n_bits:
        raise ValueError(f"asymmetric: x_QB must have rows of {codes.n_bits} values, got shape {tuple(x_QB.shape)}")
    x = x_QB if x_QB.dtype == torch.float64 else x_QB.float()
    scores = x.new_empty(len(x), len(codes))
    block = max(1, UNPACKED_BYTES // (codes.n_bits * x.element_size()))
    for start in range(0, len(codes), block):
        signs_NB = codes[start : start + block].signs(dtype=x.dtype).to(x.device)
        scores[:, start : start + block] = x @ signs_NB.T
    return scores
