"""Tables of `results/evosnn.json`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.markdown import markdown

NOT_YET = "Not measured yet: run the command below."


def median_and_worst(values: Sequence[float], form: str, *, worst: str = "max") -> str:
    """Two figures in a cell; nothing where there is no run."""
    if not values:
        return "-"
    least = max(values) if worst == "max" else min(values)
    return f"{statistics.median(values):{form}} / {least:{form}}"


def reached(row: dict[str, Any]) -> bool:
    """Whether a run reached its goal: the target, in the episodes that only judge; where the target is what was aimed
    at, in the 100 unseen episodes of a claim."""
    return row["solved"] if row.get("aim", row["target"]) == row["target"] else row["again"] >= row["target"]


def seconds(runs: Sequence[dict[str, Any]]) -> str:
    """Seconds by the clock, and those of the processor where they are known."""
    worked = [row["cpu_seconds"] for row in runs if "cpu_seconds" in row]
    clock = median_and_worst([row["seconds"] for row in runs], ".1f")
    return f"{clock} (processor {median_and_worst(worked, '.1f')})" if len(worked) == len(runs) else clock


def targets(results: dict[str, Any]) -> str:
    """Runs that reached the goal, by task and method."""
    if "targets" not in results:
        return NOT_YET
    rows = []
    for task in dict.fromkeys(row["task"] for row in results["targets"]):
        own = [row for row in results["targets"] if row["task"] == task]
        for method in dict.fromkeys(row["method"] for row in own):
            runs = [row for row in own if row["method"] == method]
            solved = [row for row in runs if reached(row)]
            limit = f"{runs[0]['episodes_limit']:,} episodes" if runs[0]["episodes_limit"] else ""
            limit = limit or f"{runs[0]['generations_limit']} generations"
            rows.append(
                [
                    f"{task} {runs[0]['target']:g} within {limit}, {runs[0]['population']} a generation",
                    method,
                    f"{len(solved)} of {len(runs)}",
                    median_and_worst([row["generations"] for row in solved], ".0f"),
                    median_and_worst([row["episodes"] for row in solved], ",.0f"),
                    seconds(runs),
                    median_and_worst([row["again"] for row in runs if "again" in row], ".4g", worst="min"),
                ]
            )
    columns = ["goal", "method", "reached", "generations", "episodes", "seconds, all runs", "judged score, all runs"]
    return markdown(columns, rows)


def plasticity(results: dict[str, Any]) -> str:
    """The T-maze with and without plasticity."""
    if "plasticity" not in results:
        return NOT_YET
    frozen = [row["frozen"] for row in results.get("targets", []) if "frozen" in row]
    without = [row["score"] for row in results["plasticity"] if row["evolved"] == "without"]
    rows = [
        ["evolved with plasticity", [row["plastic"] for row in frozen]],
        ["the same, plasticity off", [row["off"] for row in frozen]],
        ["evolved without plasticity", without],
    ]
    return markdown(
        ["T-maze, share of rewarded choices", "runs", "median / worst", "best"],
        [
            [name, str(len(v)), median_and_worst(v, ".1%", worst="min"), f"{max(v):.1%}" if v else "-"]
            for name, v in rows
        ],
    )


def speed(results: dict[str, Any]) -> str:
    """Environment steps a second."""
    if "speed" not in results:
        return NOT_YET
    rows = [
        [row["population"], f"{row['steps_per_s']:,.0f}", f"{row['steps'] / row['max_s']:,.0f}"]
        for row in results["speed"]["rows"]
    ]
    return markdown(["population", "steps/s, median", "slowest run"], rows)


def growth(results: dict[str, Any]) -> str:
    """Seconds, memory and slopes."""
    if "growth" not in results:
        return NOT_YET
    rows = []
    for row in results["growth"]:
        own = row["rows"]
        values = " / ".join(f"{each[row['varied']]:,}" for each in own)
        seconds = " / ".join(f"{each['seconds']:.2f}" for each in own)
        memory = " / ".join("-" if each["mib"] is None else f"{each['mib']:.0f}" for each in own)
        slope = f"{row['slope']:.2f}"
        if "slope_edges" in row:
            slope += f" ({row['slope_edges']:.2f} against synapses)"
        rows.append([f"{row['varied'].replace('_', '-')}: {values}", seconds, slope, memory])
    return markdown(["varied", "seconds", "slope", "peak MiB"], rows)


def steering(results: dict[str, Any]) -> str:
    """Returns and differences with intervals."""
    if "steering" not in results:
        return NOT_YET
    rows = []
    for row in results["steering"]["compared"]:
        own = f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        gap = f"{row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f})"
        above = "-" if row["agent"] == "best constant" else gap
        rows.append([row["agent"], row["task"], f"{row['median']:.3f}", own, above])
    columns = ["agent", "task", "return, median", "mean (95% interval)", "above the best constant (95% interval)"]
    return markdown(columns, rows)
