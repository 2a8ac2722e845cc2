"""Power spectrum of the activity, and sizes of its avalanches. Needs the extra `plots`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lsm.figures import BLUE, GREY, RED, Sizes, check_spikes, colours_of, new_figure, offsets_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SEGMENT = 512  # bins of a segment of the spectrum


def plot_spectrum(
    times: ArrayLike,
    ids: ArrayLike,
    sizes: Sizes,
    *,
    begin: float = 0.0,
    end: float | None = None,
    width: float = 1.0,
    inhibitory: Collection[str] | None = None,
) -> Figure:
    """Power spectrum of each population's rate (Welch), in Hz² per Hz.

    The dashed line is what as many independent Poisson neurons would show: twice the rate over their number.

    Args:
        times: of the spikes in ms, (S,).
        ids: of the neurons that fired, (S,).
        sizes: neurons by population, in the order of their ids.
        begin: in ms.
        end: in ms; the last spike's time without it.
        width: of a bin in ms, > 0.
        inhibitory: names of the populations drawn in red; those ending in I without it.

    Raises:
        ValueError: spikes that do not fit the populations, or fewer than 64 bins.
    """
    from scipy.signal import welch

    times, ids = np.asarray(times, dtype=np.float64), np.asarray(ids, dtype=np.int64)
    check_spikes("plot_spectrum", times, ids, sizes)
    end = float(times.max(initial=begin)) if end is None else end
    bins = int((end - begin) / width) if width > 0 else 0
    if bins < 64:
        raise ValueError(f"plot_spectrum: {begin} to {end} ms in bins of {width} ms are {bins}; it takes 64")
    edges = begin + np.arange(bins + 1) * width
    figure, axes = new_figure(
        rows=-(-len(sizes) // 2) if len(sizes) > 1 else 1,
        columns=min(2, len(sizes)),
        size=(8.0, 0.8 + 1.7 * -(-len(sizes) // 2)),
    )
    colours = colours_of(list(sizes), inhibitory)
    for axis, (name, first) in zip(axes, offsets_of(sizes).items(), strict=False):
        n = sizes[name]
        own = (ids >= first) & (ids < first + n)
        rate_T = np.histogram(times[own], edges)[0] / max(n, 1) / width * 1000
        frequency, power = welch(rate_T, fs=1000 / width, nperseg=min(_SEGMENT, max(64, bins // 4)))
        axis.loglog(frequency[1:], np.maximum(power[1:], 1e-12), color=colours[name], linewidth=1.0)
        if rate_T.mean() > 0:
            axis.axhline(2 * rate_T.mean() / n, color=GREY, linestyle="--", linewidth=0.8)
        axis.set_title(f"{name}, {rate_T.mean():.2f} Hz", fontsize="small", loc="left")
        axis.set_xlim(frequency[1], frequency[-1])
    for axis in axes[len(sizes) :]:
        axis.set_visible(False)
    figure.supxlabel("frequency (Hz)", fontsize="medium")
    figure.supylabel("power (Hz²/Hz)", fontsize="medium")
    return figure


def plot_avalanches(sizes: ArrayLike, durations: ArrayLike | None = None) -> Figure:
    """Distributions of avalanche sizes (and durations) on logarithmic axes, with the exponents of a critical branching
    process, -3/2 and -2, drawn beside them.

    Args:
        sizes: spikes of each avalanche, whole numbers >= 1, (A,).
        durations: bins of each avalanche, whole numbers >= 1, (A,).

    Raises:
        ValueError: no avalanche.

    References:
        Beggs, Plenz (2003), Journal of Neuroscience 23(35): sizes of cortical avalanches fall as size^-1.5.
    """
    parts = [("size (spikes)", np.asarray(sizes), -1.5)]
    if durations is not None:
        parts.append(("duration (bins)", np.asarray(durations), -2.0))
    if any(len(values) == 0 for _, values, _ in parts):
        raise ValueError("plot_avalanches: there is no avalanche")
    figure, axes = new_figure(columns=len(parts), size=(4.4 * len(parts), 3.6))
    for axis, (label, values, exponent) in zip(axes, parts, strict=True):
        edges = np.unique(np.geomspace(1, values.max() + 1, 40).round())
        edges = edges if len(edges) > 1 else np.array([1.0, 2.0])
        density = np.histogram(values, edges)[0] / np.diff(edges) / len(values)
        centre = np.sqrt(edges[:-1] * (edges[1:] - 1).clip(1))
        seen = density > 0
        axis.loglog(centre[seen], density[seen], "o-", color=BLUE, markersize=3.5, linewidth=0.9, label="measured")
        if seen.sum() > 1:
            line = density[seen][0] * (centre[seen] / centre[seen][0]) ** exponent
            axis.loglog(centre[seen], line, color=RED, linewidth=0.9, linestyle="--", label=f"exponent {exponent:g}")
            axis.set_ylim(density[seen].min() / 2, density[seen].max() * 2)
        axis.set(xlabel=label, ylabel="density")
        axis.legend(frameon=False, fontsize="small")
    axes[0].set_title(f"{len(parts[0][1]):,} avalanches", fontsize="medium", loc="left")
    return figure
