"""Pictures of what `sdquant.analysis` measures; each function returns a matplotlib figure to show or to save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from sdquant.analysis.noise import noise_transfer, sqnr_slopes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by all kinds of colour vision; one colour and marker for a method everywhere.
_STYLES = {
    "greedy": ("#999999", "x"),
    "order 1": ("#E69F00", "o"),
    "order 2": ("#009E73", "s"),
    "order 3": ("#0072B2", "^"),
    "sign random projection": ("#D55E00", "v"),
    "QJL": ("#CC79A7", "D"),
    "Gaussian JL": ("#000000", "P"),
}
_ORDER_NAMES = ("greedy", "order 1", "order 2", "order 3")


def plot_sqnr(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw what `sqnr` gave: decibels against oversampling, with the slope fitted to each order's error.

    Args:
        rows: what `sqnr` gave, two windows or more an order.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: an order has fewer than two windows.
    """
    figure, (axis,) = _figure(1)
    for order, slope in sqnr_slopes(rows).items():
        chosen = [row for row in rows if row["order"] == order]
        colour, marker = _STYLES[_ORDER_NAMES[order]]
        axis.plot(
            [row["oversampling"] for row in chosen],
            [row["sqnr_db"] for row in chosen],
            color=colour,
            marker=marker,
            label=f"{_ORDER_NAMES[order]}: error $\\propto W^{{{round(slope, 2) + 0.0:.2f}}}$",
        )
    axis.set(xlabel="oversampling W (samples)", ylabel="SQNR (dB)")
    _log_base_two(axis, sorted({row["oversampling"] for row in rows}))
    axis.legend(frameon=False)
    return figure


def plot_error_spectrum(spectra: Mapping[int, tuple[Tensor, Tensor]]) -> Figure:
    """Draw the spectra of the quantization error, with those of a white state dashed.

    Args:
        spectra: order to what `error_spectrum` gave.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, (axis,) = _figure(1)
    for order, (frequency, density) in sorted(spectra.items()):
        colour = _STYLES[_ORDER_NAMES[order]][0]
        axis.loglog(frequency.cpu(), density.cpu(), color=colour, label=_ORDER_NAMES[order])
        if order:
            white = 2 / 3 * noise_transfer(order, frequency)
            axis.loglog(frequency.cpu(), white.cpu(), color=colour, linestyle="--", linewidth=1)
    axis.plot([], [], color="#555555", linestyle="--", linewidth=1, label="white state, theory")
    axis.set(xlabel="frequency (cycles per sample)", ylabel="error density (power per cycle per sample)")
    axis.legend(frameon=False)
    return figure


def plot_state_histogram(histograms: Mapping[int, tuple[Tensor, Tensor]]) -> Figure:
    """Draw the distributions of the state, with its bound of 1 for inputs within the stability limit.

    Args:
        histograms: order to what `state_histogram` gave.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, (axis,) = _figure(1)
    for order, (edges, density) in sorted(histograms.items()):
        name = _ORDER_NAMES[order]
        axis.stairs(density.cpu(), edges.cpu(), baseline=None, color=_STYLES[name][0], linewidth=1.5, label=name)
    for bound in (-1, 1):
        axis.axvline(bound, color="#555555", linestyle=":", linewidth=1)
    axis.set(xlabel="state v", ylabel="probability density", yscale="log")
    axis.legend(frameon=False)
    return figure


def plot_jl_report(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw what `jl_report` gave: errors of distances and inner products, against bits and against stored bytes.

    Against bits each method shows the best of its oversamplings at that number of bits; against bytes it shows each
    point that no other of its own undercuts in both bytes and error.

    Args:
        rows: what `jl_report` gave.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = _figure(4)
    from matplotlib.ticker import LogLocator, NullFormatter

    errors = {
        "distance_error": "distance: mean |relative error|",
        "inner_product_error": "inner product: RMS error",
    }
    for row, cost in enumerate(("bits", "bytes")):
        for axis, (error, label) in zip(axes[2 * row : 2 * row + 2], errors.items(), strict=True):
            for method, (colour, marker) in _STYLES.items():
                points = [(entry[cost], entry[error]) for entry in rows if entry["method"] == method]
                points = _best_by_cost(points) if cost == "bits" else _front(points)
                if points:
                    # Greedy lies on order 2 for inner products: both show.
                    line = {"linestyle": "--", "zorder": 3} if method == "greedy" else {}
                    axis.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=5, label=method, **line)
            axis.set(ylabel=label, yscale="log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.set_xlabel("measurements (bits per vector)" if cost == "bits" else "storage (bytes per vector)")
            _log_base_two(axis, sorted({entry["bits"] for entry in rows}) if cost == "bits" else None)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _best_by_cost(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    best: dict[float, float] = {}
    for cost, error in points:
        best[cost] = min(error, best.get(cost, error))
    return sorted(best.items())


def _front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for cost, error in sorted(points):
        if not front or error < front[-1][1]:
            front.append((cost, error))
    return front


def _log_base_two(axis: Axes, ticks: Sequence[int] | None) -> None:
    axis.set_xscale("log", base=2)
    if ticks is not None:
        axis.set_xticks(ticks)
    axis.xaxis.set_major_formatter("{x:.0f}")


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    """A figure of one panel, or of rows of two, outside pyplot: it belongs to the caller and takes no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("matplotlib is not installed: pip install 'sdquant[plots]'") from error
    columns = min(panels, 2)
    rows = -(-panels // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * rows + 0.4), dpi=150, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes
