"""Random numbers by key: each (seed, token, dimension, neuron, bin) has its own, whatever is drawn beside it.

A SplitMix64 stream a token and dimension, with its own start and step, is read at

    counter = neuron * 2^24 + word * 2^6 + slice,   word < 2^18, slice < 2^6

Shapes: n tokens, D dimensions.

References:
    Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, OOPSLA: the generator.
    Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11: counters for chunks.
"""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
NEURON_BITS, WORD_BITS = 24, 6
MOST_BINS = 64 << (NEURON_BITS - WORD_BITS)


def signed(value: int) -> int:
    """The int64 with the same bits as an unsigned 64-bit number."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def shift_right(a: Tensor, by: int) -> Tensor:
    """Shift the bits of int64 to the right, filling with zeros."""
    return (a >> by) & ((1 << (64 - by)) - 1)


def mix(z: Tensor) -> Tensor:
    """Scramble 64 bits, the finalizer of SplitMix64 (variant 13 of Stafford); int64, any shape."""
    z = (z ^ shift_right(z, 30)) * signed(MULTIPLIERS[0])
    z = (z ^ shift_right(z, 27)) * signed(MULTIPLIERS[1])
    return z ^ shift_right(z, 31)


def stream_keys(seed: int, token_n: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Make the start and the step of each stream.

    Args:
        seed: any whole number below 2^63 in magnitude.
        token_n: numbers of the tokens in the corpus, int64, (n,).
        dim: D.

    Returns:
        Starts and odd steps, int64, (n, D) each.
    """
    device = token_n.device
    root = mix(torch.tensor(signed(seed * GOLDEN + 0x5350494B45), device=device))
    token_n = mix(root + token_n * signed(GOLDEN))
    dimension_D = torch.arange(1, dim + 1, device=device) * signed(GOLDEN)
    start_nD = mix(token_n[:, None] + dimension_D)
    step_nD = mix(start_nD ^ signed(0x6A09E667F3BCC909)) | 1
    return start_nD, step_nD
