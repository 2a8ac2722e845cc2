"""Series tasks: NARMA-10 and the memory of a random input, and how a series becomes spikes.

Legend: T values of a series, D delays, C channels.
"""

from __future__ import annotations

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.task_templates import Spikes, by_time


def random_series(
    length: int, *, low: float = 0.0, high: float = 0.5, seed: int = 0, part: str = "train"
) -> np.ndarray:
    """Independent uniform values, float64 (T,)."""
    return keyed_numpy_generator(seed, f"series, {part}").uniform(low, high, length)


def narma10(inputs_T: np.ndarray) -> np.ndarray:
    """The nonlinear moving average of order ten.

        y_{t+1} = 0.3 y_t + 0.05 y_t sum_{i=0..9} y_{t-i} + 1.5 u_{t-9} u_t + 0.1

    Args:
        inputs_T: u, in [0, 0.5], (T,).

    Returns:
        y, float64 (T,): y[t] is the value that u up to t - 1 gives; the first ten are 0.

    Raises:
        ValueError: inputs out of their range, or a series that runs away (it may, for rare inputs).

    References:
        Atiya, Parlos (2000), New results on recurrent network training, IEEE Trans. Neural Networks 11(3).
    """
    u_T = np.asarray(inputs_T, np.float64)
    if u_T.ndim != 1 or not ((u_T >= 0) & (u_T <= 0.5)).all():
        raise ValueError("narma10: inputs must be (T,) in [0, 0.5]")
    y_T = np.zeros(len(u_T))
    for t in range(9, len(u_T) - 1):
        y_T[t + 1] = 0.3 * y_T[t] + 0.05 * y_T[t] * y_T[t - 9 : t + 1].sum() + 1.5 * u_T[t - 9] * u_T[t] + 0.1
        if not y_T[t + 1] < 1e6:
            raise ValueError(f"narma10: the series runs away at step {t + 1}; take another seed")
    return y_T


def delayed_series(inputs_T: np.ndarray, n_delays: int) -> np.ndarray:
    """Targets of memory capacity: column k holds u_{t-k-1}, float64 (T, D); NaN where there is none yet."""
    targets_TD = np.full((len(inputs_T), n_delays), np.nan)
    for delay in range(1, n_delays + 1):
        targets_TD[delay:, delay - 1] = inputs_T[: len(inputs_T) - delay]
    return targets_TD


def normalised_error(answers_T: np.ndarray, targets_T: np.ndarray) -> float:
    """Root of the mean squared error over the variance of the targets (NRMSE): 1 for the mean, 0 for the truth."""
    answers_T, targets_T = np.asarray(answers_T, np.float64), np.asarray(targets_T, np.float64)
    if answers_T.shape != targets_T.shape or not np.var(targets_T) > 0:
        shapes = f"{answers_T.shape} and {targets_T.shape}"
        raise ValueError(f"normalised_error: needs answers and varying targets of one shape, got {shapes}")
    return float(np.sqrt(((answers_T - targets_T) ** 2).mean() / np.var(targets_T)))


def series_as_spikes(
    values_T: np.ndarray,
    *,
    n_channels: int = 40,
    hold: float = 20.0,
    low: float = 0.0,
    high: float = 0.5,
    width: float = 0.12,
    rate: float = 200.0,
    seed: int = 0,
) -> Spikes:
    """A value held for a while, as spikes of channels that prefer one value each.

    Channel c fires at rate * exp(-((x - centre_c) / width)^2 / 2), x = (value - low) / (high - low), centres equally
    spaced in [0, 1]; the number of spikes of a hold is the rounded mean (up or down by chance, with the mean kept) and
    they are spread evenly, from a phase of the channel's own.

    Args:
        values_T: series, (T,).
        n_channels: C.
        hold: ms a value.
        low: least value.
        high: greatest value.
        width: of the tuning curve, in units of the range.
        rate: greatest rate, Hz.
        seed: keys phases and roundings.

    Returns:
        Times in ms and channel ids.
    """
    if n_channels < 1 or min(hold, width, rate) <= 0 or not low < high:
        raise ValueError("series_as_spikes: n_channels, hold, width and rate must be positive, and low < high")
    if np.ndim(values_T) != 1 or not np.isfinite(values_T).all():
        raise ValueError(f"series_as_spikes: values must be finite and (T,), got shape {np.shape(values_T)}")
    rng = keyed_numpy_generator(seed, "series as spikes")
    x_T1 = (np.asarray(values_T, np.float64)[:, None] - low) / (high - low)
    centres_C = np.linspace(0, 1, n_channels)
    mean_TC = rate * hold / 1000.0 * np.exp(-(((x_T1 - centres_C) / width) ** 2) / 2)
    counts_TC = np.floor(mean_TC + rng.random(mean_TC.shape)).astype(np.int64)
    phases_C = rng.random(n_channels)
    t_E, c_E = np.nonzero(counts_TC)
    repeats_E = counts_TC[t_E, c_E]
    number_S = np.arange(repeats_E.sum()) - np.repeat(np.cumsum(repeats_E) - repeats_E, repeats_E)
    ids_S = np.repeat(c_E, repeats_E)
    within_S = (number_S + phases_C[ids_S]) / np.repeat(repeats_E, repeats_E)
    return by_time(hold * (np.repeat(t_E, repeats_E) + within_S), ids_S)
