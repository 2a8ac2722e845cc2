"""Is one method better than another, or were the items kind to it?

Legend: R resamples, I items (pairs of words, questions or queries).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from ddp_utils.seed import keyed_numpy_generator
from torch import Tensor

from binemb.analogy import AnalogyResult
from binemb.errors import TooFewKnownError
from binemb.retrieval import RetrievalResult
from binemb.similarity import SimilarityResult

RESAMPLED_ITEMS_AT_ONCE = 1 << 21

Run: TypeAlias = SimilarityResult | AnalogyResult | RetrievalResult | Tensor


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first method is than the second on the same items.

    Args:
        first: figure of the first method, mean over its runs.
        second: figure of the second method, mean over its runs.
        difference: first - second.
        interval: percentile interval of the difference over resampled items.
        share_not_above: share of resamples whose difference is 0 or less, in [0, 1]: small where the first method is
            better beyond the choice of items (a one-sided p-value in the sense of Koehn).
        items: items a resample draws.
        resamples: how many were drawn.
    """

    first: float
    second: float
    difference: float
    interval: tuple[float, float]
    share_not_above: float
    items: int
    resamples: int


def paired_bootstrap(
    first: Run | Sequence[Run],
    second: Run | Sequence[Run],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two methods with an interval, from resampled items; both methods see the same draws.

        T* = mean_r f(run_r of the first; I*) - mean_r f(run_r of the second; I*)

    where I* are as many items as there are, drawn with replacement, and r goes over runs of one method that differ in
    their seed, if there are several. f is Spearman's correlation of the drawn pairs for `SimilarityResult` (0 where all
    drawn cosines or scores are equal), the share of right answers for `AnalogyResult`, the mean nDCG@k for
    `RetrievalResult`, and the mean for a tensor of one outcome an item, such as `neighbour_recalls` gives. The interval
    is about the choice of items; the spread over seeds is averaged, not resampled.

    Args:
        first: a result, or one a seed; tensors are (I,).
        second: a result, or one a seed, of the same kind and on the same items; the number of runs may differ.
        resamples: how many times to draw, >= 100.
        confidence: share of the resamples that the interval holds, in (0, 1).
        seed: keys the draws.

    Raises:
        TypeError: runs of different kinds.
        ValueError: runs on different items, no runs, or an argument out of its range.
        TooFewKnownError: fewer than three items.

    References:
        Efron, Tibshirani (1993), An introduction to the bootstrap, chapters 13 and 16. Koehn (2004), Statistical
        significance tests for machine translation evaluation, EMNLP, section 4.
    """
    if resamples < 100:
        raise ValueError(f"paired_bootstrap: resamples must be at least 100, got {resamples}")
    if not 0 < confidence < 1:
        raise ValueError(f"paired_bootstrap: confidence must lie in (0, 1), got {confidence}")
    first_runs, second_runs = _as_runs(first, "first"), _as_runs(second, "second")
    n_items = _check_same_items(first_runs, second_runs)
    generator = keyed_numpy_generator(seed, "paired_bootstrap")
    rows_at_once = max(1, RESAMPLED_ITEMS_AT_ONCE // n_items)
    differences = []
    for start in range(0, resamples, rows_at_once):
        n_rows = min(rows_at_once, resamples - start)
        picks_RI = generator.integers(0, n_items, (n_rows, n_items))
        picks_RI += n_items * np.arange(n_rows)[:, None]
        counts_RI = np.bincount(picks_RI.ravel(), minlength=n_rows * n_items).reshape(n_rows, n_items)
        differences.append(_mean_figure(first_runs, counts_RI) - _mean_figure(second_runs, counts_RI))
    differences_R = np.concatenate(differences)
    once = np.ones((1, n_items), np.int64)
    figures = float(_mean_figure(first_runs, once)[0]), float(_mean_figure(second_runs, once)[0])
    low, high = np.quantile(differences_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    # equal figures may differ in their last digits after summing over runs
    not_above = float((differences_R <= 1e-12).mean())
    return PairedDifference(*figures, figures[0] - figures[1], (float(low), float(high)), not_above, n_items, resamples)


def resampled_spearman(x_I: np.ndarray, y_I: np.ndarray, counts_RI: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of resamples that hold each item counts_RI times.

    Ranks of a resample follow from the order of all items and the counts, so that it is sorted once.

    Args:
        x_I: one value an item, (I,).
        y_I: the other, (I,).
        counts_RI: whole numbers >= 0 with equal sums along the rows, (R, I).

    Returns:
        float64, (R,); 0 where all drawn x or all drawn y are equal.
    """
    size = counts_RI[0].sum()
    x_RI, y_RI = (_mean_ranks(values, counts_RI) - (size + 1) / 2 for values in (x_I, y_I))
    products = (counts_RI * x_RI * y_RI).sum(1)
    scale = np.sqrt((counts_RI * x_RI**2).sum(1) * (counts_RI * y_RI**2).sum(1))
    return products / np.where(scale == 0, np.inf, scale)


