"""Pictures of genomes and of what happens in their networks. Needs matplotlib (extra `plots`).

Each function gives a `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

Shapes: C afferents, N neurons, E edges, T control steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ddp_utils import atomic_file
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from evosnn.genome import Genome
    from evosnn.life import Life

RED, BLUE, GREEN, GREY = "#c0392b", "#1f5f99", "#2e7d4f", "#8a8a8a"
_ALL_WIDE = 60  # edges of a drawing beyond which they are drawn thinner
_CURVES = 40  # weights drawn of a large network: those that move most


def afferent_names(genome: Genome) -> list[str]:
    """Short names of the afferents: observation value and which part of it each carries."""
    encoder: Mapping[str, Any] = genome.metadata.get("encoder") or {}
    values = len(encoder.get("low", ()))
    if not values or genome.n_afferents % values:
        return [f"{c}" for c in range(genome.n_afferents)]
    each = genome.n_afferents // values
    parts = ("+", "−") if encoder.get("kind", "rate") == "rate" else tuple(f"·{i}" for i in range(each))
    return [f"x{c // each}{parts[c % each]}" for c in range(genome.n_afferents)]


def plot_network(genome: Genome, weight_E: NDArray[np.float32] | None = None) -> Figure:
    """The network: afferents on the left, hidden neurons in the middle, outputs on the right.

    Blue edges excite, red ones inhibit; their width is the strength beside the strongest. Disabled edges are left out.

    Args:
        genome: what to draw.
        weight_E: weights to draw instead of the genome's, for example those learned in a life.

    Raises:
        ValueError: another number of weights than the genome has edges.
    """
    weight_E = genome.weight if weight_E is None else np.asarray(weight_E)
    if weight_E.shape != genome.weight.shape:
        raise ValueError(f"plot_network: expected {len(genome.weight)} weights, got shape {weight_E.shape}")
    n_hidden = genome.n_neurons - genome.n_outputs
    height = max(2.6, 0.34 * max(genome.n_afferents, n_hidden, genome.n_outputs))
    figure, (axis,) = new_figure(1, size=(6.4, min(height, 12.0)))
    place = _places(genome)
    strongest = max(float(np.abs(weight_E[genome.enabled]).max(initial=0)), 1e-9)
    thin = min(1.0, float(np.sqrt(_ALL_WIDE / max(genome.n_enabled, 1))))
    order = np.argsort(np.abs(weight_E))  # the strong ones on top
    for edge in order[genome.enabled[order]]:
        _draw_edge(axis, genome, place, int(edge), float(weight_E[edge]) / strongest, thin)
    C, A = genome.n_afferents, genome.n_outputs
    groups = {"afferents": (slice(0, C), GREY, "s"), "hidden": (slice(C + A, None), "white", "o")}
    groups["outputs"] = (slice(C, C + A), GREEN, "o")
    for name, (part, colour, marker) in groups.items():
        points = place[part]
        if len(points):
            axis.scatter(*points.T, s=130, c=colour, marker=marker, edgecolors="black", linewidths=0.9, zorder=3)
            axis.text(points[:, 0].mean(), 1.06, f"{len(points)} {name}", ha="center", fontsize="small")
    if C <= 40:
        for label, (x, y) in zip(afferent_names(genome), place[:C], strict=True):
            axis.text(x - 0.06, y, label, ha="right", va="center", fontsize="x-small")
    for number, (x, y) in enumerate(place[C : C + A]):
        axis.text(x + 0.06, y, f"out {number}", ha="left", va="center", fontsize="x-small")
    axis.set(xlim=(-0.25, 2.3), ylim=(-0.06, 1.14))
    axis.set_axis_off()
    axis.plot([], [], color=BLUE, label="excites")
    axis.plot([], [], color=RED, label="inhibits")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return figure


def draw_genome(genome: Genome, path: str | Path, *, weight_E: NDArray[np.float32] | None = None) -> Path:
    """Write `plot_network` to a file, PNG, SVG or PDF by its name.

    Returns:
        The path.
    """
    return save_figure(plot_network(genome, weight_E), path)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; what was there stays until the new file is whole.

    Raises:
        ValueError: the name's ending is no format that matplotlib writes.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise ValueError(f"{path}: expected a name ending in {', '.join(sorted(known))}")
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".").lower())
    return path


def plot_raster(life: Life) -> Figure:
    """Spikes of afferents and neurons over an episode, with actions and rewards below."""
    figure, (raster, below) = new_figure(2, size=(8.0, 4.6), stacked=(4, 1))
    draw_raster(raster, life)
    time_T = np.arange(len(life)) * life.action_ms
    for column_T in life.action_TD.T:
        below.step(time_T, column_T, where="post", linewidth=0.9, color="black")
    below.set(xlabel="time (ms)", ylabel="action", xlim=(0, len(life) * life.action_ms))
    reward = below.twinx()
    reward.plot(time_T, life.reward_T, color=GREEN, linewidth=0.9)
    reward.set_ylabel("reward", color=GREEN)
    reward.spines[["top"]].set_visible(False)
    raster.set_title(f"{life.task}, seed {life.seed}: score {life.score:.4g}", fontsize="medium", loc="left")
    return figure


def draw_raster(axis: Axes, life: Life, *, begin: float = 0.0, end: float | None = None) -> None:
    """Spikes in a part of an episode: afferents at the bottom, outputs at the top.

    Args:
        axis: where to.
        life: the episode.
        begin: in ms.
        end: in ms; the episode's without it.
    """
    end = len(life) * life.action_ms if end is None else end
    genome = life.genome
    C, A, N = genome.n_afferents, genome.n_outputs, genome.n_neurons
    rows = [*range(C), *range(C + A, C + N), *range(C, C + A)]
    spikes_MS = np.concatenate([life.afferents_MC, life.spikes_MN], axis=1)
    first, last = int(begin / life.step_ms), int(np.ceil(end / life.step_ms))
    for y, source in enumerate(rows):
        colour = GREY if source < C else GREEN if source < C + A else "black"
        when = (np.flatnonzero(spikes_MS[first:last, source]) + first) * life.step_ms
        axis.vlines(when, y - 0.4, y + 0.4, color=colour, linewidth=0.7)
    bounds = [(-0.5, C - 0.5, "afferents"), (C - 0.5, C + N - A - 0.5, "hidden"), (C + N - A - 0.5, C + N - 0.5, "out")]
    shown = [(low, high, name) for low, high, name in bounds if high > low]
    for low, _, _ in shown[1:]:
        axis.axhline(low, color=GREY, linewidth=0.6)
    axis.set_yticks([(low + high) / 2 for low, high, _ in shown], [name for _, _, name in shown])
    axis.tick_params(axis="y", length=0)
    axis.set(xlim=(begin, end), ylim=(-0.5, C + N - 0.5))


def plot_weights(life: Life) -> Figure:
    """How weights moved over an episode; of many, those that moved most."""
    enabled = np.flatnonzero(life.genome.enabled)
    weights_TE = life.weights_TE[:, enabled]
    moved_E = np.ptp(np.concatenate([life.genome.weight[None, enabled], weights_TE]), axis=0)
    shown = np.argsort(-moved_E)[:_CURVES]
    figure, (axis,) = new_figure(1, size=(8.0, 3.4))
    time_T = (np.arange(len(life) + 1)) * life.action_ms
    names = source_names(life.genome)
    for rank, edge in enumerate(shown):
        curve_T = np.concatenate([life.genome.weight[enabled[edge]][None], weights_TE[:, edge]])
        number = enabled[edge]
        route = f"{names[life.genome.source[number]]} → {names[life.genome.n_afferents + life.genome.target[number]]}"
        colour = BLUE if curve_T[0] > 0 else RED
        axis.plot(time_T, curve_T, color=colour, linewidth=0.9, alpha=0.75)
        if rank < 8 and moved_E[edge] > 0:
            axis.text(time_T[-1], curve_T[-1], f" {route}", fontsize="x-small", va="center")
    still = int((moved_E == 0).sum())
    axis.axhline(0, color=GREY, linewidth=0.6)
    axis.set(xlabel="time (ms)", ylabel="weight", xlim=(0, time_T[-1]))
    axis.set_title(f"{len(enabled)} weights, {len(enabled) - still} of them moved", fontsize="medium", loc="left")
    return figure


def plot_history(history: Sequence[Mapping[str, float]], target: float | None = None) -> Figure:
    """Fitness, size and diversity over the generations of an evolution.

    Args:
        history: an evolution's records.
        target: drawn as a line.

    Raises:
        ValueError: no record.
    """
    if not history:
        raise ValueError("plot_history: the history holds no generation")
    from matplotlib.ticker import MaxNLocator

    figure, (fitness, size) = new_figure(2, size=(8.0, 4.6), stacked=(2, 1))
    when = [record["generation"] for record in history]

    def values(name: str) -> list[float]:
        return [record[name] for record in history]

    fitness.fill_between(when, values("q10"), values("q90"), color=BLUE, alpha=0.15, linewidth=0, label="10% to 90%")
    fitness.fill_between(when, values("q25"), values("q75"), color=BLUE, alpha=0.25, linewidth=0, label="25% to 75%")
    fitness.plot(when, values("median"), color=BLUE, linewidth=1.2, label="median")
    fitness.plot(when, values("best"), color="black", linewidth=1.2, marker="." if len(when) < 40 else "", label="best")
    if target is not None:
        fitness.axhline(target, color=RED, linewidth=0.8, linestyle="--", label="target")
    fitness.set_ylabel("fitness")
    size.plot(when, values("neurons"), color=GREEN, label="neurons")
    size.plot(when, values("edges"), color=GREY, label="edges")
    if "species" in history[0]:
        size.plot(when, values("species"), color=RED, label="species")
    size.set(xlabel="generation", ylabel="mean", ylim=(0, None))
    for axis in (fitness, size):
        axis.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        axis.set_xlim(when[0], max(when[-1], when[0] + 1))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def source_names(genome: Genome) -> list[str]:
    """Names of all sources: afferents, outputs, hidden neurons."""
    neurons = [f"out {n}" if n < genome.n_outputs else f"n{n - genome.n_outputs}" for n in range(genome.n_neurons)]
    return [*afferent_names(genome), *neurons]


def _places(genome: Genome) -> NDArray[np.floating]:
    """Where each source stands, (C + N, 2); hidden neurons in a zigzag, so that edges between them are seen."""

    def column(x: float, n: int, zigzag: float = 0.0) -> NDArray[np.floating]:
        y = 1 - (np.arange(n) + 0.5) / max(n, 1)
        return np.stack([x + zigzag * ((np.arange(n) % 3) - 1), y], axis=1)

    n_hidden = genome.n_neurons - genome.n_outputs
    return np.concatenate([column(0, genome.n_afferents), column(2, genome.n_outputs), column(1, n_hidden, 0.28)])


def _draw_edge(axis: Axes, genome: Genome, place: NDArray[np.floating], edge: int, share: float, thin: float) -> None:
    """Draw one edge: `share` of the strongest weight, with its sign; widths times `thin`."""
    source, target = int(genome.source[edge]), genome.n_afferents + int(genome.target[edge])
    colour, share = BLUE if share > 0 else RED, abs(share)
    style = {"color": colour, "linewidth": 0.3 + 2.2 * thin * share, "alpha": 0.25 + 0.65 * thin * share}
    if source == target:
        x, y = place[source]
        angle = np.linspace(0, 2 * np.pi, 40)
        axis.plot(x + 0.055 * np.sin(angle), y + 0.045 + 0.045 * np.cos(angle), **style)
        return
    bend = 0.18 if source >= genome.n_afferents else 0.0  # those there and back must not lie on each other
    arrow = {"arrowstyle": "-|>,head_width=0.2,head_length=0.4", "shrinkA": 5, "shrinkB": 7}
    axis.annotate(
        "",
        xy=tuple(place[target]),
        xytext=tuple(place[source]),
        arrowprops={**arrow, "connectionstyle": f"arc3,rad={bend}", **style},
    )


def new_figure(
    panels: int, *, size: tuple[float, float], stacked: tuple[float, ...] | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure that needs no display, and its axes.

    Args:
        panels: axes, one below the other.
        size: width and height in inches.
        stacked: heights of the panels, which then share what is below; None for panels of their own.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid: dict[str, Any] = {"height_ratios": stacked} if stacked else {}
    axes = list(np.ravel(figure.subplots(panels, 1, squeeze=False, sharex=bool(stacked), gridspec_kw=grid)))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
