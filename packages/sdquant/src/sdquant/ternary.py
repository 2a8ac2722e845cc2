"""1.58-bit weights: absmean quantization to {-1, 0, +1} and storage at five or four trits a byte."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

TernaryLayout = Literal["base3", "two_bit"]

# Trits of a byte, and what the place of each is worth.
_PLACES: dict[str, tuple[int, ...]] = {"base3": (1, 3, 9, 27, 81), "two_bit": (1, 4, 16, 64)}


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
    trits, scale = absmean_trits(w)
    return trits.to(torch.int8), scale


def absmean_trits(w: Tensor) -> tuple[Tensor, Tensor]:
    """`quantize_ternary` without looking at values: trits in the dtype of w; a NaN in w makes the scale NaN."""
    scale = w.abs().mean()
    ratio = torch.where(w == 0, torch.zeros_like(w), w / scale)
    return ratio.round().clamp(-1, 1), scale


def pack_ternary(trits: Tensor, layout: TernaryLayout = "base3") -> Tensor:
    """Store trits five a byte, 1.6 bit each, or four a byte, 2 bit each, which is faster to read.

        base3:   byte_k = sum_{i=0..4} (t_{5k+i} + 1) 3^i
        two_bit: byte_k = sum_{i=0..3} (t_{4k+i} + 1) 4^i

    Trits are taken in row-major order; the last byte is filled up with zero trits.

    Args:
        trits: values in {-1, 0, +1}, integer dtype, any shape, n values.
        layout: "base3" or "two_bit".

    Returns:
        Bytes, uint8, (ceil(n / 5),) or (ceil(n / 4),). The shape is not stored.

    Raises:
        TypeError: trits is not of an integer dtype.
        ValueError: a value is not -1, 0 or +1, or layout is unknown.
    """
    places = places_of("pack_ternary", layout)
    if trits.is_floating_point() or trits.is_complex() or trits.dtype in (torch.bool, torch.uint8):
        raise TypeError(f"pack_ternary: trits must be a signed integer tensor, got {trits.dtype}")
    wrong = trits[(trits < -1) | (trits > 1)]
    if len(wrong):
        raise ValueError(f"pack_ternary: trits must be -1, 0 or +1, found {int(wrong[0])}")
    digits = trits.flatten().to(torch.uint8) + 1  # -1 is 255 as uint8 and wraps to 0
    fill = -len(digits) % len(places)
    digits = torch.nn.functional.pad(digits, (0, fill), value=1).reshape(-1, len(places))
    return (digits * _place_values(places, digits)).sum(1, dtype=torch.uint8)


def unpack_ternary(packed: Tensor, shape: Sequence[int], layout: TernaryLayout = "base3") -> Tensor:
    """Read back what `pack_ternary` stored.

    Args:
        packed: bytes, uint8, (ceil(n / 5),) or (ceil(n / 4),), n the product of shape.
        shape: shape of the trits.
        layout: "base3" or "two_bit", as packed.

    Returns:
        Values in {-1, 0, +1}, int8, in the given shape.

    Raises:
        TypeError: packed is not uint8.
        ValueError: the number of bytes does not fit the shape, a byte is none that `pack_ternary` writes, or layout is
            unknown.
    """
    places = places_of("unpack_ternary", layout)
    if packed.dtype != torch.uint8:
        raise TypeError(f"unpack_ternary: packed must be uint8, got {packed.dtype}")
    shape = tuple(shape)
    n = math.prod(shape)
    n_bytes = -(-n // len(places))
    if packed.shape != (n_bytes,) or any(size < 0 for size in shape):
        raise ValueError(f"unpack_ternary: shape {shape} takes packed of shape ({n_bytes},), got {tuple(packed.shape)}")
    base = places[1]
    digits = packed[:, None] // _place_values(places, packed) % base
    wrong = packed[(digits > 2).any(1) | (packed > min(base ** len(places) - 1, 255))]
    if len(wrong):
        allowed = "are at most 242" if layout == "base3" else "hold no bit pair 11"
        raise ValueError(f"unpack_ternary: packed bytes of layout {layout!r} {allowed}, found {int(wrong[0])}")
    trits = digits.to(torch.int8).flatten() - 1
    if bool(trits[n:].any()):
        raise ValueError(f"unpack_ternary: the last byte of packed is not filled with zero trits after {n} values")
    return trits[:n].reshape(shape)


def places_of(caller: str, layout: str) -> tuple[int, ...]:
    """What each trit of a byte is multiplied by in a layout; a ValueError that names the caller where it is unknown."""
    if layout not in _PLACES:
        raise ValueError(f"{caller}: layout must be 'base3' or 'two_bit', got {layout!r}")
    return _PLACES[layout]


def _place_values(places: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.tensor(places, dtype=torch.uint8, device=like.device)
