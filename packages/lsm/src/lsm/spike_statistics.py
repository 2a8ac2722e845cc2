"""Irregularity, correlation, branching and avalanches of recorded spikes.

Legend: S spikes, N neurons, T bins. Times in ms.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar


def interval_variation(times_S: np.ndarray, ids_S: np.ndarray, n_neurons: int, *, least: int = 3) -> np.ndarray:
    """Coefficient of variation of the intervals between spikes: 0 for a clock, 1 for a Poisson process.

    Args:
        times_S: ms, (S,).
        ids_S: neuron of each, (S,).
        n_neurons: N.
        least: neurons with fewer intervals than this give NaN.

    Returns:
        float64, (N,).

    Raises:
        ValueError: spikes of neurons that are not there.
    """
    times_S, ids_S = _checked("interval_variation", times_S, ids_S, n_neurons)
    order = np.lexsort((times_S, ids_S))
    times_S, ids_S = times_S[order], ids_S[order]
    same = ids_S[1:] == ids_S[:-1]
    intervals, owners = np.diff(times_S)[same], ids_S[1:][same]
    counts_N = np.bincount(owners, minlength=n_neurons)
    safe_N = np.maximum(counts_N, 1)
    means_N = np.bincount(owners, intervals, n_neurons) / safe_N
    variances_N = np.bincount(owners, (intervals - means_N[owners]) ** 2, n_neurons) / safe_N
    return np.where(
        (counts_N >= least) & (means_N > 0), np.sqrt(variances_N) / np.where(means_N > 0, means_N, 1), np.nan
    )


def binned_counts(
    times_S: np.ndarray, ids_S: np.ndarray, n_neurons: int, *, duration: float, bin_ms: float
) -> np.ndarray:
    """Spikes of each neuron in each bin (k bin, (k + 1) bin], int64 (T, N); a rest shorter than a bin is left out.

    Raises:
        ValueError: no bin, or spikes of neurons that are not there.
    """
    times_S, ids_S = _checked("binned_counts", times_S, ids_S, n_neurons)
    if not 0 < bin_ms <= duration:
        raise ValueError(f"binned_counts: needs 0 < bin_ms <= duration, got {bin_ms} and {duration}")
    n_bins = int(duration / bin_ms + 1e-9)
    bins_S = np.ceil(times_S / bin_ms - 1e-9).astype(np.int64) - 1
    inside = (bins_S >= 0) & (bins_S < n_bins)
    flat = bins_S[inside] * n_neurons + ids_S[inside]
    return np.bincount(flat, minlength=n_bins * n_neurons).reshape(n_bins, n_neurons)


def _checked(caller: str, times_S: np.ndarray, ids_S: np.ndarray, n_neurons: int) -> tuple[np.ndarray, np.ndarray]:
    times_S, ids_S = np.asarray(times_S, np.float64), np.asarray(ids_S, np.int64)
    if times_S.shape != ids_S.shape or times_S.ndim != 1 or not np.isfinite(times_S).all():
        raise ValueError(f"{caller}: needs as many finite times as ids, got shapes {times_S.shape} and {ids_S.shape}")
    if len(ids_S) and not 0 <= ids_S.min() <= ids_S.max() < n_neurons:
        raise ValueError(f"{caller}: ids must lie in [0, {n_neurons}), got {ids_S.min()} to {ids_S.max()}")
    return times_S, ids_S


def mean_correlation(counts_TN: np.ndarray) -> float:
    """Mean correlation of the counts of all pairs of neurons that fire.

        mean over pairs of corr = (sum_t (sum_n z_tn)^2 / T - N) / (N (N - 1)),   z standardised counts

    Returns:
        In [-1 / (N - 1), 1]; NaN where fewer than two neurons vary.
    """
    counts_TN = np.asarray(counts_TN, np.float64)
    counts_TN = counts_TN[:, counts_TN.std(0) > 0]
    n = counts_TN.shape[1]
    if n < 2:
        return float("nan")
    z_TN = (counts_TN - counts_TN.mean(0)) / counts_TN.std(0)
    return float(((z_TN.sum(1) ** 2).mean() - n) / (n * (n - 1)))


def branching_parameter(counts_T: np.ndarray, *, lags: int = 10) -> float:
    """How many spikes a spike leads to in the next bin, estimated from several lags.

        r_k = slope of A_{t+k} over A_t = b m^k,   m by least squares of log r_k over k

    The regression over several lags is right when only some of the neurons were recorded, where the slope of lag one is
    too small.

    Args:
        counts_T: spikes of all recorded neurons in each bin, (T,).
        lags: k = 1..lags; those before the first r_k that is not above three standard errors (3 / sqrt T) are used.

    Returns:
        m: below 1 activity dies out, 1 is critical; 0 where there is no correlation to be seen.

    References:
        Wilting, Priesemann (2018), Inferring collective dynamical states from widely unobserved systems, Nature
        Communications 9, 2325.
    """
    a_T = np.asarray(counts_T, np.float64)
    if a_T.ndim != 1 or len(a_T) < lags + 3:
        raise ValueError(f"branching_parameter: needs more than {lags + 2} bins, got shape {a_T.shape}")
    slopes = []
    for lag in range(1, lags + 1):
        now, later = a_T[:-lag] - a_T[:-lag].mean(), a_T[lag:] - a_T[lag:].mean()
        slope = (now @ later) / (now @ now) if now @ now > 0 else 0.0
        if slope <= 3 / np.sqrt(len(now)):
            break
        slopes.append(slope)
    if len(slopes) < 2:
        return max(slopes, default=0.0)
    return float(np.exp(np.polyfit(np.arange(1, len(slopes) + 1), np.log(slopes), 1, w=np.sqrt(slopes))[0]))


def avalanche_sizes(counts_T: np.ndarray) -> np.ndarray:
    """Spikes of each run of bins that are not empty, int64; runs at the edges of the record are left out."""
    counts_T = np.asarray(counts_T, np.int64)
    empty = np.flatnonzero(counts_T == 0)
    if len(empty) < 2:
        return np.zeros(0, np.int64)
    totals = np.add.reduceat(counts_T, empty)[:-1]
    return totals[totals > 0]


def power_law_exponent(sizes: np.ndarray, *, least: int = 1) -> float:
    """Exponent of P(s) ~ s^-alpha for s >= least, by maximum likelihood (discrete, truncated).

    References:
        Clauset, Shalizi, Newman (2009), Power-law distributions in empirical data, SIAM Review 51(4).
    """
    sizes = np.asarray(sizes, np.float64)
    sizes = sizes[sizes >= least]
    if len(sizes) < 2 or sizes.max() <= least:
        raise ValueError("power_law_exponent: needs at least two different sizes")
    support = np.arange(least, sizes.max() + 1)
    mean_log = np.log(sizes).mean()
    found = minimize_scalar(
        lambda alpha: alpha * mean_log + np.log((support**-alpha).sum()), bounds=(0.0, 6.0), method="bounded"
    )
    return float(found.x)
