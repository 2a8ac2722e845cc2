"""First numbers of numpy's PCG64 for many seeds at once: what `gymnasium`'s `reset(seed=)` draws from.

    numpy.random.Generator(numpy.random.PCG64(numpy.random.SeedSequence(seed))).random(n)

for each seed, bit for bit, a few hundred times faster than one generator a seed. 128-bit numbers are pairs (high, low)
of uint64; sums and products wrap as they do in C.

Shapes: B seeds, n numbers a seed.

References:
    O'Neill (2014), PCG: A family of simple fast space-efficient statistically good algorithms, HMC-CS-2014-0905.
    O'Neill (2015), Developing a seed_seq alternative: the mixing of numpy's SeedSequence.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_U32, _U64 = np.uint32, np.uint64
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_LEFT, _MIX_RIGHT = _U32(0xCA01F9DD), _U32(0x4973F715)
_POOL = 4
_PCG_MULTIPLIER = (_U64(2549297995355413924), _U64(4865540595714422341))

Words = NDArray[np.uint32]
Pair = tuple[NDArray[np.uint64], NDArray[np.uint64]]


def as_seeds(seeds: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint64]:
    """Check seeds, 0 to 2^64 - 1 each, and give them as uint64, (B,)."""
    if isinstance(seeds, np.ndarray):
        if seeds.ndim != 1 or not np.issubdtype(seeds.dtype, np.integer):
            raise ValueError(f"reset: seeds must be one row of whole numbers, got {seeds.dtype} of shape {seeds.shape}")
        if len(seeds) and seeds.min() < 0:
            raise ValueError(f"reset: seeds must be >= 0, got {seeds.min()}")
        return seeds.astype(np.uint64)
    try:
        values = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"reset: seeds must be whole numbers, got {list(seeds)[:8]}") from None
    for value in values:
        if not 0 <= value < 1 << 64:
            raise ValueError(f"reset: seeds must be in [0, 2^64), got {value}")
    return np.array(values, dtype=np.uint64)


class _Hash:
    """The running constant of SeedSequence's hash."""

    def __init__(self, start: int, multiplier: int) -> None:
        self.constant, self.multiplier = start, multiplier

    def __call__(self, value_B: Words) -> Words:
        value_B = value_B ^ _U32(self.constant)
        self.constant = self.constant * self.multiplier & 0xFFFFFFFF
        value_B = value_B * _U32(self.constant)
        return value_B ^ (value_B >> _U32(16))


def _mix(x_B: Words, y_B: Words) -> Words:
    result_B = x_B * _MIX_LEFT - y_B * _MIX_RIGHT
    return result_B ^ (result_B >> _U32(16))


def _seed_words(seeds_B: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
    """SeedSequence(seed).generate_state(4, uint64): four arrays (B,)."""
    hashed = _Hash(_INIT_A, _MULT_A)
    zero_B = np.zeros(len(seeds_B), _U32)
    entropy = [seeds_B.astype(_U32), (seeds_B >> _U64(32)).astype(_U32), zero_B, zero_B]
    pool = [hashed(word_B) for word_B in entropy]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mix(pool[target], hashed(pool[source]))
    hashed = _Hash(_INIT_B, _MULT_B)
    words = [hashed(pool[i % _POOL]).astype(_U64) for i in range(8)]
    return [words[2 * i] | (words[2 * i + 1] << _U64(32)) for i in range(4)]


def _add(a: Pair, b: Pair) -> Pair:
    low_B = a[1] + b[1]
    return a[0] + b[0] + (low_B < b[1]).astype(_U64), low_B


def _times_multiplier(a: Pair) -> Pair:
    """Product with the multiplier of PCG64, modulo 2^128."""
    mask, half = _U64(0xFFFFFFFF), _U64(32)
    a1_B, a0_B = a[1] >> half, a[1] & mask
    b1, b0 = _PCG_MULTIPLIER[1] >> half, _PCG_MULTIPLIER[1] & mask
    low_B, cross_B = a0_B * b0, a1_B * b0
    middle_B = (low_B >> half) + (cross_B & mask) + a0_B * b1
    high_B = a1_B * b1 + (cross_B >> half) + (middle_B >> half)
    return high_B + a[0] * _PCG_MULTIPLIER[1] + a[1] * _PCG_MULTIPLIER[0], a[1] * _PCG_MULTIPLIER[1]


def uniform_rows(seeds: Sequence[int] | NDArray[np.integer], n: int) -> NDArray[np.float64]:
    """Draw the first n numbers of `gymnasium.utils.seeding.np_random(seed)[0].random(n)` for each seed.

    Args:
        seeds: one seed a row, 0 to 2^64 - 1.
        n: numbers a row, >= 0.

    Returns:
        Uniform numbers in [0, 1), float64, (B, n).

    Raises:
        ValueError: a seed is negative or too large.
    """
    words = _seed_words(as_seeds(seeds))
    one = _U64(1)
    increment = ((words[2] << one) | (words[3] >> _U64(63)), (words[3] << one) | one)
    state = _add(_add(increment, (words[0], words[1])), (np.zeros_like(words[0]), np.zeros_like(words[1])))
    state = _add(_times_multiplier(state), increment)
    drawn_Bn = np.empty((len(words[0]), n))
    for k in range(n):
        state = _add(_times_multiplier(state), increment)
        word_B, turn_B = state[0] ^ state[1], state[0] >> _U64(58)
        word_B = (word_B >> turn_B) | (word_B << ((_U64(64) - turn_B) & _U64(63)))
        drawn_Bn[:, k] = (word_B >> _U64(11)).astype(np.float64) * (1.0 / 9007199254740992.0)
    return drawn_Bn
