"""Turning channels of a signal into spikes.

Legend: M frames, C channels, S spikes. Spikes are (times in ms, channel ids), sorted by time, then channel.
"""

from __future__ import annotations

import numpy as np


def integrate_and_fire(
    values_MC: np.ndarray, *, frame: float, rate: float = 200.0, fibres: int = 1, start: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Regular spikes whose rate follows the signal: each channel is summed up and fires at every whole number.

        spike k of fibre j of channel c at the instant where  integral of rate * value dt = k + (j + 1/2) / fibres

    Within a frame the signal is constant, so instants are exact. Fibres of a channel fire in turn, so that together
    they sample the channel `fibres` times as finely.

    Args:
        values_MC: signal >= 0, (M, C).
        frame: length of a frame in ms.
        rate: spikes a second for a value of 1.
        fibres: neurons a channel; fibre j of channel c has the id c * fibres + j.
        start: instant of the first frame in ms.

    Returns:
        Times, float64 (S,), in (start, start + M frame], and ids, int64 (S,).

    Raises:
        ValueError: a negative or non-finite signal, or a parameter that is not positive.
    """
    values_MC = _checked(values_MC, "integrate_and_fire")
    if frame <= 0 or rate <= 0 or fibres < 1:
        raise ValueError(f"integrate_and_fire: frame, rate, fibres must be positive, got {frame}, {rate}, {fibres}")
    if values_MC.size and values_MC.min() < 0:
        raise ValueError(f"integrate_and_fire: the signal must not be negative, got {values_MC.min()}")
    sums_MC = np.cumsum(values_MC * (rate * frame / 1000.0), axis=0)
    edges_M = start + frame * np.arange(len(values_MC) + 1)
    times, ids = [], []
    for channel in range(values_MC.shape[1]):
        # the sum rises by 1 between spikes of a fibre, by 1 / fibres between spikes of a channel
        n_spikes = int(np.floor(sums_MC[-1, channel] * fibres + 0.5)) if len(sums_MC) else 0
        levels_S = (np.arange(n_spikes) + 0.5) / fibres
        sums = np.concatenate([[0.0], sums_MC[:, channel]])
        levels_S = np.minimum(levels_S, sums[-1])  # but for the rounding of its sum the last one may lie beyond
        frames_S = np.searchsorted(sums, levels_S, side="left")
        share_S = (levels_S - sums[frames_S - 1]) / (sums[frames_S] - sums[frames_S - 1])
        times.append(edges_M[frames_S - 1] + frame * np.minimum(share_S, 1.0))
        ids.append(channel * fibres + np.arange(n_spikes) % fibres)
    return _sorted(times, ids)


def bens_spiker(
    values_MC: np.ndarray, filter_L: np.ndarray, *, frame: float, threshold: float = 0.95, start: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Ben's spiker algorithm: a spike wherever taking a filter off what is left of the signal brings it nearer 0.

        spike at m  if  sum_l |x_{m+l} - h_l| <= sum_l |x_{m+l}| - threshold,   then x_{m+l} -= h_l

    The spikes convolved with the filter give the signal back.

    Args:
        values_MC: signal >= 0, (M, C).
        filter_L: h, >= 0, (L,); its sum is the charge of a spike.
        frame: length of a frame in ms.
        threshold: how much nearer, in units of the filter's sum, in [-1, 1].
        start: instant of the first frame in ms.

    Returns:
        Times (the end of the frame), float64 (S,), and ids, int64 (S,).

    Raises:
        ValueError: an argument out of its range.

    References:
        Schrauwen, Van Campenhout (2003), BSA, a fast and accurate spike train encoding scheme, IJCNN.
    """
    left_MC = _checked(values_MC, "bens_spiker").copy()
    filter_L = np.asarray(filter_L, np.float64)
    if filter_L.ndim != 1 or not len(filter_L) or (filter_L < 0).any() or not filter_L.sum() > 0:
        raise ValueError("bens_spiker: the filter must be (L,), nowhere negative, and not all 0")
    if frame <= 0 or not -1 <= threshold <= 1:
        raise ValueError(f"bens_spiker: frame > 0 and -1 <= threshold <= 1, got {frame} and {threshold}")
    length, least = len(filter_L), threshold * filter_L.sum()
    n_frames = len(left_MC)
    left_MC = np.concatenate([left_MC, np.zeros((length, left_MC.shape[1]))])
    spikes_MC = np.zeros((n_frames, left_MC.shape[1]), bool)
    for m in range(n_frames):
        window_LC = left_MC[m : m + length]
        after_LC = window_LC - filter_L[:, None]
        spikes_MC[m] = np.abs(after_LC).sum(0) <= np.abs(window_LC).sum(0) - least
        window_LC[:, spikes_MC[m]] = after_LC[:, spikes_MC[m]]
    frames_S, ids_S = np.nonzero(spikes_MC)
    return start + frame * (frames_S + 1.0), ids_S.astype(np.int64)


def level_crossings(
    values_MC: np.ndarray, levels_V: np.ndarray, *, frame: float, start: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """A spike when a channel rises through a level and another when it falls through it: a code of latencies.

    The instant is interpolated between frames. Crossing level v upwards has the id (c * V + v) * 2, downwards one more.

    Args:
        values_MC: signal, one value a frame at its end, (M, C).
        levels_V: levels, (V,).
        frame: length of a frame in ms.
        start: instant before the first frame, where the signal is taken as its first value.

    Returns:
        Times, float64 (S,), and ids, int64 (S,).
    """
    values_MC, levels_V = _checked(values_MC, "level_crossings"), np.asarray(levels_V, np.float64)
    if frame <= 0:
        raise ValueError(f"level_crossings: frame must be positive, got {frame}")
    above_MCV = values_MC[:, :, None] >= levels_V
    times, ids = [], []
    for down in (0, 1):
        crossed = above_MCV[:-1] & ~above_MCV[1:] if down else ~above_MCV[:-1] & above_MCV[1:]
        m_S, c_S, v_S = np.nonzero(crossed)
        before_S, after_S = values_MC[m_S, c_S], values_MC[m_S + 1, c_S]
        times.append(start + frame * (m_S + 1 + (levels_V[v_S] - before_S) / (after_S - before_S)))
        ids.append((c_S * len(levels_V) + v_S) * 2 + down)
    return _sorted(times, ids)


def latencies(values_C: np.ndarray, *, window: float, start: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """One spike a channel, the sooner the stronger: t = start + window (1 - value); none for a value of 0.

    Args:
        values_C: in [0, 1], (C,).
        window: ms, > 0.
        start: ms.
    """
    values_C = np.asarray(values_C, np.float64)
    if window <= 0 or values_C.ndim != 1 or not ((values_C >= 0) & (values_C <= 1)).all():
        raise ValueError("latencies: needs window > 0 and values (C,) in [0, 1]")
    ids_S = np.flatnonzero(values_C)
    return _sorted([start + window * (1 - values_C[ids_S])], [ids_S])


def _sorted(times: list[np.ndarray], ids: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    times_S = np.concatenate([np.zeros(0), *times])
    ids_S = np.concatenate([np.zeros(0, np.int64), *ids])
    order = np.lexsort((ids_S, times_S))
    return times_S[order], ids_S[order]


def _checked(values_MC: np.ndarray, what: str) -> np.ndarray:
    values_MC = np.asarray(values_MC, np.float64)
    if values_MC.ndim != 2 or not np.isfinite(values_MC).all():
        raise ValueError(f"{what}: the signal must be finite and (M, C), got shape {values_MC.shape}")
    return values_MC
