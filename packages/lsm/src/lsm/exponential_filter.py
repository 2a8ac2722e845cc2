"""Exponentially filtered spikes: the state of a liquid that a readout sees.

Legend: S spikes, A instants at which the state is asked for, N neurons.
"""

from __future__ import annotations

import numpy as np


def filtered_spikes(
    times_S: np.ndarray,
    ids_S: np.ndarray,
    n_neurons: int,
    at_A: np.ndarray,
    *,
    tau: float = 30.0,
    initial_N: np.ndarray | None = None,
    start: float = 0.0,
) -> np.ndarray:
    """Low-pass each spike train with a decaying exponential and sample it.

        y_i(t) = sum over spikes s <= t of neuron i of exp(-(t - s) / tau)

    Args:
        times_S: times of the spikes in ms, in any order, (S,).
        ids_S: neuron of each spike, in [0, n_neurons), (S,).
        n_neurons: N.
        at_A: instants in ms, rising, (A,).
        tau: time constant in ms, > 0.
        initial_N: y at `start`, for a chunk that goes on; zero by default.
        start: the instant of `initial_N` in ms; spikes at or before it are counted in it and left out here.

    Returns:
        float32, (A, N).

    Raises:
        ValueError: tau not positive, instants that fall, or ids out of range.

    References:
        Maass, Natschlaeger, Markram (2002), Neural Computation 14(11), section 2: liquid states are such traces.
    """
    at_A = np.atleast_1d(np.asarray(at_A, np.float64))
    times_S, ids_S = np.asarray(times_S, np.float64), np.asarray(ids_S, np.int64)
    if not tau > 0:
        raise ValueError(f"filtered_spikes: tau must be positive, got {tau} ms")
    if (np.diff(at_A) < 0).any():
        raise ValueError("filtered_spikes: the instants must rise")
    if ids_S.size and not 0 <= ids_S.min() <= ids_S.max() < n_neurons:
        raise ValueError(f"filtered_spikes: ids must lie in [0, {n_neurons}), got {ids_S.min()} to {ids_S.max()}")
    if initial_N is not None:
        keep_S = times_S > start
        times_S, ids_S = times_S[keep_S], ids_S[keep_S]
    instant_S = np.searchsorted(at_A, times_S, side="left")
    in_time_S = instant_S < len(at_A)
    instant_S, ids_S, times_S = instant_S[in_time_S], ids_S[in_time_S], times_S[in_time_S]
    weights_S = np.exp((times_S - at_A[instant_S]) / tau)
    added_AN = np.bincount(instant_S * n_neurons + ids_S, weights_S, len(at_A) * n_neurons).reshape(-1, n_neurons)
    decays_A = np.exp(-np.diff(at_A, prepend=start if initial_N is not None else at_A[:1]) / tau)
    y_N = np.zeros(n_neurons) if initial_N is None else np.asarray(initial_N, np.float64)
    states_AN = np.empty((len(at_A), n_neurons), np.float32)
    for row, (decay, added_N) in enumerate(zip(decays_A, added_AN, strict=True)):
        y_N = y_N * decay + added_N
        states_AN[row] = y_N
    return states_AN
