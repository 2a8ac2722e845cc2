"""Storage of {-1, +1} bits at eight a byte.

Shapes: N rows, M bits a row, B = ceil(M / 8) bytes a row.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pack_bits(q_NM: Tensor) -> Tensor:
    """Store bits eight a byte, the first in the lowest place, as numpy.packbits(q > 0, axis=1, bitorder="little").

    Args:
        q_NM: bits in {-1, +1}, any real dtype, (N, M).

    Returns:
        Bytes, uint8, (N, B): a set bit is +1; bits beyond M are clear.

    Raises:
        ValueError: q_NM is not two-dimensional or has another value than -1 and +1.
    """
    if q_NM.ndim != 2:
        raise ValueError(f"pack_bits: q_NM must have shape (n, m), got {tuple(q_NM.shape)}")
    positive = q_NM > 0
    if not torch.equal(q_NM, (positive.to(torch.int8) * 2 - 1).to(q_NM.dtype)):
        raise ValueError("pack_bits: q_NM must hold -1 and +1 only")
    n, m = q_NM.shape
    padded = torch.nn.functional.pad(positive.to(torch.uint8), (0, -m % 8))
    places = torch.arange(8, dtype=torch.uint8, device=q_NM.device)
    return (padded.reshape(n, -(-m // 8), 8) << places).sum(2, dtype=torch.uint8)


def unpack_bits(packed_NB: Tensor, n_bits: int) -> Tensor:
    """Read back what `pack_bits` stored.

    Args:
        packed_NB: bytes, uint8, (N, B).
        n_bits: M, bits a row.

    Returns:
        Bits in {-1, +1}, int8, (N, M).

    Raises:
        TypeError: packed_NB is not uint8.
        ValueError: packed_NB does not have ceil(n_bits / 8) bytes a row.
    """
    if packed_NB.dtype != torch.uint8:
        raise TypeError(f"unpack_bits: packed_NB must be uint8, got {packed_NB.dtype}")
    n_bytes = -(-n_bits // 8)
    if packed_NB.ndim != 2 or packed_NB.shape[1] != n_bytes:
        raise ValueError(f"unpack_bits: {n_bits} bits take shape (n, {n_bytes}), got {tuple(packed_NB.shape)}")
    places = torch.arange(8, dtype=torch.uint8, device=packed_NB.device)
    bits = (packed_NB[:, :, None] >> places & 1).reshape(len(packed_NB), 8 * n_bytes)
    return bits[:, :n_bits].to(torch.int8) * 2 - 1
