"""Does a search in the codes find what a search in the vectors finds?"""

from __future__ import annotations

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.float_index import FloatIndex
from binemb.index import BinaryIndex
from binemb.preparation import check_vectors


def exact_neighbours(rows: Tensor | BinaryCodes, queries: Tensor, k: int) -> Tensor:
    """The k most similar other rows of some rows, by exhaustive search on faiss.

    Args:
        rows: float vectors (cosine), (N, D), or binary codes (Hamming distance) of N vectors.
        queries: rows to ask for, int64, (Q,).
        k: how many, 1 to N - 1.

    Returns:
        Row numbers, int64, (Q, k), best first, the query itself left out.

    Raises:
        ValueError: k is out of range.
    """
    if not 1 <= k < len(rows):
        raise TooFewKnownError(f"exact_neighbours: k must lie in [1, {len(rows) - 1}], got {k}")
    if isinstance(rows, BinaryCodes):
        found = BinaryIndex(rows.n_bits).add(rows).search(rows[queries], k + 1).ids
    else:
        found = FloatIndex(rows.shape[1]).add(rows).search(rows[queries], k + 1).ids
    is_self = found == queries[:, None]
    is_self[:, -1] |= ~is_self.any(1)  # duplicates can push the query itself out: then drop the last
    return found[~is_self].view(len(queries), k)


def evaluate_neighbours(
    rows: Tensor | BinaryCodes, vectors_ND: Tensor, *, k: int = 10, queries: int = 1000, seed: int = 0
) -> float:
    """Recall@k: share of each query's k exact float neighbours that a search in the codes returns among its first k.

    Args:
        rows: what is judged: binary codes, or decoded vectors (N, D').
        vectors_ND: the vectors whose cosine neighbours count as right, (N, D).
        k: neighbours a query, 1 to N - 1.
        queries: how many rows to ask for, >= 1, drawn without repetition; all if there are fewer.
        seed: keys the draw.

    Returns:
        Mean recall in [0, 1].

    Raises:
        TypeError: vectors, or rows that are no codes, are not floating point.
        ValueError: rows and vectors disagree in number, values that are not finite, or k or queries are out of range.
    """
    return float(neighbour_recalls(rows, vectors_ND, k=k, queries=queries, seed=seed).mean())


def neighbour_recalls(
    rows: Tensor | BinaryCodes, vectors_ND: Tensor, *, k: int = 10, queries: int = 1000, seed: int = 0
) -> Tensor:
    """Recall@k of every query, whose mean is `evaluate_neighbours`; for `paired_bootstrap`.

    Args:
        rows: as for `evaluate_neighbours`.
        vectors_ND: as for `evaluate_neighbours`.
        k: as for `evaluate_neighbours`.
        queries: as for `evaluate_neighbours`.
        seed: as for `evaluate_neighbours`; equal N, queries and seed ask for the same rows.

    Returns:
        Recalls in [0, 1] in ascending order of the rows asked for, float32, (Q,).

    Raises:
        TypeError: vectors, or rows that are no codes, are not floating point.
        ValueError: rows and vectors disagree in number, values that are not finite, or k or queries are out of range.
    """
    if len(rows) != len(vectors_ND):
        raise ValueError(f"evaluate_neighbours: {len(rows)} rows for {len(vectors_ND)} vectors")
    for side in (rows, vectors_ND):
        if not isinstance(side, BinaryCodes):
            check_vectors(side, "evaluate_neighbours")
    if queries < 1:
        raise ValueError(f"evaluate_neighbours: queries must be at least 1, got {queries}")
    order = torch.randperm(len(vectors_ND), generator=keyed_generator(seed, "queries"))
    picked = order[:queries].sort().values
    right, found = exact_neighbours(vectors_ND, picked, k), exact_neighbours(rows, picked, k)
    return (right[:, :, None] == found[:, None, :]).any(2).float().mean(1)