def _mean_ranks(values_I: np.ndarray, counts_RI: np.ndarray) -> np.ndarray:
    """Rank of each item in each resample, from 1; equal values share the mean of their ranks."""
    _, group_I = np.unique(values_I, return_inverse=True)
    order = np.argsort(group_I, kind="stable")
    starts = np.flatnonzero(np.diff(group_I[order], prepend=-1))
    sizes_RG = np.add.reduceat(counts_RI[:, order], starts, axis=1)
    ranks_RG = np.cumsum(sizes_RG, axis=1) - sizes_RG + (sizes_RG + 1) / 2
    return ranks_RG[:, group_I]


def _as_runs(runs: Run | Sequence[Run], name: str) -> list[Run]:
    as_list: list[Any] = list(runs) if isinstance(runs, Sequence) else [runs]
    if not as_list:
        raise ValueError(f"paired_bootstrap: {name} holds no runs")
    for run in as_list:
        if not isinstance(run, SimilarityResult | AnalogyResult | RetrievalResult | Tensor):
            raise TypeError(f"paired_bootstrap: {name} must hold results or tensors, got {type(run).__name__}")
        if isinstance(run, Tensor) and run.ndim != 1:
            raise ValueError(f"paired_bootstrap: {name} must be one outcome an item, got shape {tuple(run.shape)}")
    return as_list


def _check_same_items(first: list[Run], second: list[Run]) -> int:
    kinds = {type(run) for run in (*first, *second)}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"paired_bootstrap: first and second must be results of one kind, got {names}")
    items = {_items(run) for run in (*first, *second)}
    if len(items) > 1:
        raise ValueError("paired_bootstrap: first and second must be results on the same items of the same set")
    n_items = len(_outcomes(first[0]))
    if n_items < 3:
        raise TooFewKnownError(f"paired_bootstrap: needs at least 3 items, got {n_items}")
    return n_items


def _items(run: Run) -> tuple[object, ...]:
    """What two runs on the same items have in common."""
    if isinstance(run, SimilarityResult):
        return run.name, run.scores
    if isinstance(run, AnalogyResult):
        return run.name, run.questions, tuple((title, asked) for title, (_, asked) in run.sections.items())
    return (run.k, run.counted) if isinstance(run, RetrievalResult) else (len(run),)


def _outcomes(run: Run) -> np.ndarray:
    if isinstance(run, SimilarityResult):
        return np.array(run.cosines)
    if isinstance(run, Tensor):
        return run.detach().cpu().double().numpy()
    return np.array(run.outcomes if isinstance(run, AnalogyResult) else run.ndcgs, np.float64)


def _mean_figure(runs: list[Run], counts_RI: np.ndarray) -> np.ndarray:
    """The figure of each resample, mean over runs, (R,)."""
    figures = [
        resampled_spearman(_outcomes(run), np.array(run.scores), counts_RI)
        if isinstance(run, SimilarityResult)
        else counts_RI @ _outcomes(run) / counts_RI.shape[1]
        for run in runs
    ]
    return np.mean(figures, axis=0)
