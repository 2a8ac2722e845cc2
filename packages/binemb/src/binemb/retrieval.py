"""Does a search find the documents that people judged relevant?

Legend: Q queries, N documents, D dimensions, B bits, K documents a query that are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.space import Space

QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class RetrievalResult:
    """How well the judged documents were found. Means are over the judged queries.

    Args:
        k: documents a query that were looked at.
        ndcg: mean nDCG@k, in [0, 1].
        recall: mean share of a query's relevant documents among its first k, in [0, 1].
        mrr: mean reciprocal rank of the first relevant document, 0 where none is among the first k, in [0, 1].
        queries: judged queries.
        counted: rows of the judged queries, ascending.
        ndcgs: nDCG@k of each judged query; for `paired_bootstrap`.
        recalls: recall@k of each judged query.
        reciprocal_ranks: reciprocal rank at k of each judged query.
    """

    k: int
    ndcg: float
    recall: float
    mrr: float
    queries: int
    counted: tuple[int, ...] = field(repr=False)
    ndcgs: tuple[float, ...] = field(repr=False)
    recalls: tuple[float, ...] = field(repr=False)
    reciprocal_ranks: tuple[float, ...] = field(repr=False)


def evaluate_retrieval(
    queries: Tensor | BinaryCodes,
    documents: Tensor | BinaryCodes,
    judgements: Sequence[Mapping[int, int]],
    *,
    k: int = 10,
) -> RetrievalResult:
    """nDCG@k, recall@k and MRR@k of an exhaustive search, as trec_eval defines them.

        DCG@k = sum_{i=1..k} g_i / log2(i + 1),   nDCG@k = DCG@k / DCG@k of the best order of all judged documents

    with g_i the gain of the document at rank i itself (linear, not 2^g - 1); a document without judgement, or with a
    gain of 0 or less, is not relevant. A query that nobody judged is left out of the means; one that was judged and
    has no relevant document counts 0 in each of them.

    What is compared follows from the types:

        float, float:   cosine
        codes, codes:   Hamming distance
        float, codes:   asymmetric, sum_j w_j s_j of query weights w (Q, B) and document signs s in {-1, +1}

    Equal scores go to the document that comes first (trec_eval, given scores, puts the name that comes last first).

    Args:
        queries: float vectors (Q, D), codes, or float weights (Q, B).
        documents: float vectors (N, D), or codes.
        judgements: for each query, gain by document row; empty where nobody judged.
        k: documents to look at, >= 1.

    Raises:
        TypeError: codes as queries of float documents.
        ValueError: shapes disagree, values are not finite, k is below 1, or a judged document is not there.
        TooFewKnownError: no query was judged.

    References:
        Jarvelin, Kekalainen (2002), Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4). trec_eval 9,
        measures ndcg_cut, recall and recip_rank.
    """
    if len(judgements) != len(queries):
        raise ValueError(f"evaluate_retrieval: {len(judgements)} judgements for {len(queries)} queries")
    if k < 1:
        raise ValueError(f"evaluate_retrieval: k must be at least 1, got {k}")
    for query, gains in enumerate(judgements):
        strange = [row for row in gains if not 0 <= row < len(documents)]
        if strange:
            raise ValueError(
                f"evaluate_retrieval: judgements[{query}] names document {strange[0]}; rows are 0 to "
                f"{len(documents) - 1}"
            )
    counted = [query for query, gains in enumerate(judgements) if gains]
    if not counted:
        raise TooFewKnownError("evaluate_retrieval: judgements: no query has any")
    found_QK = retrieve(queries[torch.tensor(counted)], documents, k=min(k, len(documents)))
    discounts_K = 1 / np.log2(np.arange(2, k + 2))
    ndcgs, recalls, reciprocal_ranks = [], [], []
    for query, found_K in zip(counted, found_QK.tolist(), strict=True):
        gains = {row: gain for row, gain in judgements[query].items() if gain > 0}
        gains_K = np.array([gains.get(row, 0) for row in found_K], np.float64)
        best_K = np.array(sorted(gains.values(), reverse=True)[:k], np.float64)
        best = float(best_K @ discounts_K[: len(best_K)])
        ranks = np.flatnonzero(gains_K) + 1
        ndcgs.append(float(gains_K @ discounts_K[: len(gains_K)]) / best if gains else 0.0)
        recalls.append(len(ranks) / len(gains) if gains else 0.0)
        reciprocal_ranks.append(1 / float(ranks[0]) if len(ranks) else 0.0)
    return RetrievalResult(
        k,
        float(np.mean(ndcgs)),
        float(np.mean(recalls)),
        float(np.mean(reciprocal_ranks)),
        len(counted),
        tuple(counted),
        tuple(ndcgs),
        tuple(recalls),
        tuple(reciprocal_ranks),
    )


def retrieve(queries: Tensor | BinaryCodes, documents: Tensor | BinaryCodes, *, k: int) -> Tensor:
    """The k best documents of each query, by exhaustive search; equal scores, in float32, in the order of documents.

    Args:
        queries: as for `evaluate_retrieval`.
        documents: as for `evaluate_retrieval`.
        k: how many, 1 to N.

    Returns:
        Rows of documents, int64, (Q, k), best first.

    Raises:
        TypeError: codes as queries of float documents.
        ValueError: widths disagree, values are not finite, or k is out of range.
    """
    _check_sides(queries, documents)
    if not 1 <= k <= len(documents):
        raise ValueError(f"retrieve: k must lie in [1, {len(documents)}], got {k}")
    space = Space(documents)
    found: list[Tensor] = []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        part = queries[start : start + QUERIES_AT_ONCE]
        # the scale of a query's weights does not change its order
        part_QD = part.signs() if isinstance(part, BinaryCodes) else normalize(part.float(), dim=1)
        best_QK = torch.empty(len(part_QD), 0, dtype=torch.int64)
        rows_QK = torch.empty(len(part_QD), 0, dtype=torch.int64)
        for block in space.blocks():
            scores_QN = part_QD @ space.take(block).T
            rows_N = torch.arange(block.start, block.stop)
            keys = torch.cat([best_QK, _ordered_keys(scores_QN, rows_N)], 1)
            rows = torch.cat([rows_QK, rows_N.expand(len(part_QD), -1)], 1)
            best_QK, where = keys.topk(min(k, keys.shape[1]), dim=1)
            rows_QK = rows.gather(1, where)
        found.append(rows_QK)
    return torch.cat(found) if found else torch.empty(0, k, dtype=torch.int64)


def _check_sides(queries: Tensor | BinaryCodes, documents: Tensor | BinaryCodes) -> None:
    if isinstance(queries, BinaryCodes) and not isinstance(documents, BinaryCodes):
        raise TypeError("retrieve: codes as queries need codes as documents; decode them, or encode the documents")
    widths = []
    for name, side in (("queries", queries), ("documents", documents)):
        if isinstance(side, BinaryCodes):
            widths.append(side.n_bits)
            continue
        if side.ndim != 2 or not side.is_floating_point():
            raise ValueError(f"retrieve: {name} must be a float matrix, got {side.dtype} {tuple(side.shape)}")
        if not torch.isfinite(side).all():
            raise ValueError(f"retrieve: {name} hold NaN or infinity")
        widths.append(side.shape[1])
    if widths[0] != widths[1]:
        raise ValueError(f"retrieve: queries are {widths[0]} wide, documents {widths[1]}")


def _ordered_keys(scores_QN: Tensor, rows_N: Tensor) -> Tensor:
    """Whole numbers, all different, that are larger for a larger score and, among equal scores, for an earlier row.

    The bits of a float32, read as a number, order as the float does if those below the sign are turned over in
    negative ones; they make the upper half of the key.
    """
    bits = (scores_QN + 0.0).view(torch.int32)  # -0.0 becomes 0.0
    ordered = torch.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).to(torch.int64)
    return (ordered << 32) + (0xFFFFFFFF - rows_N)
