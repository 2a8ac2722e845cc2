"""Is the nearest vector of the vocabulary the one that was coded? By exhaustive search.

Shapes: N distinct vectors of the vocabulary, E of them asked for, D dimensions.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_ROWS, _COLUMNS = 512, 4096  # of a block of products, which stays in the cache
_ROUNDING = 4 * torch.finfo(torch.float32).eps  # of a score, over the lengths that are multiplied; .3 of it was seen
CONFUSED_WITH = 4


def mistaken(decoded_ED: Tensor, vocabulary_ND: Tensor, own_E: Tensor) -> Tensor:
    """Find decoded vectors that are not nearest to the vector they were coded from, by comparing with all.

    Products in float32 settle all but those so close that rounding could decide, which are compared again in float64.

    Args:
        decoded_ED: decoded vectors, float32, (E, D).
        vocabulary_ND: distinct vectors, float32, (N, D).
        own_E: the vector each was coded from, int64, (E,).

    Returns:
        Where another vector is as near or nearer, bool, (E,).
    """
    if not len(decoded_ED):
        return torch.zeros(0, dtype=torch.bool, device=decoded_ED.device)
    # distances do not change, and what is left after the mean is what rounding is relative to
    mean_D = vocabulary_ND.mean(dim=0)
    centred_ND = vocabulary_ND - mean_D
    length_N = centred_ND.norm(dim=1)
    bound_N = length_N.square() * _ROUNDING - length_N.square() / 2
    # a score and its greatest rounding in one product: <z, y> + c |z| |y| + (c - 1/2) |y|^2
    columns_NF = torch.cat([centred_ND, length_N[:, None]], dim=1)
    longest = float(length_N.max())
    failed_E = torch.zeros(len(decoded_ED), dtype=torch.bool, device=decoded_ED.device)
    settled_E = failed_E.clone()
    with _full_precision():
        for start in range(0, len(decoded_ED), _ROWS):
            part = slice(start, start + _ROWS)
            own_e = own_E[part]
            z_eD = decoded_ED[part] - mean_D
            slack_e = _ROUNDING * z_eD.norm(dim=1)
            own_length_e = length_N[own_e]
            own_score_e = (z_eD * centred_ND[own_e]).sum(1) - own_length_e.square() / 2
            own_rounding_e = slack_e * own_length_e + _ROUNDING * own_length_e.square()
            most_e = _greatest_of_others(torch.cat([z_eD, slack_e[:, None]], dim=1), columns_NF, bound_N, own_e)
            failed_E[part] = most_e - 2 * (slack_e + _ROUNDING * longest) * longest > own_score_e + own_rounding_e
            settled_E[part] = failed_E[part] | (own_score_e - own_rounding_e > most_e)
    unsettled = (~settled_E).nonzero()[:, 0]
    if len(unsettled):
        y_ND = vocabulary_ND.double()
        for rows in unsettled.split(_ROWS):
            failed_E[rows] = _not_nearest(decoded_ED[rows].double(), y_ND, own_E[rows])
    return failed_E


def _greatest_of_others(rows_eF: Tensor, columns_NF: Tensor, bias_N: Tensor, own_e: Tensor) -> Tensor:
    best_e = torch.full((len(rows_eF),), -torch.inf, device=rows_eF.device)
    for first in range(0, len(columns_NF), _COLUMNS):
        part = slice(first, first + _COLUMNS)
        scores_en = torch.addmm(bias_N[part], rows_eF, columns_NF[part].T)
        inside_e = (own_e >= first) & (own_e < first + _COLUMNS)
        scores_en[inside_e, own_e[inside_e] - first] = -torch.inf
        best_e = torch.maximum(best_e, scores_en.amax(dim=1))
    return best_e


def _not_nearest(z_eD: Tensor, y_ND: Tensor, own_e: Tensor) -> Tensor:
    """The question for a few rows, all in float64: rivals by products, then sums of squared differences."""
    mean_D = y_ND.mean(dim=0)
    scores_eN = torch.addmm(-(y_ND - mean_D).square().sum(1) / 2, z_eD - mean_D, (y_ND - mean_D).T)
    scores_eN[torch.arange(len(own_e), device=own_e.device), own_e] = -torch.inf
    rivals_eK = scores_eN.topk(min(CONFUSED_WITH, len(y_ND)), dim=1).indices
    rival_distance_eK = (z_eD[:, None] - y_ND[rivals_eK]).square().sum(2)
    rival_distance_eK = rival_distance_eK.masked_fill(rivals_eK == own_e[:, None], torch.inf)
    return ~((z_eD - y_ND[own_e]).square().sum(1) < rival_distance_eK.amin(dim=1))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in float32 as such, also where the program allows less (TF32, bfloat16)."""
    with warnings.catch_warnings():
        # torch 2.9 warns of its own names, at reading and at setting; there is no other name for all backends
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        allowed = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(allowed)


def nearest(queries_ED: Tensor, vectors_ND: Tensor, k: int) -> Tensor:
    """The k nearest vectors of each query by Euclidean distance, exhaustively, int64, (E, k), nearest first."""
    mean_D = vectors_ND.mean(dim=0)
    centred_ND = vectors_ND - mean_D
    half_N = centred_ND.square().sum(1) / 2
    parts = [
        torch.addmm(-half_N, part_eD - mean_D, centred_ND.T).topk(k, dim=1).indices
        for part_eD in queries_ED.split(_ROWS)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, k, dtype=torch.int64, device=queries_ED.device)


def pushed_targets(target_ED: Tensor, decoded_ED: Tensor, vocabulary_ND: Tensor, own_E: Tensor, step: float) -> Tensor:
    """Move the targets of mistaken vectors away from those they were mistaken for.

        t <- t + step sum_y (x - y),   y nearer to decode(encode(t)) than x

    |z - x|^2 < |z - y|^2 is linear in z, so a shifted target makes the same search trade squared error for identity.

    Args:
        target_ED: targets so far, float32, (E, D).
        decoded_ED: what they decode to, (E, D).
        vocabulary_ND: distinct vectors, (N, D).
        own_E: the vector each stands for, int64, (E,).
        step: > 0.

    Returns:
        New targets, float32, (E, D).
    """
    near_EK = nearest(decoded_ED, vocabulary_ND, min(CONFUSED_WITH, len(vocabulary_ND)))
    nearer_EK = (near_EK != own_E[:, None]).cumprod(dim=1)
    away_ED = nearer_EK.sum(1, keepdim=True) * vocabulary_ND[own_E]
    away_ED = away_ED - (vocabulary_ND[near_EK] * nearer_EK[..., None]).sum(1)
    return target_ED + step * away_ED
