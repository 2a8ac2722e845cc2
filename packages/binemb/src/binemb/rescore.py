"""Scores of a shortlist: each query against rows of its own.

Legend: Q queries, S shortlisted rows a query, B bits, D dimensions, N rows of the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from binemb.codes import BinaryCodes, clear_padding, n_bytes

Rescore = Literal["asymmetric", "float"]
BYTES_AT_ONCE = 2**26


def shortlist_distances(codes: BinaryCodes, queries: BinaryCodes, rows_QS: Tensor, n_bits: int) -> Tensor:
    """Hamming distances over the first n_bits bits; only the shortlisted codes are read.

    Args:
        codes: codes of at least n_bits bits.
        queries: Q codes of at least n_bits bits.
        rows_QS: rows of the codes, int64, (Q, S).
        n_bits: length of the prefix that is compared.

    Returns:
        int32, (Q, S).
    """
    width = n_bytes(n_bits)
    asked = clear_padding(queries.packed[:, :width], n_bits).numpy()
    stored = codes.packed.numpy()
    distances = np.empty(tuple(rows_QS.shape), np.int32)
    for part in _blocks(rows_QS, 2 * width):
        near = stored[rows_QS[part].numpy(), :width]
        near ^= asked[part, None]
        if n_bits % 8:
            near[..., -1] &= (1 << n_bits % 8) - 1
        distances[part] = np.bitwise_count(near).sum(2, dtype=np.int32)
    return torch.from_numpy(distances)


def asymmetric_cosines(weights_QB: Tensor, packed: Tensor, rows_QS: Tensor) -> Tensor:
    """Cosines of float weights with the shortlisted codes as +1 and -1.

        cos = <w, c> / (|w| sqrt(B));   0 for w = 0

    Computed in double precision and rounded, so that a score does not depend on what is asked along with it.

    Args:
        weights_QB: one row of weights a query, (Q, B).
        packed: codes of B bits, uint8, (N, bytes).
        rows_QS: rows of the codes, int64, (Q, S).

    Returns:
        float32, (Q, S), in [-1, 1].
    """
    unit_QB = unit_rows(weights_QB.cpu())
    n_bits = unit_QB.shape[1]
    cosines = torch.empty(rows_QS.shape, dtype=torch.float32)
    for part in _blocks(rows_QS, 9 * n_bits):
        rows = rows_QS[part]
        signs_QSB = BinaryCodes(packed[rows.flatten()], n_bits).signs(dtype=torch.float64).view(*rows.shape, n_bits)
        cosines[part] = (signs_QSB @ unit_QB[part, :, None]).squeeze(2) / n_bits**0.5
    return cosines.clamp_(-1, 1)


def float_cosines(queries_QD: Tensor, vectors_ND: Tensor | np.ndarray, rows_QS: Tensor) -> Tensor:
    """Cosines of float queries with the shortlisted float vectors; 0 where either is the zero vector.

    Computed in double precision and rounded; only the shortlisted vectors are read.

    Args:
        queries_QD: (Q, D).
        vectors_ND: (N, D); a memory-mapped tensor or array will do.
        rows_QS: rows of the vectors, int64, (Q, S).

    Returns:
        float32, (Q, S), in [-1, 1].

    Raises:
        ValueError: a shortlisted vector holds a value that is not finite.
    """
    unit_QD = unit_rows(queries_QD.cpu())
    cosines = torch.empty(rows_QS.shape, dtype=torch.float32)
    for part in _blocks(rows_QS, 16 * vectors_ND.shape[1]):
        rows = rows_QS[part].flatten()
        near = vectors_ND[rows] if isinstance(vectors_ND, Tensor) else torch.from_numpy(vectors_ND[rows.numpy()])
        near_QSD = unit_rows(near.cpu()).view(*rows_QS[part].shape, vectors_ND.shape[1])
        cosines[part] = (near_QSD @ unit_QD[part, :, None]).squeeze(2)
    if not cosines.isfinite().all():
        raise ValueError("search: vectors_ND holds values that are not finite")
    return cosines.clamp_(-1, 1)


def best(scores_QS: Tensor, k: int) -> Tensor:
    """Places of the k highest scores of each row, best first; of equal ones the place that comes first, int64."""
    return scores_QS.sort(dim=1, descending=True, stable=True).indices[:, :k]


def similarity(cosines: Tensor) -> Tensor:
    """(1 + cos) / 2, in [0, 1]: for two codes the share of agreeing bits."""
    return (1 + cosines) / 2


def unit_rows(x_ND: Tensor) -> Tensor:
    """Rows scaled to length 1, float64; a zero row stays. Scaled by the largest value first, against overflow."""
    tiny = torch.finfo(torch.float64).tiny
    x = x_ND.double()
    x = x / x.abs().amax(1, keepdim=True).clamp_min(tiny)
    return x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(tiny)


def check_rescoring(
    rescore: Rescore | None,
    oversample: int,
    shape: tuple[int, int, int],
    *,
    weights_QB: Tensor | None,
    queries_QD: Tensor | None,
    vectors_ND: Tensor | np.ndarray | None,
) -> None:
    """Refuse what `BinaryIndex.search` cannot score by.

    Args:
        rescore: how to score.
        oversample: shortlisted rows a hit.
        shape: numbers of queries, of rows in the index and of bits.
        weights_QB: as given to the search.
        queries_QD: as given to the search.
        vectors_ND: as given to the search.

    Raises:
        TypeError: weights or queries that are no tensor.
        ValueError: an unknown way, an argument missing or given in vain, or of another shape, or not finite.
    """
    n_queries, n_rows, n_bits = shape
    needed = {None: (), "asymmetric": ("weights_QB",), "float": ("queries_QD", "vectors_ND")}
    if rescore not in needed:
        raise ValueError(f"search: rescore must be None, 'asymmetric' or 'float', got {rescore!r}")
    given = {"weights_QB": weights_QB, "queries_QD": queries_QD, "vectors_ND": vectors_ND}
    for name, value in given.items():
        if (value is not None) != (name in needed[rescore]):
            raise ValueError(f"search: rescore={rescore!r} {'needs' if value is None else 'does not use'} {name}")
    if oversample < 1:
        raise ValueError(f"search: oversample must be at least 1, got {oversample}")
    dim = vectors_ND.shape[1] if vectors_ND is not None and vectors_ND.ndim == 2 else 0
    shapes = {"weights_QB": (n_queries, n_bits), "queries_QD": (n_queries, dim), "vectors_ND": (n_rows, dim)}
    for name, value in given.items():
        if value is not None and tuple(value.shape) != shapes[name]:
            raise ValueError(f"search: {name} must have shape {shapes[name]}, got {tuple(value.shape)}")
        if name == "vectors_ND" or value is None:
            continue
        if not isinstance(value, Tensor):
            raise TypeError(f"search: {name} must be a tensor, got {type(value).__name__}")
        if not value.isfinite().all():
            raise ValueError(f"search: {name} holds values that are not finite")


def _blocks(rows_QS: Tensor, bytes_a_row: int) -> Iterator[slice]:
    """Slices of queries whose shortlists take about 64 MiB each."""
    count = max(1, BYTES_AT_ONCE // max(1, rows_QS.shape[1] * bytes_a_row))
    return (slice(start, start + count) for start in range(0, len(rows_QS), count))
