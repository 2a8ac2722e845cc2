"""How many symbols, of how many bits, fit a byte budget that counts everything.

Bytes of a vocabulary of N vectors in D dimensions, M symbols of b bits:

    codes N M b / 8 + codebooks M 2^b (D 6 bits) + mean and file headers
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from sdquant.additive import LEVEL_BITS

HEADER_BYTES, BLOCK_HEADER_BYTES = 2_740, 260  # of a codec file and a codes file together, and more for each block
MAX_ENTRIES = 2_048  # of all codebooks of a block: the search keeps a table of their products
BLOCK_DIM = 512
MAX_BITS_PER_DIM = 8

# How much a bit of symbols of 1 to 8 bits is worth: the bits of 1-bit symbols that reach the same squared error; and
# how much is left of it when the dimensions are cut in half, each half coded by itself. Measured on word vectors at
# 60 bits (benchmarks/codecs.py, "symbols"); a fit tries the plans that come near the best.
BIT_WORTH = {1: 1.0, 2: 1.09, 4: 1.28, 6: 1.39, 8: 1.48}
HALVING_WORTH = 0.85
_NEAR = 0.88
_TRIED = 3
_TIGHT = 2.5


class CompressionError(ValueError):
    """A compression that the vocabulary does not allow; the message says which one it does."""


@dataclass(frozen=True)
class CodecPlan:
    """Size of a codec.

    Args:
        bits_per_symbol: 1, 2, 4, 6 or 8.
        n_symbols: symbols a row, over all blocks, at least one each.
        n_blocks: blocks of dimensions with codebooks of their own.
        budget_bytes: for codec and codes together.
        worth: estimate of the bits of 1-bit symbols, in one block, that would do as well.
    """

    bits_per_symbol: int
    n_symbols: int
    n_blocks: int
    budget_bytes: float
    worth: float


def check_possible(n_distinct: int, dim: int, compression: float) -> None:
    """Refuse what no code can do.

    Args:
        n_distinct: different vectors.
        dim: dimensions.
        compression: times smaller than float32.

    Raises:
        CompressionError: a vector has fewer bits than it takes to tell the vectors apart.
    """
    if not math.isfinite(compression) or compression < 1:
        raise CompressionError(f"compression must be at least 1, got {compression}")
    bits, needed = 32 * dim / compression, math.log2(n_distinct)
    if bits < needed:
        raise CompressionError(
            f"compression={compression:g} leaves {bits:.2f} bits a vector of dimension {dim}, and telling "
            f"{n_distinct:,} vectors apart takes log2 = {needed:.2f}: at most {32 * dim / needed:.1f} is possible "
            "for codes of one length"
        )


def plan_codec(
    n_rows: int,
    n_distinct: int,
    dim: int,
    compression: float,
    *,
    extra_bytes: int = 0,
    bits_per_symbol: int | None = None,
) -> list[CodecPlan]:
    """Find symbols and blocks that make the most of a budget.

    Args:
        n_rows: vectors, N.
        n_distinct: different ones.
        dim: dimensions, D.
        compression: times smaller than float32, codec and codes together.
        extra_bytes: of the codec beside its codebooks.
        bits_per_symbol: 1, 2, 4, 6 or 8 to have these; by default what is worth most.

    Returns:
        The plan of the greatest worth and those that come near it, at most three, best first.

    Raises:
        CompressionError: too few bits to tell the vectors apart, or too few vectors to pay for a codec.
    """
    check_possible(n_distinct, dim, compression)
    if bits_per_symbol is not None and bits_per_symbol not in BIT_WORTH:
        raise ValueError(f"bits_per_symbol must be one of {tuple(BIT_WORTH)}, got {bits_per_symbol}")
    budget = 4 * dim * n_rows / compression
    spare = budget - HEADER_BYTES - 4 * dim - extra_bytes
    # with hardly more bits than it takes to number the vectors, escapes decide, and small symbols leave room for them
    tight = 8 * budget / n_rows < _TIGHT * math.log2(n_distinct)
    sizes = [bits for bits in BIT_WORTH if bits <= (4 if tight else 8)]
    plans = []
    for bits in [bits_per_symbol] if bits_per_symbol else sizes:
        for halvings in range(dim.bit_length()):
            n_blocks = 2**halvings
            symbol_bytes = n_rows * bits / 8 + codebook_bytes(dim / n_blocks, 2**bits)
            n_symbols = min(int((spare - BLOCK_HEADER_BYTES * n_blocks) / symbol_bytes), MAX_BITS_PER_DIM * dim // bits)
            fits = max(dim / BLOCK_DIM, n_symbols * 2**bits / MAX_ENTRIES) <= n_blocks <= min(n_symbols, dim)
            if fits and n_symbols * bits >= math.log2(n_distinct) / 2:
                worth = n_symbols * bits * BIT_WORTH[bits] * HALVING_WORTH**halvings
                plans.append(CodecPlan(bits, n_symbols, n_blocks, budget, worth))
    if not plans:
        raise CompressionError(
            f"compression={compression:g} of {n_rows:,} vectors of dimension {dim} leaves {budget:,.0f} bytes for "
            "codes and codec together: too few for a codec; give more vectors, or compress less"
        )
    plans.sort(key=lambda plan: -plan.worth)
    return [plan for plan in plans[:_TRIED] if plan.worth >= _NEAR * plans[0].worth]


def codebook_bytes(dim: float, n_entries: int) -> float:
    """Bytes that a codebook takes in a file."""
    return n_entries * dim * LEVEL_BITS / 8 + 4


def symbols_of_blocks(variance_D: list[float], n_symbols: int, bits_per_symbol: int, n_blocks: int) -> list[int]:
    """Share symbols out over blocks of dimensions by reverse water-filling.

    Bits of a dimension are half the log2 of its variance over the water level, none below it.

    Args:
        variance_D: variance of every dimension in order.
        n_symbols: symbols there are, at least one a block.
        bits_per_symbol: bits of each.
        n_blocks: blocks that `block_edges` makes.

    Returns:
        Symbols of each block, at least 1 each.

    References:
        Cover, Thomas (2006), Elements of Information Theory, section 10.3.3.
    """
    blocks = [variance_D[start:stop] for start, stop in block_edges(len(variance_D), n_blocks)]
    logs = [[math.log2(max(v, 1e-30)) for v in block] for block in blocks]
    n_bits = n_symbols * bits_per_symbol

    def rates(level: float) -> list[float]:
        return [sum(max(0.0, (value - level) / 2) for value in block) for block in logs]

    low, high = min(map(min, logs)) - 2 * n_bits / len(variance_D) - 2, max(map(max, logs))
    for _ in range(100):
        level = (low + high) / 2
        low, high = (low, level) if sum(rates(level)) < n_bits else (level, high)
    wanted = rates(low)
    shares = [max(1, int(rate / bits_per_symbol)) for rate in wanted]
    most = max(MAX_ENTRIES >> bits_per_symbol, math.ceil(n_symbols / n_blocks))
    shares = [min(share, most) for share in shares]
    while sum(shares) < n_symbols:
        open_blocks = [b for b in range(n_blocks) if shares[b] < most]
        shares[max(open_blocks, key=lambda b: wanted[b] - shares[b] * bits_per_symbol)] += 1
    while sum(shares) > n_symbols:
        shares[max((b for b in range(len(shares)) if shares[b] > 1), key=lambda b: shares[b])] -= 1
    return shares


def block_edges(dim: int, n_blocks: int) -> list[tuple[int, int]]:
    """First and last-plus-one dimension of each block, as equal as can be."""
    edges = [dim * b // n_blocks for b in range(n_blocks + 1)]
    return list(itertools.pairwise(edges))
