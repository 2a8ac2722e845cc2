"""Is the nearest vector of the vocabulary the one that was coded? By exhaustive search.

Shapes: N distinct vectors of the vocabulary, E of them asked for, D dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS, _COLUMNS = 512, 4096  # of a block of products, which stays in the cache
CONFUSED_WITH = 4


def mistaken(decoded_ED: Tensor, vocabulary_ND: Tensor, own_E: Tensor) -> Tensor:
    """Find decoded vectors that are not nearest to the vector they were coded from, by comparing with all.

    One that is nearer by less than what rounding could hide counts as mistaken.

    Args:
        decoded_ED: decoded vectors, float32, (E, D).
        vocabulary_ND: distinct vectors, float32, (N, D).
        own_E: the vector each was coded from, int64, (E,).

    Returns:
        Where it fails, bool, (E,).
    """
    if not len(decoded_ED):
        return torch.zeros(0, dtype=torch.bool, device=decoded_ED.device)
    half_N = vocabulary_ND.square().sum(1) / 2
    reach = float(half_N.max().sqrt()) * 2
    failed_E = torch.zeros(len(decoded_ED), dtype=torch.bool, device=decoded_ED.device)
    for start in range(0, len(decoded_ED), _ROWS):
        part_eD, own_e = decoded_ED[start : start + _ROWS], own_E[start : start + _ROWS]
        own_score_e = (part_eD * vocabulary_ND[own_e]).sum(1) - half_N[own_e]
        rounding_e = 4 * torch.finfo(torch.float32).eps * (part_eD.norm(dim=1) + reach) * reach
        best_e = torch.full_like(own_score_e, -torch.inf)
        for first in range(0, len(vocabulary_ND), _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            scores_en = torch.addmm(-half_N[columns], part_eD, vocabulary_ND[columns].T)
            inside_e = (own_e >= first) & (own_e < first + _COLUMNS)
            scores_en[inside_e, own_e[inside_e] - first] = -torch.inf
            best_e = torch.maximum(best_e, scores_en.amax(dim=1))
        failed_E[start : start + _ROWS] = ~(own_score_e > best_e + rounding_e)
    return failed_E


def nearest(queries_ED: Tensor, vectors_ND: Tensor, k: int) -> Tensor:
    """The k nearest vectors of each query by Euclidean distance, exhaustively, int64, (E, k), nearest first."""
    half_N = vectors_ND.square().sum(1) / 2
    parts = [torch.addmm(-half_N, part_eD, vectors_ND.T).topk(k, dim=1).indices for part_eD in queries_ED.split(_ROWS)]
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
