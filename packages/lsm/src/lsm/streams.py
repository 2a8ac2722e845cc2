"""Random numbers by key: each draw is a function of (seed, what it is for, its indices) and of nothing else.

A key names a SplitMix64 stream; word j of it is `mix(key + (j + 1) GOLDEN)`. The functions take numpy arrays of uint64,
and the kernels compile the same lines.

References:
    Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, OOPSLA: the generator.
    Lemire (2019), Fast random integer generation in an interval, ACM TOMACS 29(1): bounded integers by multiplication.
"""

from __future__ import annotations

import zlib

import numpy as np

_MASK = (1 << 64) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_A, _B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31, _S32 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_ONE, _LOW = np.uint64(1), np.uint64((1 << 32) - 1)


def mix(z):
    """Scramble 64 bits: the finalizer of SplitMix64."""
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


def word(stream, j):
    """Word j of a stream, uint64; itself fit to be the key of another stream."""
    return mix(stream + (j + _ONE) * GOLDEN)


def high_below(word, n):
    """A number 0 to n - 1 from the upper 32 bits of a word; n < 2^32."""
    return ((word >> _S32) * n) >> _S32


def low_below(word, n):
    """A number 0 to n - 1 from the lower 32 bits of a word; n < 2^32."""
    return ((word & _LOW) * n) >> _S32


def uniform(word):
    """A number in (0, 1) from the upper 53 bits of a word: odd multiples of 2^-54."""
    return (word >> _S11) * 2.0**-53 + 2.0**-54


def key(seed: int, what: str, *indices: int) -> np.uint64:
    """Name a stream.

    Args:
        seed: any whole number.
        what: the purpose of its draws, for example "connection".
        indices: whole numbers that tell streams of one purpose apart.

    Returns:
        The key, uint64.
    """
    state = zlib.crc32(what.encode())
    for number in (seed, *indices):
        state = int(_mixed((state + (number & _MASK) * int(GOLDEN) + int(GOLDEN)) & _MASK))
    return np.uint64(state)


def _mixed(value: int) -> np.uint64:
    return mix(np.array([value], np.uint64))[0]
