"""Rasters of layered populations, their rates over time, and rates beside those of others. Needs the extra `plots`.

Spikes are arrays `times` (ms) and `ids` (global, population after population); `sizes` maps the populations' names, in
the order of their ids, to their numbers of neurons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm.figures import GREY, Sizes, check_spikes, colours_of, new_figure, offsets_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROWS = 2000  # neurons drawn of a large network
_LEAST = 40  # rows that the smallest population keeps
_BINS = 400
_MARKERS = ("o", "D", "s", "^")


def shown_neurons(sizes: Sizes, rows: int) -> dict[str, NDArray[np.int64]]:
    """Which neurons of each population are drawn: evenly spread, in proportion to the sizes, at least 40 each.

    Args:
        sizes: neurons by population.
        rows: neurons drawn in all, about.

    Returns:
        Local ids by population, ascending.
    """
    total = sum(sizes.values())
    shown = {}
    for name, n in sizes.items():
        wanted = n if total <= rows else min(n, max(_LEAST, round(rows * n / total)))
        shown[name] = np.arange(wanted, dtype=np.int64) * n // max(wanted, 1)
    return shown


def plot_raster(
    times: ArrayLike,
    ids: ArrayLike,
    sizes: Sizes,
    *,
    begin: float = 0.0,
    end: float | None = None,
    rows: int = _ROWS,
    inhibitory: Collection[str] | None = None,
) -> Figure:
    """Spikes of layered populations, the first on top, and below them the rate of all over time.

    Large populations are drawn by some of their neurons, evenly spread; rates count all.

    Args:
        times: of the spikes in ms, (S,).
        ids: of the neurons that fired, (S,).
        sizes: neurons by population, in the order of their ids.
        begin: in ms.
        end: in ms; the last spike's time without it.
        rows: neurons drawn in all, about.
        inhibitory: names of the populations drawn in red; those ending in I without it.

    Raises:
        ValueError: times and ids do not fit each other or the populations, or `end` does not lie behind `begin`.
    """
    times, ids = np.asarray(times, dtype=np.float64), np.asarray(ids, dtype=np.int64)
    check_spikes("plot_raster", times, ids, sizes)
    end = _end_of("plot_raster", times, begin, end)
    figure, (raster, rate) = new_figure(2, size=(8.0, 6.0), heights=(5, 1), share=True)
    drawn = draw_raster(raster, times, ids, sizes, begin=begin, end=end, rows=rows, inhibitory=inhibitory)
    within = (times > begin) & (times <= end)
    width = (end - begin) / min(_BINS, max(1, round(end - begin)))
    edges = np.arange(begin, end + width / 2, width)
    counts = np.histogram(times[within], edges)[0]
    total = sum(sizes.values())
    rate.fill_between(edges[:-1], counts / total / width * 1000, step="post", color=GREY, alpha=0.6, linewidth=0)
    rate.set(xlabel="time (ms)", ylabel="rate (Hz)", xlim=(begin, end), ylim=(0, None))
    some = f", {drawn:,} neurons drawn" if drawn < total else ""
    title = f"{int(within.sum()):,} spikes of {total:,} neurons{some}"
    raster.set_title(title, fontsize="medium", loc="left")
    return figure


def draw_raster(
    axis: Axes,
    times: NDArray[np.float64],
    ids: NDArray[np.int64],
    sizes: Sizes,
    *,
    begin: float,
    end: float,
    rows: int = _ROWS,
    inhibitory: Collection[str] | None = None,
) -> int:
    """Draw spikes into a panel, populations from top to bottom.

    Returns:
        How many neurons are drawn.
    """
    shown, colours = shown_neurons(sizes, rows), colours_of(list(sizes), inhibitory)
    total = sum(len(local) for local in shown.values())
    size = max(1.6, min(8.0, 3000 / max(total, 1)))
    within = (times > begin) & (times <= end)
    times, ids = times[within], ids[within]
    top, places = 0, []
    for name, first in offsets_of(sizes).items():
        local = shown[name]
        row_of = np.full(sizes[name] + 1, -1)
        row_of[local] = np.arange(len(local))
        own = (ids >= first) & (ids < first + sizes[name])
        row = row_of[ids[own] - first]
        seen = row >= 0
        axis.scatter(
            times[own][seen],
            top + row[seen] + 0.5,
            s=size,
            c=colours[name],
            marker="|",
            linewidths=0.6,
            rasterized=True,
        )
        places.append((top + len(local) / 2, name))
        if top:
            axis.axhline(top, color=GREY, linewidth=0.4)
        top += len(local)
    axis.set_yticks([place for place, _ in places], [name for _, name in places])
    axis.tick_params(axis="y", length=0)
    axis.set(xlim=(begin, end), ylim=(top, 0))
    return total


def plot_rates(rates: Mapping[str, Mapping[str, Any]], *, title: str = "") -> Figure:
    """Mean rates of populations, ours as bars and those of others as marks.

    Args:
        rates: label to rates in Hz by population; a rate may be a range (low, high). The first label is drawn as bars.
        title: above the panel.

    Raises:
        ValueError: no rates, or a label that names a population that the first does not have.
    """
    if not rates or not next(iter(rates.values())):
        raise ValueError("plot_rates: expected rates of at least one population")
    (label, own), *others = rates.items()
    names = list(own)
    for other, values in others:
        unknown = [name for name in values if name not in own]
        if unknown:
            raise ValueError(f"plot_rates: {other} has rates of {', '.join(unknown)}, {label} has not")
    figure, (axis,) = new_figure(size=(6.4, 0.8 + 0.34 * len(names)))
    colours = colours_of(names, None)
    place = {name: y for y, name in enumerate(names)}
    axis.barh(
        list(place.values()),
        [own[name] for name in names],
        0.7,
        color=[colours[n] for n in names],
        alpha=0.75,
        label=label,
    )
    for (other, values), marker, shift in zip(others, _MARKERS, (0.16, -0.16, 0.0, 0.3), strict=False):
        named = False
        for name, value in values.items():
            low, high = value if isinstance(value, tuple | list) else (value, value)
            style: dict[str, Any] = {"color": "black", "label": None if named else other}
            axis.plot([low, high], [place[name] + shift] * 2, marker=marker, markersize=4, linewidth=2, **style)
            named = True
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set(xlabel="mean rate (Hz)")
    axis.set_title(title, fontsize="medium", loc="left")
    if others:
        axis.legend(frameon=False, fontsize="small")
    return figure


def plot_rates_over_time(
    times: ArrayLike,
    ids: ArrayLike,
    sizes: Sizes,
    *,
    begin: float = 0.0,
    end: float | None = None,
    width: float = 5.0,
    inhibitory: Collection[str] | None = None,
) -> Figure:
    """Rate of each population over time, a panel each.

    Args:
        times: of the spikes in ms, (S,).
        ids: of the neurons that fired, (S,).
        sizes: neurons by population, in the order of their ids.
        begin: in ms.
        end: in ms; the last spike's time without it.
        width: of a bin, in ms, > 0.
        inhibitory: names of the populations drawn in red; those ending in I without it.

    Raises:
        ValueError: as for `plot_raster`, or a width that is not positive.
    """
    times, ids = np.asarray(times, dtype=np.float64), np.asarray(ids, dtype=np.int64)
    check_spikes("plot_rates_over_time", times, ids, sizes)
    end = _end_of("plot_rates_over_time", times, begin, end)
    if width <= 0:
        raise ValueError(f"plot_rates_over_time: width must be positive, got {width} ms")
    figure, axes = new_figure(len(sizes), size=(8.0, 0.6 + 0.85 * len(sizes)), share=True)
    colours = colours_of(list(sizes), inhibitory)
    edges = np.arange(begin, end + width, width)
    for axis, (name, first) in zip(axes, offsets_of(sizes).items(), strict=True):
        own = (ids >= first) & (ids < first + sizes[name])
        rate = np.histogram(times[own], edges)[0] / max(sizes[name], 1) / width * 1000
        axis.fill_between(edges[:-1], rate, step="post", color=colours[name], alpha=0.7, linewidth=0)
        axis.set_ylim(0, None)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axes[-1].set(xlabel="time (ms)", xlim=(begin, end))
    figure.suptitle(f"rate (Hz), bins of {width:g} ms", fontsize="medium", x=0.02, ha="left")
    return figure


def plot_rate_histogram(counts: ArrayLike, sizes: Sizes, duration: float) -> Figure:
    """How the rates of single neurons are distributed in each population.

    Args:
        counts: spikes of every neuron, (N,).
        sizes: neurons by population, in the order of their ids.
        duration: of the recording in ms, > 0.

    Raises:
        ValueError: not as many counts as neurons, or no duration.
    """
    counts = np.asarray(counts)
    if counts.shape != (sum(sizes.values()),) or duration <= 0:
        raise ValueError(
            f"plot_rate_histogram: expected counts of {sum(sizes.values())} neurons and a duration above 0, got shape "
            f"{counts.shape} and {duration} ms"
        )
    rate = counts / duration * 1000
    figure, (axis,) = new_figure(size=(6.4, 3.8))
    least = 1000 / duration  # of one spike; bins are whole multiples of it, or they would beat with it
    each = max(1, round(float(rate.max(initial=0)) / least / 40))
    edges = (np.arange(0, float(counts.max(initial=0)) + each + 1, each) - 0.5) * least
    colours = colours_of(list(sizes), None)
    styles = ("-", "--", "-.", ":")
    drawn: dict[str, int] = {}
    for name, first in offsets_of(sizes).items():
        own = rate[first : first + sizes[name]]
        share = np.histogram(own, edges)[0] / max(len(own), 1)
        number = drawn[colours[name]] = drawn.get(colours[name], -1) + 1
        style = {"linestyle": styles[number % 4], "color": colours[name], "marker": ".", "markersize": 3}
        seen = share > 0
        label = f"{name}: {own.mean() if len(own) else 0:.2f} Hz"
        axis.plot((edges[:-1] + edges[1:])[seen] / 2, share[seen], linewidth=1.0, label=label, **style)
    axis.set(xlabel="rate of a neuron (Hz)", ylabel="share of neurons", yscale="log", xlim=(0, None))
    axis.legend(frameon=False, fontsize="small", ncols=2)
    return figure


def _end_of(caller: str, times: NDArray[np.float64], begin: float, end: float | None) -> float:
    last = float(times.max()) if len(times) else begin + 1.0
    end = last if end is None else float(end)
    if end <= begin:
        raise ValueError(f"{caller}: end must lie behind begin, got {begin} to {end} ms")
    return end
