"""Pictures of training and evaluation, as PNG files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuro.scoreboard import Score

STYLE = {"binary": ("o", "tab:blue"), "sigma-delta": ("s", "tab:orange"), "five-bit": ("^", "tab:green")}


def new_figure(panels: int, *, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure of several panels, at most three beside each other."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(panels, 3)
    rows = -(-panels // columns)
    size = (4.6 * columns, height * rows)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for spare in grid.flat[panels:]:
        spare.set_visible(False)
    axes = list(grid.flat[:panels])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> Path:
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path


def training_curves(lines: Sequence[dict[str, Any]], bits: Sequence[int], path: Path) -> Path:
    """Validation losses of every level, and the learning rate, against the step."""
    kinds = [kind for kind in ("reconstruction", "similarity") if f"{kind}_{bits[0]}" in lines[0]]
    figure, axes = new_figure(len(kinds) + 1)
    steps = [line["step"] for line in lines]
    for axis, kind in zip(axes, kinds, strict=False):
        for level in bits:
            axis.plot(steps, [line[f"{kind}_{level}"] for line in lines], marker=".", label=f"{level} bits")
        axis.set(xlabel="step", ylabel=f"{kind} loss, held-out words", yscale="log")
        axis.legend()
    axes[-1].plot(steps, [line["learning_rate"] for line in lines], color="grey", marker=".")
    axes[-1].set(xlabel="step", ylabel="learning rate")
    return save_figure(figure, path)


def quality_against_bytes(scores: Sequence[Score], path: Path, *, k: int) -> Path:
    """Each measure against the bytes of a code; float32 vectors as levels to reach."""
    measures = [(name, [score.similarity[name] for score in scores]) for name in scores[0].similarity]
    measures.append(("analogy accuracy", [score.analogy for score in scores]))
    measures.append((f"recall@{k}", [score.recall for score in scores]))
    measures.append(("cosine of decoded vectors", [score.cosine for score in scores]))
    measured = [
        (name, [(score, value) for score, value in zip(scores, values, strict=True) if value is not None])
        for name, values in measures
        if any(value is not None for value in values)
    ]
    figure, axes = new_figure(len(measured))
    for axis, (name, figures) in zip(axes, measured, strict=True):
        for family, (marker, colour) in STYLE.items():
            points = [(score.bytes_per_vector, value) for score, value in figures if score.name.startswith(family)]
            if points:
                axis.plot(*zip(*points, strict=True), marker=marker, color=colour, label=family)
        for score, value in figures:
            if score.name.startswith("float32"):
                style = "--" if "prepared" in score.name else ":"
                axis.axhline(value, color="black", linestyle=style, linewidth=1, label=score.name)
        axis.set_xscale("log", base=2)
        ticks = sorted({score.bytes_per_vector for score in scores if not score.name.startswith("float32")})
        # five-bit codes stand close to a power of two: one label for both would be unreadable
        axis.set_xticks([tick for tick in ticks if math.log2(tick).is_integer()] or ticks)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
        axis.set(xlabel="bytes a vector", title=name)
    axes[0].legend(fontsize="small")
    return save_figure(figure, path)


def cosine_against_agreement(cosines: Tensor, agreements: dict[int, Tensor], path: Path) -> Path:
    """Cosine of code pairs against cosine of vector pairs, per level, with the law of random hyperplanes.

    Args:
        cosines: of pairs of prepared vectors, (P,).
        agreements: level to cosines of the codes of the same pairs, (P,).
        path: where the picture goes.
    """
    figure, axes = new_figure(len(agreements))
    line = np.linspace(-1, 1, 201)
    for axis, (level, values) in zip(axes, agreements.items(), strict=True):
        axis.hexbin(cosines.numpy(), values.numpy(), gridsize=60, bins="log", cmap="Blues", mincnt=1)
        axis.plot(line, 2 / np.pi * np.arcsin(line), color="tab:red", linewidth=1, label="(2/π) arcsin(cos)")
        axis.set(xlabel="cosine of the vectors", ylabel="cosine of the codes", title=f"{level} bits", xlim=(-0.6, 1))
        axis.legend(loc="upper left")
    return save_figure(figure, path)


def reconstruction_histogram(cosines: dict[str, Tensor], path: Path) -> Path:
    """Distribution over the words of the cosine between decoded and prepared vectors, per code."""
    figure, (axis,) = new_figure(1, height=3.8)
    figure.set_figwidth(8)
    names = list(cosines)
    floor = 1e-6
    for position, name in enumerate(names):
        gaps = np.log10(np.clip(1 - cosines[name].double().numpy(), floor, None))
        family = next(family for family in STYLE if name.startswith(family))
        parts = axis.violinplot(gaps, [position], orientation="horizontal", showmedians=True, widths=0.8)
        for body in [*parts["bodies"], *(parts[key] for key in parts if key != "bodies")]:  # pyright: ignore[reportGeneralTypeIssues]
            body.set_color(STYLE[family][1])
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.xaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    axis.set(xlabel="1 - cosine of decoded and prepared vector (less is better; median marked)")
    return save_figure(figure, path)
