"""Condensation of noise-shaped bits to small integers: a window that averages the shaped noise away.

Shapes: N codes, M bits a code, P blocks a code, W = M / P bits a block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sdquant.bits import pack_bits, unpack_bits
from sdquant.codes import Codes

_CHUNK_ELEMENTS = 1 << 22
_EXACT_INTEGERS = 1 << 53  # of float64


def condensation_window(order: int, length: int) -> Tensor:
    """Give the window v that noise shaping of an order is condensed by: order boxes, convolved.

        v = box(L_1) * ... * box(L_r),   sum_j L_j = W + r - 1

    with the L_j equal, or one apart where W + r - 1 is not a multiple of r. H v is then of bounded variation for any
    W, which is all that the error bound needs: it grows as 1 and norm2(v) as W^(r - 1/2).

    Args:
        order: r, 0 to 3. Order 0 has nothing to average: its window is the single 1.
        length: W >= 1, bits a block; 1 for order 0.

    Returns:
        v, int64, (W,), positive; its sum is prod_j L_j.

    Raises:
        ValueError: order is unknown, length is below 1, or order 0 is given another length than 1.

    References:
        Huynh, Saab (2020), arXiv 1801.08639; Zhang, Saab (2021), arXiv 2010.00712, definition 2.1.

    Departs from:
        The papers take equal L_j only, so that W = r L - r + 1.
    """
    if order not in (0, 1, 2, 3):
        raise ValueError(f"condensation_window: order must be 0, 1, 2 or 3, got {order!r}")
    if length < 1 or (order == 0 and length != 1):
        allowed = "1 for order 0" if order == 0 else "at least 1"
        raise ValueError(f"condensation_window: length must be {allowed}, got {length}")
    window = torch.ones(1, dtype=torch.int64)
    for box in _box_lengths(order, length):
        sums = torch.nn.functional.pad(window, (box, box - 1)).cumsum(0)
        window = sums[box:] - sums[:-box]
    return window


def _box_lengths(order: int, length: int) -> list[int]:
    return [(length + order - 1 + j) // order for j in range(order)]


class Condensation(nn.Module):
    """The reduction of codes of one shape to block sums, and their storage.

        z_p = sum_i v_i q_{p W + i},   v = condensation_window(order, W)

    |z| is at most the sum of v and has its parity.

    Args:
        order: order of the noise shaping, 0 to 3.
        n_bits: M, a multiple of blocks.
        blocks: P >= 1; M for order 0.

    Raises:
        ValueError: a size is out of range, or inner products of z may leave the exact integers of float64.
    """

    window_W: Tensor

    def __init__(self, order: int, n_bits: int, blocks: int) -> None:
        super().__init__()
        _check_sizes(order, n_bits, blocks)
        self.n_bits, self.blocks = n_bits, blocks
        window_W = condensation_window(order, n_bits // blocks)
        self.peak = int(window_W.sum())
        self.energy = blocks * float(window_W.double().square().sum())  # P norm2(v)^2
        if 4 * blocks * self.peak**2 > _EXACT_INTEGERS:
            raise ValueError(
                f"BinaryEmbedding: order {order} with {len(window_W)} bits a block makes sums beyond the exact "
                f"integers of float64, got n_bits={n_bits}, blocks={blocks}; take more blocks, fewer bits or a lower "
                "order"
            )
        self.dtype = torch.int16 if self.peak <= torch.iinfo(torch.int16).max else torch.int32
        self.register_buffer("window_W", window_W, persistent=False)

    @property
    def bytes_per_vector(self) -> dict[str, int]:
        """Bytes of one vector as "bits", as "packed" sums, and as a "tensor" of sums."""
        packed = -(-self.blocks * self.peak.bit_length() // 8)
        return {"bits": -(-self.n_bits // 8), "packed": packed, "tensor": self.dtype.itemsize * self.blocks}

    def forward(self, codes: Codes) -> Tensor:
        """Give z, int16 or int32, (N, P)."""
        if not isinstance(codes, Codes):
            raise TypeError(f"BinaryEmbedding: codes must be sdquant.Codes, got {type(codes).__name__}")
        if codes.n_bits != self.n_bits:
            raise ValueError(f"BinaryEmbedding: takes codes of {self.n_bits} bits, got {codes.n_bits}")
        # Every partial sum is an integer of at most the peak: exact in floating point in any order.
        weights_W = self.window_W.to(codes.packed.device, torch.float32 if self.peak <= 1 << 24 else torch.float64)
        z_NP = torch.empty(len(codes), self.blocks, dtype=self.dtype, device=codes.packed.device)
        rows = max(1, _CHUNK_ELEMENTS // self.n_bits)
        for start in range(0, len(codes), rows):
            q_RPW = codes[start : start + rows].unpack().reshape(-1, self.blocks, len(weights_W))
            z_NP[start : start + rows] = q_RPW.to(weights_W.dtype) @ weights_W
        return z_NP

    def check(self, z_NP: Tensor) -> Tensor:
        """Give z back if it can be what `forward` gave; TypeError or ValueError if not."""
        if z_NP.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64):
            raise TypeError(f"BinaryEmbedding: condensed codes must be a signed integer tensor, got {z_NP.dtype}")
        if z_NP.ndim != 2 or z_NP.shape[1] != self.blocks:
            raise ValueError(f"BinaryEmbedding: condensed codes take shape (n, {self.blocks}), got {tuple(z_NP.shape)}")
        wide_NP = z_NP.long()
        if bool(((wide_NP.abs() > self.peak) | ((wide_NP - self.peak) % 2 != 0)).any()):
            raise ValueError(
                f"BinaryEmbedding: condensed codes are {'odd' if self.peak % 2 else 'even'} numbers in "
                f"[-{self.peak}, {self.peak}]; found another: they are of another embedding"
            )
        return z_NP

    def pack(self, z_NP: Tensor) -> Tensor:
        """Store z, (N, P), as (z + peak) / 2 at the bits of peak each: uint8, (N, B)."""
        width = self.peak.bit_length()
        places = torch.arange(width, device=z_NP.device)
        chunks = self.check(z_NP).split(max(1, _CHUNK_ELEMENTS // (self.blocks * width)))
        bits = [(((z_RP.long() + self.peak) >> 1)[:, :, None] >> places & 1).flatten(1) for z_RP in chunks]
        return torch.cat([pack_bits(2 * bits_RM - 1) for bits_RM in bits])

    def unpack(self, packed_NB: Tensor) -> Tensor:
        """Read back what `pack` stored; TypeError or ValueError if it cannot be that."""
        width = self.peak.bit_length()
        places = torch.arange(width, device=packed_NB.device)
        parts = []
        for packed_RB in packed_NB.split(max(1, _CHUNK_ELEMENTS // (self.blocks * width))):
            bits_RPb = unpack_bits(packed_RB, self.blocks * width).reshape(-1, self.blocks, width) > 0
            parts.append((bits_RPb.long() << places).sum(2))
        half_NP = torch.cat(parts)
        if bool((half_NP > self.peak).any()):
            raise ValueError(f"BinaryEmbedding: packed has a number beyond {self.peak}: it is of another embedding")
        return (2 * half_NP - self.peak).to(self.dtype)


def _check_sizes(order: int, n_bits: int, blocks: int) -> None:
    if n_bits < 1 or blocks < 1:
        raise ValueError(f"BinaryEmbedding: n_bits and blocks must be at least 1, got {n_bits} and {blocks}")
    if order == 0 and blocks != n_bits:
        raise ValueError(
            f"BinaryEmbedding: order 0 has nothing to condense: blocks must be n_bits={n_bits} or left out, "
            f"got blocks={blocks}"
        )
    if n_bits % blocks:
        below, above = n_bits // blocks * blocks, -(-n_bits // blocks) * blocks
        nearest = f"{below} or {above}" if below else str(above)
        raise ValueError(
            f"BinaryEmbedding: n_bits must be a multiple of blocks={blocks}, got n_bits={n_bits}; "
            f"the nearest is {nearest}"
        )
