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

    from neuro.embed_retrieval import RetrievalScore
    from neuro.scoreboard import Score

STYLE = {
    "binary": ("o", "tab:blue"),
    "binary, decoded": ("D", "tab:cyan"),
    "sigma-delta": ("s", "tab:orange"),
    "five-bit": ("^", "tab:green"),
}


def family_of(name: str) -> str:
    """The entry of `STYLE` that a code is drawn by, by its name in the tables; "" for vectors."""
    if name.startswith("binary") and name.endswith(", decoded"):
        return "binary, decoded"
    return next((family for family in STYLE if name.startswith(family)), "")


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
    """Validation losses of every level against the gradient step and against the round, each stage by itself.

    Args:
        lines: the run's metrics; those of gradient steps have a learning rate, which is drawn too.
        bits: prefix lengths.
        path: where the picture goes.
    """
    from matplotlib.ticker import MaxNLocator

    gradient = [line for line in lines if "learning_rate" in line]
    before = gradient[-1]["step"] if gradient else 0
    rounds = [{**line, "step": line["step"] - before} for line in lines if "learning_rate" not in line]
    if gradient and rounds:
        rounds = [{**gradient[-1], "step": 0}, *rounds]
    kinds = [kind for kind in ("reconstruction", "similarity") if f"{kind}_{bits[0]}" in lines[0]]
    # without either of them: their weights are 0
    curves = {f"{kind} loss": {f"{level} bits": f"{kind}_{level}" for level in bits} for kind in kinds}
    curves = curves or {"loss": {"all levels": "loss"}}
    stages = {name: stage for name, stage in (("gradient step", gradient), ("round", rounds)) if stage}
    figure, axes = new_figure(len(curves) * len(stages) + bool(gradient))
    panels = iter(axes)
    for name, stage in stages.items():
        steps = [line["step"] for line in stage]
        for loss, keys in curves.items():
            axis = next(panels)
            for label, key in keys.items():
                axis.plot(steps, [line[key] for line in stage], marker=".", label=label)
            axis.set(xlabel=name, ylabel=f"{loss}, held-out rows")
            if kinds:
                axis.set_yscale("log")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.legend()
    if gradient:
        axes[-1].plot([line["step"] for line in gradient], [line["learning_rate"] for line in gradient], ".-", c="grey")
        axes[-1].set(xlabel="gradient step", ylabel="learning rate")
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
            points = [(score.bytes_per_vector, value) for score, value in figures if family_of(score.name) == family]
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


def retrieval_against_bytes(scores: Sequence[RetrievalScore], path: Path, *, k: int) -> Path:
    """Each measure of retrieval against the bytes of a document; float32 vectors as levels to reach."""
    measures = (("ndcg", f"nDCG@{k}"), ("recall", f"recall@{k}"), ("mrr", f"MRR@{k}"))
    figure, axes = new_figure(len(measures))
    codes = [score for score in scores if score.name.startswith("binary")]
    ways = {"Hamming distance": ("binary", False), "asymmetric": ("binary, decoded", True)}
    for axis, (measure, title) in zip(axes, measures, strict=True):
        for label, (family, asymmetric) in ways.items():
            some = [score for score in codes if score.name.endswith(", asymmetric") == asymmetric]
            points = [(score.bytes_per_vector, getattr(score, measure)) for score in some]
            marker, colour = STYLE[family]
            axis.plot(*zip(*points, strict=True), marker=marker, color=colour, label=label)
        for score in scores:
            if score.name.startswith("float32"):
                style = "--" if "prepared" in score.name else ":"
                axis.axhline(getattr(score, measure), color="black", linestyle=style, linewidth=1, label=score.name)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sorted({score.bytes_per_vector for score in codes}))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
        axis.set(xlabel="bytes a document", title=title)
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
        parts = axis.violinplot(gaps, [position], orientation="horizontal", showmedians=True, widths=0.8)
        for body in [*parts["bodies"], *(parts[key] for key in parts if key != "bodies")]:  # pyright: ignore[reportGeneralTypeIssues]
            body.set_color(STYLE[family_of(name)][1])
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.xaxis.set_major_formatter(lambda value, _: f"$10^{{{value:g}}}$")
    axis.set(xlabel="1 - cosine of decoded and prepared vector (less is better; median marked)")
    return save_figure(figure, path)
