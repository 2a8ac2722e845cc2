"""Pictures of codes and of what they keep. Needs matplotlib (extra `plots`).

Each function gives a `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

Shapes: n tokens, D dimensions, N neurons a dimension, T bins.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikecode.codec import SpikeCodec
    from spikecode.train import SpikeTrain

_RED, _BLUE, _GREY = "#c0392b", "#1f5f99", "#777777"
_CURVES = 13  # tuning curves drawn of a large population
_REACH = 6  # widths of a tuning curve shown about a value
_METHODS = {"ml": "ML", "centre_of_mass": "centre of mass", "bayes": "posterior mean"}
_ROWS = 150  # neurons drawn of a raster: lines thinner than a pixel would fade to a false density
_POINTS = 200_000  # values drawn of a large matrix


def plot_raster(codec: SpikeCodec, train: SpikeTrain, x_nD: Tensor, *, token: int = 0, dimension: int = 0) -> Figure:
    """The spikes of one population about the encoded value, neurons in order of preferred value, and their rates.

    Args:
        codec: the codec of the train.
        train: (n, D, N, T).
        x_nD: the vectors encoded, float, (n, D).
        token: row of the train.
        dimension: which population of N neurons.

    Returns:
        The raster, time in ms, of at most 150 neurons; beside it each neuron's rate in Hz with the rate that the tuning
        curve and the scheme let expect, and two standard deviations of the Poisson count.

    Raises:
        ValueError: no such token or dimension, or the dimension has one value only.
    """
    n, dim, neurons, steps = train.shape
    if not (0 <= token < n and 0 <= dimension < dim):
        raise ValueError(f"plot_raster: token and dimension must be below {n} and {dim}, got {token} and {dimension}")
    preferred_N = _embedding_units(codec, dimension, codec.population.centres())
    _check_width("plot_raster", codec, dimension)
    value = float(x_nD[token, dimension])
    width = codec.sigma * float(codec.calibration.width_D[dimension])
    shown = np.flatnonzero(np.abs(preferred_N - value) <= _REACH * width)
    drawn = shown[:: -(-len(shown) // _ROWS)]
    _, at, neuron, step = (np.asarray(values) for values in train[token : token + 1].to_events())
    neuron, step = neuron[at == dimension], step[at == dimension]
    duration = steps * codec.dt

    figure, (raster, rates) = _figure(2, size=(7.2, 3.8), sharey=True, width_ratios=(3, 1.2))
    spacing = preferred_N[1] - preferred_N[0] if neurons > 1 else width
    raster.eventplot(
        [(step[neuron == k] + 0.5) * codec.dt for k in drawn],
        lineoffsets=preferred_N[drawn].tolist(),
        linelengths=0.8 * spacing * -(-len(shown) // _ROWS),
        linewidths=max(0.5, min(1.2, 120 / steps)),
        colors="black",
    )
    raster.axhline(value, color=_RED, linewidth=1)
    raster.set(xlabel="time (ms)", ylabel="preferred value (embedding units)", xlim=(0, duration))
    raster.set_ylim(value - _REACH * width, value + _REACH * width)
    some = f" ({len(drawn)} of {len(shown)} neurons drawn)" if len(drawn) < len(shown) else ""
    title = f"token {token}, dimension {dimension}: {len(step):,} spikes{some}"
    raster.set_title(title, fontsize="medium", loc="left")

    fine = np.linspace(value - _REACH * width, value + _REACH * width, 301)
    expected = _tuning(codec, dimension, value, fine)
    counted = np.bincount(neuron, minlength=neurons)[shown] / duration * 1000
    spread = 2 * np.sqrt(expected * (1 - expected * codec.dt / 1000) / duration * 1000)
    if codec.population.peak <= 1 and _name(codec) == "poisson":
        low, high = np.clip(expected - spread, 0, None), np.clip(expected + spread, 0, 1000 / codec.dt)
        rates.fill_betweenx(fine, low, high, color=_BLUE, alpha=0.2, linewidth=0, label="±2 sd")
    rates.plot(expected, fine, color=_BLUE, linewidth=1.2, label="expected")
    rates.plot(counted, preferred_N[shown], ".", markersize=3, color="black", label="counted")
    rates.axhline(value, color=_RED, linewidth=1, label="encoded value")
    rates.set(xlabel="rate (Hz)")
    rates.set_xlim(left=0)
    figure.legend(loc="outside upper right", ncols=4, fontsize="small", frameon=False)
    return figure


def plot_tuning_curves(codec: SpikeCodec, *, dimension: int = 0, curves: int = _CURVES) -> Figure:
    """Rate against value of some of a population's neurons, over the calibrated range and its margins.

    Args:
        codec: a fitted codec.
        dimension: which population, 0 to D - 1.
        curves: neurons drawn at most, >= 1, evenly spread over the lattice.

    Returns:
        Rate in Hz against value in embedding units; the calibrated range lies between the dashed lines.

    Raises:
        ValueError: no such dimension, it has one value only, or no curve asked for.
    """
    if not 0 <= dimension < codec.dim or curves < 1:
        raise ValueError(
            f"plot_tuning_curves: dimension must be below {codec.dim} and curves positive, got {dimension} and {curves}"
        )
    _check_width("plot_tuning_curves", codec, dimension)
    population = codec.population
    shown = np.unique(np.linspace(0, codec.neurons - 1, min(curves, codec.neurons)).round().astype(int))
    unit = torch.linspace(-1.5 * population.padding * codec.sigma, 1 + 1.5 * population.padding * codec.sigma, 2000)
    x = _embedding_units(codec, dimension, unit.double())
    rates = population.rates(unit.double())[:, torch.from_numpy(shown)].numpy()
    figure, (axis,) = _figure(1, size=(7.2, 3.0))
    colours = _colours(len(shown))
    for curve, colour in zip(rates.T, colours, strict=True):
        axis.plot(x, curve, color=colour, linewidth=1.2)
    for edge in _embedding_units(codec, dimension, torch.tensor([0.0, 1.0])):
        axis.axvline(edge, color=_GREY, linestyle="--", linewidth=0.8, label="calibrated range")
    axis.set(xlabel=f"value of dimension {dimension} (embedding units)", ylabel="rate (Hz)", xlim=(x[0], x[-1]))
    axis.set_ylim(0, 1.05 * codec.max_rate)
    width = codec.sigma * float(codec.calibration.width_D[dimension])
    some = f"{len(shown)} of {codec.neurons:,} neurons" if len(shown) < codec.neurons else f"{codec.neurons} neurons"
    axis.set_title(f"{some}, width σ = {width:.3g}", fontsize="medium", loc="left")
    figure.legend(*[part[:1] for part in axis.get_legend_handles_labels()], loc="outside upper right", frameon=False)
    return figure


def plot_rate_histogram(train: SpikeTrain) -> Figure:
    """How many neurons fire at which rate, over all tokens and dimensions.

    Args:
        train: (n, D, N, T).

    Returns:
        Share of neurons, logarithmic, against rate in Hz, with the mean rate.

    Raises:
        ValueError: the train holds no token.
    """
    n, dim, neurons, steps = train.shape
    if not n:
        raise ValueError("plot_rate_histogram: the train holds no token; encode at least one vector")
    token, dimension, neuron, _ = (np.asarray(values, dtype=np.int64) for values in train.to_events())
    firing = np.unique((token * dim + dimension) * neurons + neuron, return_counts=True)[1]
    total, duration = n * dim * neurons, steps * train.dt / 1000
    figure, (axis,) = _figure(1, size=(5.4, 3.2))
    per_bin = -(-steps // 50)
    edges = ((np.arange(1, steps + 1 + per_bin, per_bin) - 0.5) / duration).tolist()
    axis.hist(firing / duration, edges, weights=np.full(len(firing), 1 / total), color=_BLUE, edgecolor="white", lw=0.3)
    silent = 1 - len(firing) / total
    axis.bar(0, silent, width=(edges[1] - edges[0]), color=_GREY, label=f"silent: {silent:.1%}")
    mean = float(firing.sum()) / total / duration
    axis.axvline(mean, color=_RED, linewidth=1, label=f"mean: {mean:.1f} Hz")
    axis.set(xlabel="rate (Hz)", ylabel="share of neurons", yscale="log")
    axis.legend(frameon=False, fontsize="small")
    return figure


def plot_decoded(x_nD: Tensor, decoded_nD: Tensor, bound_nD: Tensor) -> Figure:
    """Decoded against encoded values, and the errors over their bound beside a standard normal density.

    Args:
        x_nD: values encoded, float, (n, D).
        decoded_nD: values decoded, float, (n, D).
        bound_nD: standard deviation of the Fisher bound, float, (n, D); 0 where a dimension has one value only.

    Returns:
        Two panels, of the values whose bound is not 0: in embedding units; density of the error in units of the bound.

    Raises:
        ValueError: the shapes disagree, or there is no value whose bound is not 0.
    """
    if x_nD.shape != decoded_nD.shape or x_nD.shape != bound_nD.shape or not bool((bound_nD > 0).any()):
        raise ValueError(
            "plot_decoded: expected three matrices of one shape, with bounds above 0, got "
            f"{tuple(x_nD.shape)}, {tuple(decoded_nD.shape)}, {tuple(bound_nD.shape)}"
        )
    known_nD = (bound_nD > 0).cpu()
    some = slice(None, None, -(-int(known_nD.sum()) // _POINTS))
    x, decoded, bound = (
        values.detach().double().cpu()[known_nD][some].numpy() for values in (x_nD, decoded_nD, bound_nD)
    )
    figure, (values, errors) = _figure(2, size=(7.2, 3.4))
    values.hexbin(x, decoded, gridsize=70, bins="log", cmap="Blues", vmin=0.1, mincnt=1, linewidths=0.1)
    ends = [x.min(), x.max()]
    values.plot(ends, ends, color=_RED, linewidth=0.8, zorder=0, label="no error")
    values.set(xlabel="encoded value (embedding units)", ylabel="decoded value (embedding units)")
    values.set_aspect("equal", adjustable="datalim")
    values.legend(frameon=False, fontsize="small", loc="upper left")
    score = (decoded - x) / bound
    ratio = float(np.sqrt(np.mean(score**2)))
    reach = min(8.0, max(4.0, 1.1 * float(np.abs(score).max())))
    errors.hist(score.clip(-reach, reach), bins=81, range=(-reach, reach), density=True, color=_BLUE, alpha=0.6)
    fine = np.linspace(-reach, reach, 301)
    errors.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color="black", linewidth=1, label="at the bound")
    errors.set(xlabel="error (standard deviations of the bound)", ylabel="density")
    errors.set_title(f"RMSE {ratio:.3f} of the bound", fontsize="medium", loc="left")
    errors.legend(frameon=False, fontsize="small")
    return figure


def plot_error_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Root mean square error against N and against T, with the bound.

    Args:
        rows: mappings with `neurons`, `steps`, `rmse` and `bound`, the last two in the same units, for a grid of N and
            T; `method` may name the decoder.

    Returns:
        Two logarithmic panels: measured errors as points, bounds as lines.

    Raises:
        ValueError: no rows, or an entry is missing.
    """
    needed = {"neurons", "steps", "rmse", "bound"}
    if not rows or any(needed - row.keys() for row in rows):
        raise ValueError(f"plot_error_curves: expected rows with {', '.join(sorted(needed))}")
    methods = list(dict.fromkeys(str(row.get("method", "ml")) for row in rows))
    figure, panels = _figure(2, size=(7.2, 4.4), sharey=True)
    axes = (("neurons", "neurons a dimension, N", "steps", "T"), ("steps", "bins, T", "neurons", "N"))
    for axis, (along, label, other, symbol) in zip(panels, axes, strict=True):
        levels = sorted({int(row[other]) for row in rows})
        for level, colour in zip(levels, _colours(len(levels)), strict=True):
            part = sorted((row for row in rows if row[other] == level), key=lambda row: row[along])
            for method, marker in zip(methods, itertools.cycle("osD^v")):
                points = [(row[along], row["rmse"]) for row in part if str(row.get("method", "ml")) == method]
                suffix = f", {_METHODS.get(method, method)}" if len(methods) > 1 else ""
                axis.plot(
                    *zip(*points, strict=True), marker, ms=4, mfc="none", c=colour, label=f"{symbol} = {level}{suffix}"
                )
            line = sorted({(row[along], row["bound"]) for row in part})
            axis.plot(*zip(*line, strict=True), color=colour, linewidth=1)
        axis.plot([], [], color="black", linewidth=1, label="Fisher bound")
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.legend(frameon=False, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    panels[0].set_ylabel("RMSE (embedding units)")
    return figure


def _figure(panels: int, *, size: tuple[float, float], **layout: Any) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = list(np.ravel(figure.subplots(1, panels, squeeze=False, **_subplot_arguments(layout))))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _subplot_arguments(layout: dict[str, Any]) -> dict[str, Any]:
    grid = {"width_ratios": layout.pop("width_ratios")} if "width_ratios" in layout else {}
    return {**layout, "gridspec_kw": grid}


def _colours(count: int) -> list[Any]:
    import matplotlib as mpl

    return list(mpl.colormaps["viridis"](np.linspace(0, 0.88, count)))


def _check_width(caller: str, codec: SpikeCodec, dimension: int) -> None:
    if not float(codec.calibration.width_D[dimension]):
        raise ValueError(f"{caller}: dimension {dimension} has one value only, so no curve is tuned; choose another")


def _embedding_units(codec: SpikeCodec, dimension: int, unit: Tensor) -> NDArray[np.float64]:
    low, width = float(codec.calibration.low_D[dimension]), float(codec.calibration.width_D[dimension])
    return low + unit.double().numpy() * width


def _tuning(codec: SpikeCodec, dimension: int, value: float, preferred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rate that the scheme gives, at one value, to neurons that prefer these, in Hz."""
    width = codec.sigma * float(codec.calibration.width_D[dimension])
    gain = np.exp(-(((value - preferred) / width) ** 2) / 2)
    rate = torch.from_numpy(codec.background + (codec.max_rate - codec.background) * gain)
    spikes = codec.coding.mean_spikes(rate * codec.dt / 1000, codec.active_steps, codec.refractory)
    return (spikes / (codec.steps * codec.dt / 1000)).numpy()


def _name(codec: SpikeCodec) -> str:
    return str(getattr(codec.scheme, "name", codec.scheme))
