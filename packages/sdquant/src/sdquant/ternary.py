"""1.58-bit weights: absmean quantization to {-1, 0, +1} and storage at five trits a byte."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_TRITS_PER_BYTE = 5
_BYTE_VALUES = 3**_TRITS_PER_BYTE


def quantize_ternary(w: Tensor) -> tuple[Tensor, Tensor]:
    """Round weights to {-1, 0, +1} times one scale.

        scale = mean(abs(w)),   trits = clip(round(w / scale), -1, 1)

    Halves round to even. Weights that are all zero have scale 0 and trits 0.

    Args:
        w: finite weights, floating point, any shape.

    Returns:
        The trits, int8, in the shape of w, and the scale, a scalar tensor in the dtype of w: w is about trits * scale.

    Raises:
        TypeError: w is not floating point.
        ValueError: w is empty, or has a NaN or an infinity.

    References:
        Ma et al. (2024), arXiv 2402.17764, section 2.

    Departs from:
        The paper adds a small constant to the scale against division by zero; here zero weights stay exact.
    """
    if not w.is_floating_point():
        raise TypeError(f"quantize_ternary: w must be floating point, got {w.dtype}")
    if not w.numel():
        raise ValueError(f"quantize_ternary: w must have at least one weight, got shape {tuple(w.shape)}")
    if not bool(torch.isfinite(w).all()):
        raise ValueError("quantize_ternary: w must be finite, found a NaN or an infinity")
    scale = w.abs().mean()
    ratio = torch.where(w == 0, torch.zeros_like(w), w / scale)
    return ratio.round().clamp(-1, 1).to(torch.int8), scale


def pack_ternary(trits: Tensor) -> Tensor:
    """Store trits five a byte, 1.6 bit each.

        byte_k = sum_{i=0..4} (t_{5k+i} + 1) 3^i

    Trits are taken in row-major order; the last byte is filled up with zero trits.

    Args:
        trits: values in {-1, 0, +1}, integer dtype, any shape, n values.

    Returns:
        Bytes up to 242, uint8, (ceil(n / 5),). The shape is not stored.

    Raises:
        TypeError: trits is not of an integer dtype.
        ValueError: a value is not -1, 0 or +1.
    """
    if trits.is_floating_point() or trits.is_complex() or trits.dtype in (torch.bool, torch.uint8):
        raise TypeError(f"pack_ternary: trits must be a signed integer tensor, got {trits.dtype}")
    wrong = trits[(trits < -1) | (trits > 1)]
    if len(wrong):
        raise ValueError(f"pack_ternary: trits must be -1, 0 or +1, found {int(wrong[0])}")
    digits = trits.flatten().to(torch.uint8) + 1  # -1 is 255 as uint8 and wraps to 0
    fill = -len(digits) % _TRITS_PER_BYTE
    digits = torch.nn.functional.pad(digits, (0, fill), value=1).reshape(-1, _TRITS_PER_BYTE)
    return (digits * _powers(digits)).sum(1, dtype=torch.uint8)


def unpack_ternary(packed: Tensor, shape: Sequence[int]) -> Tensor:
    """Read back what `pack_ternary` stored.

    Args:
        packed: bytes, uint8, (ceil(n / 5),), n the product of shape.
        shape: shape of the trits.

    Returns:
        Values in {-1, 0, +1}, int8, in the given shape.

    Raises:
        TypeError: packed is not uint8.
        ValueError: the number of bytes does not fit the shape, a byte is beyond 242, or the filling of the last byte
            is not zero trits.
    """
    if packed.dtype != torch.uint8:
        raise TypeError(f"unpack_ternary: packed must be uint8, got {packed.dtype}")
    shape = tuple(shape)
    n = math.prod(shape)
    n_bytes = -(-n // _TRITS_PER_BYTE)
    if packed.shape != (n_bytes,) or any(size < 0 for size in shape):
        raise ValueError(f"unpack_ternary: shape {shape} takes packed of shape ({n_bytes},), got {tuple(packed.shape)}")
    wrong = packed[packed >= _BYTE_VALUES]
    if len(wrong):
        raise ValueError(f"unpack_ternary: packed bytes are at most {_BYTE_VALUES - 1}, found {int(wrong[0])}")
    digits = packed[:, None] // _powers(packed) % 3
    trits = digits.to(torch.int8).flatten() - 1
    if bool(trits[n:].any()):
        raise ValueError(f"unpack_ternary: the last byte of packed is not filled with zero trits after {n} values")
    return trits[:n].reshape(shape)


def _powers(like: Tensor) -> Tensor:
    return torch.tensor([3**i for i in range(_TRITS_PER_BYTE)], dtype=torch.uint8, device=like.device)
