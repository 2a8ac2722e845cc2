"""How sure a share of right answers is, and the difference of two of them on the same items.

Legend: I items, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ddp_utils.seed import keyed_numpy_generator
from scipy.stats import binomtest


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: it stays in [0, 1] and is of use for few trials too.

    Args:
        successes: right answers, 0 to trials.
        trials: answers in all, >= 1.
        confidence: in (0, 1).

    Returns:
        The lower and upper end.

    Raises:
        ValueError: an argument out of its range.

    References:
        Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"wilson_interval: needs 0 <= successes <= trials, trials >= 1, got {successes} of {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"wilson_interval: confidence must lie in (0, 1), got {confidence}")
    interval = binomtest(int(successes), int(trials)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first of two methods is on the same items.

    Args:
        difference: mean outcome of the first less that of the second.
        interval: percentile interval over resampled items.
        share_not_above: share of the resamples whose difference is 0 or less: small where the first is better.
    """

    difference: float
    interval: tuple[float, float]
    share_not_above: float


def paired_difference(
    first_I: np.ndarray,
    second_I: np.ndarray,
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Difference of the mean outcomes of two methods, with an interval by resampling the items they share.

    Args:
        first_I: outcome of each item, for example right or wrong, (I,).
        second_I: the other method's, (I,).
        resamples: how many times to draw, >= 100.
        confidence: in (0, 1).
        seed: keys the draws.

    Raises:
        ValueError: shapes that differ, or an argument out of its range.

    References:
        Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13.
    """
    first_I, second_I = np.asarray(first_I, np.float64), np.asarray(second_I, np.float64)
    if first_I.shape != second_I.shape or first_I.ndim != 1 or not len(first_I):
        raise ValueError(f"paired_difference: needs outcomes of the same items, got {first_I.shape}, {second_I.shape}")
    if resamples < 100 or not 0 < confidence < 1:
        raise ValueError(f"paired_difference: resamples >= 100, 0 < confidence < 1, got {resamples}, {confidence}")
    values_U, counts_U = np.unique(first_I - second_I, return_counts=True)
    n_items = len(first_I)
    generator = keyed_numpy_generator(seed, "paired_difference")
    drawn_R = generator.multinomial(n_items, counts_U / n_items, resamples) @ values_U / n_items
    low, high = np.quantile(drawn_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    difference = float(first_I.mean() - second_I.mean())
    return PairedDifference(difference, (float(low), float(high)), float((drawn_R <= 1e-12).mean()))


def mean_interval(
    values_I: np.ndarray, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a mean over resampled items, such as the figures of several seeds.

    Args:
        values_I: one value an item, (I,), I >= 2.
        resamples: how many times to draw, >= 100.
        confidence: in (0, 1).
        seed: keys the draws.
    """
    values_I = np.asarray(values_I, np.float64)
    if values_I.ndim != 1 or len(values_I) < 2:
        raise ValueError(f"mean_interval: needs at least two values, got shape {values_I.shape}")
    return paired_difference(
        values_I, np.zeros_like(values_I), resamples=resamples, confidence=confidence, seed=seed
    ).interval
