"""Five bits a value: 32 uniform levels on [-clip, +clip], packed 8 values in 5 bytes.

Shapes: N vectors, D values each, G = ceil(D / 8) groups of 8 values, B = 5 G bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

N_LEVELS = 32
GROUP_VALUES = 8
GROUP_BYTES = 5


@dataclass(frozen=True)
class FiveBit:
    """Five-bit codes of unit vectors.

    Mid-rise levels with step = 2 clip / 32, for x of a vector of unit length:

        level = min(max(floor((x + clip) / step), 0), 31)
        x_hat = clip (2 level - 31) / 32

    so that values sit at the centres of 32 equal cells, none of them at zero; |x - x_hat| <= clip / 32 where
    |x| <= clip, and the highest bit of a level is the sign (level >= 16 where x >= 0).

    Args:
        dim: D, values a vector, >= 1.
        clip: the bound beyond which values saturate, in units of the vector's length, 0 < clip <= 1.

    Raises:
        ValueError: dim or clip out of range.

    References:
        Gersho, Gray (1992), Vector Quantization and Signal Compression, section 5.4 (uniform mid-rise quantizers).
    """

    dim: int
    clip: float

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"FiveBit: dim must be at least 1, got {self.dim}")
        if not 0 < self.clip <= 1:
            raise ValueError(f"FiveBit: clip must be in (0, 1], got {self.clip}")

    @classmethod
    def fit(cls, x_ND: Tensor, clip_quantile: float = 0.999) -> FiveBit:
        """Choose clip as a quantile of the absolute values of the unit vectors.

        clip is the least absolute value that at least `clip_quantile` of all N D values do not exceed.

        Args:
            x_ND: vectors of any length but zero, (N, D), N >= 1.
            clip_quantile: in (0, 1]; 1 takes the largest absolute value.

        Raises:
            ValueError: an argument out of range, zero vectors, NaN or infinite values, or a quantile that is zero
                because most values are.
        """
        if not 0 < clip_quantile <= 1:
            raise ValueError(f"FiveBit.fit: clip_quantile must be in (0, 1], got {clip_quantile}")
        unit_ND = _unit_rows(x_ND, "FiveBit.fit")
        if len(unit_ND) == 0:
            raise ValueError("FiveBit.fit: no vectors to fit to")
        rank = max(1, math.ceil(clip_quantile * unit_ND.numel()))
        clip = float(unit_ND.abs().flatten().kthvalue(rank).values)
        if clip == 0:
            raise ValueError(
                f"FiveBit.fit: the {clip_quantile} quantile of the absolute values is 0; take a higher clip_quantile"
            )
        return cls(unit_ND.shape[1], min(clip, 1.0))

    def encode(self, x_ND: Tensor) -> Tensor:
        """Bring vectors to unit length, quantize and pack them.

        Args:
            x_ND: vectors of any length but zero, (N, dim).

        Returns:
            Codes, uint8, (N, 5 ceil(dim / 8)).

        Raises:
            ValueError: another width than dim, NaN or infinite values, or a zero vector: it has no direction to keep.
        """
        unit_ND = _unit_rows(x_ND, "FiveBit.encode")
        if unit_ND.shape[1] != self.dim:
            raise ValueError(f"FiveBit.encode: expected vectors of {self.dim} values, got {unit_ND.shape[1]}")
        cells_ND = torch.floor(unit_ND * (N_LEVELS / 2 / self.clip)) + N_LEVELS // 2
        return pack_five_bit(cells_ND.clamp_(0, N_LEVELS - 1).to(torch.uint8))

    def decode(self, packed_NB: Tensor) -> Tensor:
        """Unpack codes to vectors of unit length.

        Args:
            packed_NB: codes from `encode`, uint8, (N, 5 ceil(dim / 8)).

        Returns:
            x_hat / |x_hat|, float32, (N, dim).

        Raises:
            ValueError: another width, or padding that is not zero.
            TypeError: not uint8.
        """
        levels_ND = unpack_five_bit(packed_NB, self.dim)
        # The factor clip / 32 goes out with the length.
        return torch.nn.functional.normalize(levels_ND.float() * 2 - (N_LEVELS - 1), dim=1)


def pack_five_bit(levels_ND: Tensor) -> Tensor:
    """Pack levels of five bits, 8 in 5 bytes.

    The bits of a row are one string: value 0 first, of each value the highest bit first, and byte 0 takes the first 8
    of them from its highest bit down, as numpy.packbits does. D is filled up to a multiple of 8 with zeros.

    Args:
        levels_ND: uint8 in 0..31, (N, D), D >= 1.

    Returns:
        uint8, (N, 5 ceil(D / 8)).

    Raises:
        TypeError: not uint8.
        ValueError: not a matrix, or a level above 31.
    """
    if levels_ND.dtype != torch.uint8:
        raise TypeError(f"pack_five_bit: levels must be uint8, got {levels_ND.dtype}")
    if levels_ND.ndim != 2 or levels_ND.shape[1] == 0:
        raise ValueError(f"pack_five_bit: expected levels of shape (N, D), got {tuple(levels_ND.shape)}")
    if levels_ND.numel() and int(levels_ND.max()) >= N_LEVELS:
        raise ValueError(f"pack_five_bit: levels must be 0..{N_LEVELS - 1}, got {int(levels_ND.max())}")
    n_rows, dim = levels_ND.shape
    padded_ND = torch.nn.functional.pad(levels_ND, (0, -dim % GROUP_VALUES))
    a, b, c, d, e, f, g, h = padded_ND.view(n_rows, padded_ND.shape[1] // GROUP_VALUES, GROUP_VALUES).unbind(dim=2)
    group_bytes = [
        (a << 3) | (b >> 2),
        (b << 6) | (c << 1) | (d >> 4),
        (d << 4) | (e >> 1),
        (e << 7) | (f << 2) | (g >> 3),
        (g << 5) | h,
    ]
    return torch.stack(group_bytes, dim=2).flatten(1)


def unpack_five_bit(packed_NB: Tensor, dim: int) -> Tensor:
    """Undo `pack_five_bit`, exactly.

    Args:
        packed_NB: uint8, (N, 5 ceil(dim / 8)).
        dim: D, the values a row that were packed, >= 1.

    Returns:
        Levels, uint8 in 0..31, (N, dim).

    Raises:
        TypeError: not uint8.
        ValueError: another width than dim needs, or padding that is not zero: another dim was packed.
    """
    if packed_NB.dtype != torch.uint8:
        raise TypeError(f"unpack_five_bit: codes must be uint8, got {packed_NB.dtype}")
    if dim < 1:
        raise ValueError(f"unpack_five_bit: dim must be at least 1, got {dim}")
    n_bytes = -(-dim // GROUP_VALUES) * GROUP_BYTES
    if packed_NB.ndim != 2 or packed_NB.shape[1] != n_bytes:
        raise ValueError(
            f"unpack_five_bit: {dim} values take codes of shape (N, {n_bytes}), got {tuple(packed_NB.shape)}"
        )
    p, q, r, s, t = packed_NB.view(len(packed_NB), n_bytes // GROUP_BYTES, GROUP_BYTES).unbind(dim=2)
    levels = [
        p >> 3,
        (p << 2) | (q >> 6),
        q >> 1,
        (q << 4) | (r >> 4),
        (r << 1) | (s >> 7),
        s >> 2,
        (s << 3) | (t >> 5),
        t,
    ]
    padded_ND = (torch.stack(levels, dim=2) & (N_LEVELS - 1)).flatten(1)
    if padded_ND[:, dim:].any():
        raise ValueError(f"unpack_five_bit: the padding after {dim} values is not zero; were more values packed?")
    return padded_ND[:, :dim].contiguous()


def bit_planes(packed_NB: Tensor, dim: int) -> Tensor:
    """Split five-bit codes into five binary codes, one a bit, for Hamming search.

    Plane 0 holds the highest bits: of codes from `FiveBit`, the signs (1 where x >= 0).

    Args:
        packed_NB: uint8, (N, 5 ceil(dim / 8)).
        dim: D, the values a row that were packed, >= 1.

    Returns:
        uint8, (5, N, ceil(dim / 8)); of each byte the highest bit is the first value's, as in numpy.packbits. Padding
        bits are zero.

    Raises:
        TypeError, ValueError: as `unpack_five_bit`.
    """
    levels_ND = unpack_five_bit(packed_NB, dim)
    padded_ND = torch.nn.functional.pad(levels_ND, (0, -dim % 8))
    groups_NG8 = padded_ND.view(len(padded_ND), padded_ND.shape[1] // 8, 8)
    shifts_8 = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed_NB.device)
    planes = [(((groups_NG8 >> bit) & 1) << shifts_8).sum(dim=2, dtype=torch.uint8) for bit in (4, 3, 2, 1, 0)]
    return torch.stack(planes)


def _unit_rows(x_ND: Tensor, caller: str) -> Tensor:
    """Bring rows to unit length, float32; by their largest value first, so that no square over- or underflows."""
    if x_ND.ndim != 2 or x_ND.shape[1] == 0 or not x_ND.is_floating_point():
        raise ValueError(f"{caller}: expected floats of shape (N, D), got {x_ND.dtype} of shape {tuple(x_ND.shape)}")
    if x_ND.dtype != torch.float64:
        x_ND = x_ND.float()
    largest_N1 = x_ND.abs().amax(dim=1, keepdim=True)
    if not torch.isfinite(largest_N1).all():
        row = int((~torch.isfinite(largest_N1)).nonzero()[0, 0])
        raise ValueError(f"{caller}: row {row} has NaN or infinite values; leave such rows out")
    if not largest_N1.all():
        row = int((largest_N1 == 0).nonzero()[0, 0])
        raise ValueError(f"{caller}: row {row} is zero and has no direction; leave such rows out")
    scaled_ND = (x_ND / largest_N1).float()
    return scaled_ND / scaled_ND.norm(dim=1, keepdim=True)
