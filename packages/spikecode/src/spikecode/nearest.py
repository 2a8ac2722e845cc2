"""Exact search for the nearest row of a table, block by block.

Shapes: n vectors that are asked for, V rows of the table, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK_BYTES = 2**26
_CANDIDATES = 4


def nearest_rows(x_nD: Tensor, table_VD: Tensor) -> Tensor:
    """The row of a table nearest to each vector, by Euclidean distance.

    All distances are computed as |x|^2 - 2 x.v + |v|^2 in single precision; rows within its rounding of the least are
    compared again in double precision, so the answer is that of double precision throughout.

    Args:
        x_nD: vectors, float, (n, D).
        table_VD: rows that are searched, float, (V, D), V >= 1.

    Returns:
        Row numbers, int64, (n,); of equal distances, the first row.

    Raises:
        ValueError: the table is empty, or dimensions disagree.
    """
    if x_nD.ndim != 2 or table_VD.ndim != 2 or x_nD.shape[1] != table_VD.shape[1] or not len(table_VD):
        raise ValueError(
            f"nearest_rows: expected (n, D) and a table of (V, D), got {tuple(x_nD.shape)}, {tuple(table_VD.shape)}"
        )
    found = [_search(block_nD, table_VD, squares_V) for block_nD, squares_V in _blocks(x_nD, table_VD)]
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64, device=x_nD.device)


def separations(table_VD: Tensor) -> Tensor:
    """Distance of each row of a table to the nearest other row.

    A vector closer to a row than half the row's separation has that row for its nearest one, whatever else the table
    holds.

    Args:
        table_VD: float, (V, D), V >= 2.

    Returns:
        float64, (V,); 0 where a row stands twice.
    """
    if table_VD.ndim != 2 or len(table_VD) < 2:
        raise ValueError(f"separations: expected at least two rows, got {tuple(table_VD.shape)}")
    found, start = [], 0
    for block_nD, squares_V in _blocks(table_VD, table_VD):
        rows = torch.arange(len(block_nD), device=block_nD.device)
        score_nV = torch.addmm(squares_V, block_nD, table_VD.T, alpha=-2)
        score_nV[rows, start + rows] = torch.inf
        near_nC = score_nV.topk(min(_CANDIDATES, len(table_VD) - 1), largest=False).indices
        found.append((block_nD[:, None].double() - table_VD[near_nC].double()).norm(dim=2).amin(1))
        start += len(block_nD)
    return torch.cat(found)


def _blocks(x_nD: Tensor, table_VD: Tensor):
    squares_V = table_VD.square().sum(1)
    rows = max(1, _BLOCK_BYTES // (4 * len(table_VD)))
    return ((block_nD, squares_V) for block_nD in x_nD.split(rows)) if len(x_nD) else ()


def _search(x_nD: Tensor, table_VD: Tensor, squares_V: Tensor) -> Tensor:
    score_nV = torch.addmm(squares_V, x_nD, table_VD.T, alpha=-2)
    best_n, row_n = score_nV.min(1)
    # each score is a sum of D + 1 products; its rounding grows with the largest terms, never with their difference
    scale_n = x_nD.square().sum(1) + squares_V.max()
    slack_n = 4 * torch.finfo(score_nV.dtype).eps * x_nD.shape[1] ** 0.5 * scale_n
    close_nV = score_nV <= (best_n + slack_n)[:, None]
    for i in (close_nV.sum(1) > 1).nonzero()[:, 0].tolist():
        rows = close_nV[i].nonzero()[:, 0]
        row_n[i] = rows[(x_nD[i].double() - table_VD[rows].double()).square().sum(1).argmin()]
    return row_n
