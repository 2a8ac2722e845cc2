"""Streams of whole numbers with a fixed number of bits each, and of sorted numbers.

Shapes: N numbers; a stream is bytes, uint8, (ceil(bits / 8),), first number in the lowest bits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_AT_ONCE = 1 << 20  # numbers, a multiple of 8: parts start on whole bytes


def stream_bytes(count: int, n_bits: int) -> int:
    """Bytes of a stream of `count` numbers of `n_bits` bits."""
    return -(-count * n_bits // 8)


def pack_numbers(numbers: Tensor, n_bits: int) -> Tensor:
    """Write numbers one after the other, n_bits each.

    Args:
        numbers: integers in 0..2^n_bits - 1, (N,).
        n_bits: 0 to 63.

    Returns:
        The stream, uint8, (ceil(N n_bits / 8),); unused bits of the last byte are clear.

    Raises:
        ValueError: a number does not fit.
    """
    values_N = numbers.cpu().numpy()
    if values_N.size and (int(values_N.min()) < 0 or int(values_N.max()) >> n_bits):
        found = f"{values_N.min()} to {values_N.max()}"
        raise ValueError(f"pack_numbers: {n_bits} bits hold 0..{(1 << n_bits) - 1}, got {found}")
    if n_bits == 0:
        return torch.zeros(0, dtype=torch.uint8)
    places = np.arange(n_bits, dtype=values_N.dtype)
    parts = [
        np.packbits(((values_N[start : start + _AT_ONCE, None] >> places) & 1).astype(np.uint8), bitorder="little")
        for start in range(0, len(values_N), _AT_ONCE)
    ]
    return torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0, dtype=torch.uint8)


def unpack_numbers(stream: Tensor, count: int, n_bits: int) -> Tensor:
    """Read what `pack_numbers` wrote.

    Args:
        stream: bytes, uint8.
        count: N.
        n_bits: 0 to 63.

    Returns:
        Numbers, uint8 up to 8 bits, int64 beyond, (N,).

    Raises:
        ValueError: the stream has another length, or bits set beyond the last number.
    """
    if stream.dtype != torch.uint8 or stream.shape != (stream_bytes(count, n_bits),):
        raise ValueError(f"unpack_numbers: {count} numbers of {n_bits} bits take {stream_bytes(count, n_bits)} bytes")
    dtype = np.uint8 if n_bits <= 8 else np.int64
    out_N = np.zeros(count, dtype)
    data = stream.cpu().numpy()
    used = count * n_bits % 8
    if used and data[-1] >> used:
        raise ValueError("unpack_numbers: bits are set beyond the last number")
    for start in range(0, count, _AT_ONCE):
        n = min(_AT_ONCE, count - start)
        part = data[start * n_bits // 8 : start * n_bits // 8 + stream_bytes(n, n_bits)]
        bits_nB = np.unpackbits(part, count=n * n_bits, bitorder="little").reshape(n, n_bits)
        for place in range(n_bits):
            out_N[start : start + n] |= bits_nB[:, place].astype(dtype) << dtype(place)
    return torch.from_numpy(out_N)


def pack_sorted(ids: Tensor, universe: int) -> Tensor:
    """Write increasing numbers in about 2 + log2(universe / N) bits each (Elias-Fano).

    Args:
        ids: strictly increasing, in 0..universe - 1, int64, (N,).
        universe: numbers there are.

    Returns:
        The stream, uint8; see `sorted_bytes` for its length.

    Raises:
        ValueError: not strictly increasing, or outside the universe.

    References:
        Elias (1974), Journal of the ACM 21(2). Fano (1971), MIT Memorandum 61.
    """
    if len(ids) and (int(ids[0]) < 0 or int(ids[-1]) >= universe or bool((ids.diff() <= 0).any())):
        raise ValueError(f"pack_sorted: ids must increase within 0..{universe - 1}")
    if not len(ids):
        return torch.zeros(0, dtype=torch.uint8)
    low_bits, high_length = _sorted_layout(len(ids), universe)
    high = torch.zeros(high_length, dtype=torch.int64)
    high[(ids >> low_bits) + torch.arange(len(ids))] = 1
    return torch.cat([pack_numbers(ids & ((1 << low_bits) - 1), low_bits), pack_numbers(high, 1)])


def unpack_sorted(stream: Tensor, count: int, universe: int) -> Tensor:
    """Read what `pack_sorted` wrote, int64, (count,).

    Raises:
        ValueError: the stream is not one of `count` increasing numbers below `universe`.
    """
    if stream.dtype != torch.uint8 or stream.shape != (sorted_bytes(count, universe),):
        raise ValueError(f"unpack_sorted: {count} of {universe} numbers take {sorted_bytes(count, universe)} bytes")
    if not count:
        return torch.zeros(0, dtype=torch.int64)
    low_bits, high_length = _sorted_layout(count, universe)
    cut = stream_bytes(count, low_bits)
    low_N = unpack_numbers(stream[:cut], count, low_bits).long()
    high_N = unpack_numbers(stream[cut:], high_length, 1).nonzero()[:, 0]
    if len(high_N) != count:
        raise ValueError(f"unpack_sorted: {len(high_N)} numbers found, {count} expected")
    ids = ((high_N - torch.arange(count)) << low_bits) | low_N
    if int(ids[-1]) >= universe or bool((ids.diff() <= 0).any()):
        raise ValueError(f"unpack_sorted: the numbers do not increase within 0..{universe - 1}")
    return ids


def sorted_bytes(count: int, universe: int) -> int:
    """Bytes of `pack_sorted`'s stream."""
    if not count:
        return 0
    low_bits, high_length = _sorted_layout(count, universe)
    return stream_bytes(count, low_bits) + stream_bytes(high_length, 1)


def _sorted_layout(count: int, universe: int) -> tuple[int, int]:
    low_bits = max(0, (universe // count).bit_length() - 1)
    return low_bits, count + ((universe - 1) >> low_bits) + 1
