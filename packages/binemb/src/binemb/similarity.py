"""Do words that people find similar have similar codes?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from ddp_utils.seed import keyed_numpy_generator
from scipy.stats import rankdata
from torch import Tensor

from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.evaluation_sets import WordPairs, load_word_pairs, row_of
from binemb.space import Space, check_rows

RESAMPLES = 1000


@dataclass(frozen=True)
class SimilarityResult:
    """Agreement with people's judgement.

    Args:
        name: name of the set.
        spearman: rank correlation of similarities and judgements, in [-1, 1].
        interval: 95% bootstrap interval of it, over pairs.
        pairs: pairs counted.
        coverage: share of the set's pairs whose words are both known.
        cosines: similarity of each counted pair, rounded to six decimals, in the order of the set; for
            `paired_bootstrap`.
        scores: people's score of each counted pair.
    """

    name: str
    spearman: float
    interval: tuple[float, float]
    pairs: int
    coverage: float
    cosines: tuple[float, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)


def evaluate_similarity(
    rows: Tensor | BinaryCodes,
    words: Sequence[str],
    dataset: str | Path | WordPairs,
    *,
    out_of_vocabulary: Literal["skip", "mean"] = "skip",
    seed: int = 0,
) -> SimilarityResult:
    """Spearman correlation of cosine similarities with people's scores.

    Args:
        rows: float vectors, (N, D), or binary codes of N words.
        words: the N words; a set's word is looked up as written, then in lower case.
        dataset: "wordsim353", "simlex999", a file (MEN, RG-65, MTurk-771, ...), or loaded pairs.
        out_of_vocabulary: "skip" leaves out pairs with an unknown word; "mean" gives such a pair the mean similarity
            of the known pairs.
        seed: keys the bootstrap.

    Raises:
        TypeError: rows are neither codes nor floating point.
        ValueError: rows and words disagree, values that are not finite, or fewer than three pairs are known.
    """
    check_rows(rows, words, "evaluate_similarity")
    if out_of_vocabulary not in ("skip", "mean"):
        raise ValueError(f"evaluate_similarity: out_of_vocabulary must be skip or mean, got {out_of_vocabulary!r}")
    data = dataset if isinstance(dataset, WordPairs) else load_word_pairs(dataset)
    lookup = {word: row for row, word in enumerate(words)}
    found = [(row_of(a, lookup), row_of(b, lookup), score) for a, b, score in data.pairs]
    known = [(a, b, score) for a, b, score in found if a is not None and b is not None]
    if len(known) < 3:
        raise TooFewKnownError(
            f"{data.name}: only {len(known)} of {len(found)} pairs have both words in the vocabulary"
        )
    left, right = torch.tensor([a for a, _, _ in known]), torch.tensor([b for _, b, _ in known])
    cosines = Space(rows).pair_cosines(left, right).double().numpy()
    scores = np.array([score for _, _, score in known])
    if out_of_vocabulary == "mean":
        filled = np.full(len(found), cosines.mean())
        filled[[a is not None and b is not None for a, b, _ in found]] = cosines
        cosines, scores = filled, np.array([score for _, _, score in found])
    # binary similarities are quantized: rounding must not split what are ties
    cosines = cosines.round(6)
    interval = _bootstrap(cosines, scores, keyed_numpy_generator(seed, "bootstrap"))
    return SimilarityResult(
        data.name,
        float(_spearman(cosines, scores)),
        interval,
        len(scores),
        len(known) / len(found),
        tuple(cosines.tolist()),
        tuple(scores.tolist()),
    )


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rank correlation along the last axis; ties share their mean rank."""
    x_ranks, y_ranks = rankdata(x, axis=-1), rankdata(y, axis=-1)
    x_ranks -= x_ranks.mean(-1, keepdims=True)
    y_ranks -= y_ranks.mean(-1, keepdims=True)
    scale = np.sqrt((x_ranks**2).sum(-1) * (y_ranks**2).sum(-1))
    return (x_ranks * y_ranks).sum(-1) / np.where(scale == 0, np.inf, scale)


def _bootstrap(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    picks = generator.integers(0, len(x), (RESAMPLES, len(x)))
    low, high = np.quantile(_spearman(x[picks], y[picks]), [0.025, 0.975])
    return float(low), float(high)
