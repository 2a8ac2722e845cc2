"""What the ear passes on: sound through gammatone filters, rectified, smoothed and compressed.

Legend: T samples, M frames, C channels.
"""

from __future__ import annotations

import numpy as np
from scipy import signal


def erb_centres(n_channels: int, low: float, high: float) -> np.ndarray:
    """Centre frequencies in Hz, equally spaced in equivalent rectangular bandwidths, (C,).

        ERB number(f) = 21.4 log10(1 + 0.00437 f)

    References:
        Glasberg, Moore (1990), Derivation of auditory filter shapes from notched-noise data, Hearing Research 47.
    """
    first, last = 21.4 * np.log10(1 + 0.00437 * np.array([low, high]))
    numbers_C = np.linspace(first, last, n_channels)
    return (10 ** (numbers_C / 21.4) - 1) / 0.00437


def cochleagram(
    samples_T: np.ndarray,
    rate: int,
    *,
    n_channels: int = 64,
    low: float = 100.0,
    high: float | None = None,
    frame: float = 5.0,
    smoothing: float = 10.0,
    power: float = 0.3,
) -> np.ndarray:
    """Energy of each frequency channel over time, compressed.

    Fourth-order gammatone filters at centres equally spaced on the ERB scale; the half-wave rectified output is
    smoothed by a first-order low-pass, sampled, divided by the largest value of the recording and raised to a power.

    Args:
        samples_T: sound, (T,).
        rate: samples a second.
        n_channels: C, >= 1.
        low: lowest centre in Hz, > 0.
        high: highest centre in Hz, below rate / 2; 0.45 rate by default.
        frame: distance of the frames in ms, at least one sample.
        smoothing: time constant of the low-pass in ms, > 0.
        power: exponent of the compression, in (0, 1].

    Returns:
        float32 in [0, 1], (M, C) with M = ceil(duration / frame); all 0 for silence.

    Raises:
        ValueError: an argument out of its range, or sound that is not finite.

    References:
        Slaney (1993), An efficient implementation of the Patterson-Holdsworth auditory filter bank, Apple TR 35.
    """
    high = 0.45 * rate if high is None else high
    if n_channels < 1 or not 0 < low < high < rate / 2:
        raise ValueError(
            f"cochleagram: needs n_channels >= 1 and 0 < low < high < {rate / 2} Hz, got {n_channels}, {low}, {high}"
        )
    if frame * rate < 1000 or smoothing <= 0 or not 0 < power <= 1:
        raise ValueError(
            f"cochleagram: needs frame >= one sample, smoothing > 0, 0 < power <= 1, got {frame}, {smoothing}, {power}"
        )
    samples_T = np.asarray(samples_T, np.float64)
    if samples_T.ndim != 1 or not len(samples_T) or not np.isfinite(samples_T).all():
        raise ValueError(f"cochleagram: sound must be finite and (T,), T >= 1, got shape {samples_T.shape}")
    last_M = np.minimum(
        np.round(np.arange(1, np.ceil(1000 * len(samples_T) / rate / frame) + 1) * frame * rate / 1000).astype(int),
        len(samples_T),
    )
    decay = np.exp(-1000 / (rate * smoothing))
    energy_MC = np.empty((len(last_M), n_channels), np.float32)
    for channel, centre in enumerate(erb_centres(n_channels, low, high)):
        b, a = signal.gammatone(centre, "iir", fs=rate)
        rectified_T = np.maximum(signal.lfilter(b, a, samples_T), 0)
        energy_MC[:, channel] = signal.lfilter([1 - decay], [1, -decay], rectified_T)[last_M - 1]
    peak = energy_MC.max()
    return (np.maximum(energy_MC, 0) / peak) ** np.float32(power) if peak > 0 else energy_MC * 0
