"""Pictures of steered evolutions, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuro.plots import new_figure, save_figure

COLOURS = {"planner": "tab:purple", "policy gradient": "tab:blue", "best constant": "tab:green", "random": "tab:gray"}
_WINDOW = 20  # evolutions of a running mean


def steering_comparison(rows: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Returns of everyone by task: every evolution as a point, means with 95% intervals.

    Args:
        rows: as `evosnn.steering.judge` gives them.
        compared: as `evosnn.steering.compare` gives them.
        path: where the picture goes.
    """
    figure, (axis,) = new_figure(1)
    tasks = list(dict.fromkeys(row["task"] for row in compared))
    agents = list(dict.fromkeys(row["agent"] for row in compared))
    width = 0.8 / len(agents)
    for i, agent in enumerate(agents):
        colour = COLOURS.get(agent, "black")
        for j, task in enumerate(tasks):
            x = j + (i - (len(agents) - 1) / 2) * width
            points = [row["return"] for row in rows if row["agent"] == agent and task in (row["task"], "all")]
            spread = np.linspace(-0.3, 0.3, len(points)) * width
            axis.plot(x + spread, points, ".", color=colour, markersize=3, alpha=0.35)
            found = next(row for row in compared if row["agent"] == agent and row["task"] == task)
            error = [[found["mean"] - found["low"]], [found["high"] - found["mean"]]]
            axis.errorbar(x, found["mean"], error, fmt="o", color=colour, capsize=3, label=agent if not j else None)
    axis.set_xticks(range(len(tasks)), tasks, fontsize="small")
    axis.set_ylabel("return")
    figure.legend(loc="outside upper center", ncols=2, fontsize="small", frameon=False)
    return save_figure(figure, path)


def steering_training(lines: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> Path:
    """Returns in training, as running means over the evolutions.

    Args:
        lines: of `metrics.jsonl`, by agent.
        path: where the picture goes.
    """
    figure, (axis,) = new_figure(1)
    for agent, own in lines.items():
        values = np.array([line["return"] for line in own])
        window = min(_WINDOW, len(values))
        means = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(np.arange(window, len(values) + 1), means, color=COLOURS.get(agent), label=agent)
    axis.set(xlabel="evolution", ylabel=f"return, mean of {_WINDOW}")
    axis.legend(fontsize="small")
    return save_figure(figure, path)
