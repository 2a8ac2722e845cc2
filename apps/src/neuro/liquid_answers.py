"""Pictures of what readouts answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lsm
import numpy as np
from lsm.figures import save_figure as save_lsm_figure
from lsm.raster_plots import plot_raster
from numpy.typing import NDArray

from neuro.liquid_settings import LiquidTrainSettings
from neuro.liquid_tasks import Task
from neuro.plots import new_figure, save_figure

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:gray")
_SHOWN_VALUES = 200


def draw_answers(
    task: Task,
    rows: list[dict[str, Any]],
    answers: dict[str, NDArray[Any]],
    folder: Path,
    net: lsm.Network,
    settings: LiquidTrainSettings,
) -> dict[str, Path]:
    """Figures of all methods, what is taken for what or the series, and the liquid under the first test sample."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = task.targets[task.test_rows]
    pictures = {"methods": methods(rows, folder / "methods.png")}
    first = next(iter(answers))
    if task.labelled:
        pictures["confusion"] = confusion(targets, answers[first], folder / "confusion.png")
    elif targets.shape[1] == 1:
        pictures["series"] = series(targets[:, 0], {n: a[:, 0] for n, a in answers.items()}, folder / "series.png")
    else:
        pictures["memory"] = memory({row["method"]: row["memory"] for row in rows}, folder / "memory.png")
    pictures["liquid"] = liquid_raster(task, net, settings, folder / "liquid.png")
    return pictures


def methods(rows: list[dict[str, Any]], path: Path) -> Path:
    """Accuracy with its interval, or error, of the liquid and its controls."""
    figure, (axis,) = new_figure(1, height=1.2 + 0.4 * len(rows))
    figure.set_figwidth(6.4)
    for y, (row, colour) in enumerate(zip(rows, COLOURS, strict=False)):
        if "accuracy" in row:
            error = [[row["accuracy"] - row["low"]], [row["high"] - row["accuracy"]]]
            axis.errorbar(row["accuracy"], y, xerr=error, fmt="o", color=colour, capsize=4)
        else:
            axis.plot(row["nrmse"], y, "o", color=colour)
    axis.set_yticks(range(len(rows)), [row["method"] for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("accuracy, 95% interval" if "accuracy" in rows[0] else "NRMSE (less is better)")
    return save_figure(figure, path)


def confusion(targets: NDArray[Any], answers: NDArray[Any], path: Path) -> Path:
    """What is taken for what, by the liquid's readout."""
    names = np.unique(np.concatenate([targets, answers]))
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (np.searchsorted(names, targets), np.searchsorted(names, answers)), 1)
    figure, (axis,) = new_figure(1, height=min(1.5 + 0.42 * len(names), 8.0))
    figure.set_figwidth(min(2.3 + 0.42 * len(names), 9.0))
    axis.grid(visible=False)
    axis.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names.tolist(), rotation=90 if max(map(len, map(str, names))) > 3 else 0)
    axis.set_yticks(range(len(names)), names.tolist())
    if len(names) <= 20:
        for target, answer in np.argwhere(counts):
            share = counts[target, answer] / counts[target].sum()
            colour = "white" if share > 0.55 else "black"
            axis.text(answer, target, str(counts[target, answer]), ha="center", va="center", fontsize=7, color=colour)
    axis.set(xlabel="answer", ylabel="target")
    return save_figure(figure, path)


def series(targets: NDArray[Any], answers: dict[str, NDArray[Any]], path: Path) -> Path:
    """The series that was to be told and what was told."""
    figure, (axis,) = new_figure(1)
    figure.set_figwidth(8.0)
    axis.plot(targets[:_SHOWN_VALUES], color="black", linewidth=1.6, label="target")
    for (name, values), colour in zip(answers.items(), COLOURS, strict=False):
        axis.plot(values[:_SHOWN_VALUES], color=colour, linewidth=0.9, label=name)
    axis.set(xlabel="value of the test series", ylabel="y")
    axis.legend(fontsize="small", ncols=2)
    return save_figure(figure, path)


def memory(curves: dict[str, list[float]], path: Path) -> Path:
    """Squared correlation with the input of so many values ago."""
    figure, (axis,) = new_figure(1)
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        label = f"{name}: {sum(values):.2f}"
        axis.plot(range(1, len(values) + 1), values, ".-", color=colour, label=label)
    axis.set(xlabel="values ago", ylabel="squared correlation, test", ylim=(0, 1))
    axis.legend(fontsize="small", title="memory capacity")
    return save_figure(figure, path)


def liquid_raster(task: Task, net: lsm.Network, settings: LiquidTrainSettings, path: Path) -> Path:
    """Spikes of input and liquid under the first test sample."""
    row = int(task.rows_I[task.test_rows[0]])
    sample = row // task.instants if task.each_instant else row
    name = next(population.name for population in net.populations if population.model is None)
    engine = settings.engine
    sim = net.build(
        settings.device,
        precision=engine.precision,
        threads=engine.threads or None,
        group="alone",
        procedural=engine.procedural,
    )
    duration = min(float(task.durations_B[sample]), 1000.0)
    duration = float(np.ceil(duration / net.step - 1e-6)) * net.step
    times, ids = task.samples[sample]
    within = times <= duration
    recording = sim.run(duration, {name: (times[within], ids[within])})
    figure = plot_raster(recording.times, recording.ids, recording.sizes, end=duration)
    return save_lsm_figure(figure, path)
