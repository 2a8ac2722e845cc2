"""Search for the symbols of an additive code: numba for CPU tensors, and the plain-torch definition.

A code has M symbols of K values each, J = M K entries in all. The squared error of a vector splits into what each entry
adds alone and what pairs of entries of different codebooks add together:

    |x - sum_m c_m|^2 = |x|^2 + sum_m u(c_m) + sum_{m < m'} p(c_m, c_m')
    u(c) = <c, c> - 2 <x, c>,   p(c, c') = 2 <c, c'>

Both forms keep, for every entry, what the error would gain with that entry in place of its codebook's present one, add
in the same order and so agree bit for bit.

Shapes: N rows, D dimensions, M codebooks, K entries of each, J = M K, R restarts, Q changes at a restart.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sdquant.kernels import _has_numba


class SearchTables(NamedTuple):
    """What the search needs to know of the codebooks.

    Args:
        alone_J: <c, c>, float32.
        projection_DJ: -2 c as columns, float32.
        pairs_JJ: 2 <c, c'>, zero within a codebook, float32, symmetric.
        positions_RQ: codebook that each change of each restart replaces, int64.
        symbols_RQ: the symbol it puts there, int64.
        n_symbols: K.
    """

    alone_J: Tensor
    projection_DJ: Tensor
    pairs_JJ: Tensor
    positions_RQ: Tensor
    symbols_RQ: Tensor
    n_symbols: int


_GAINS_AT_ONCE = 1 << 26
MAX_PASSES = 12  # over the codebooks, before a descent that still improves is cut short


def search(x_ND: Tensor, tables: SearchTables, start_NM: Tensor) -> Tensor:
    """Find symbols of small error: coordinate descent, then restarts from the best code with a few symbols replaced.

    A restart that ends in a smaller error is kept. Each row is searched by itself.

    Args:
        x_ND: rows, float32, (N, D).
        tables: the codebooks.
        start_NM: symbols to start from, uint8, (N, M).

    Returns:
        Symbols, uint8, (N, M).
    """
    if x_ND.device.type != "cpu" or not _has_numba():
        at_once = max(1, _GAINS_AT_ONCE // len(tables.alone_J))
        parts = zip(x_ND.split(at_once), start_NM.split(at_once), strict=True)
        return torch.cat([search_reference(x_nD, tables, start_nM) for x_nD, start_nM in parts])
    from sdquant.kernels import additive_cpu, cpu

    codes_NM = start_NM.clone()
    arrays = [tensor.numpy() for tensor in tables[:5]]
    arguments = (x_ND.contiguous().numpy(), *arrays, tables.n_symbols, MAX_PASSES, codes_NM.numpy())
    work = len(x_ND) * len(tables.alone_J) * (x_ND.shape[1] + 8 * len(tables.positions_RQ))
    cpu.over_rows(additive_cpu.search_rows, arguments, len(x_ND), work)
    return codes_NM


def search_reference(x_ND: Tensor, tables: SearchTables, start_NM: Tensor) -> Tensor:
    """`search` in plain torch, all rows side by side."""
    n_symbols = tables.n_symbols
    n_codebooks = start_NM.shape[1]
    rows_N = torch.arange(len(x_ND), device=x_ND.device)
    gain_NJ = tables.alone_J.expand(len(x_ND), -1).clone()
    for d in range(x_ND.shape[1]):
        gain_NJ += x_ND[:, d, None] * tables.projection_DJ[d]
    codes_NM = start_NM.long()
    for m in range(n_codebooks):
        gain_NJ += tables.pairs_JJ[m * n_symbols + codes_NM[:, m]]
    error_N = torch.zeros(len(x_ND), device=x_ND.device)

    def replace(m: int, symbol_N: Tensor) -> None:
        base = m * n_symbols
        old_N = codes_NM[:, m].clone()
        error_N.add_(gain_NJ[rows_N, base + symbol_N] - gain_NJ[rows_N, base + old_N])
        gain_NJ.add_(tables.pairs_JJ[base + symbol_N] - tables.pairs_JJ[base + old_N])
        codes_NM[:, m] = symbol_N

    def descend() -> None:
        active_N = torch.ones(len(x_ND), dtype=torch.bool, device=x_ND.device)
        for _ in range(MAX_PASSES):
            changed_N = torch.zeros_like(active_N)
            for m in range(n_codebooks):
                least_N, symbol_N = gain_NJ[:, m * n_symbols : (m + 1) * n_symbols].min(dim=1)
                better_N = active_N & (least_N < gain_NJ[rows_N, m * n_symbols + codes_NM[:, m]])
                replace(m, torch.where(better_N, symbol_N, codes_NM[:, m]))
                changed_N |= better_N
            active_N = changed_N
            if not bool(active_N.any()):
                break

    descend()
    best = (error_N.clone(), codes_NM.clone(), gain_NJ.clone())
    for positions_Q, symbols_Q in zip(tables.positions_RQ.tolist(), tables.symbols_RQ.tolist(), strict=True):
        for m, symbol in zip(positions_Q, symbols_Q, strict=True):
            replace(m, torch.full_like(rows_N, symbol))
        descend()
        better_N = error_N < best[0]
        for now, kept in zip((error_N, codes_NM, gain_NJ), best, strict=True):
            kept[better_N] = now[better_N]
            now.copy_(kept)
    return codes_NM.to(torch.uint8)
