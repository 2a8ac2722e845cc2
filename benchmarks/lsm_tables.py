"""Tables of `results/lsm.json`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.markdown import markdown

NOT_YET = "Not measured yet: run the command below."
GIB = 2**30
Table = Callable[[dict[str, Any]], str]


def part(name: str) -> Callable[[Callable[[Any], str]], Table]:
    """A table of one part of the script, or the word that it is not measured."""

    def wrap(table: Callable[[Any], str]) -> Table:
        @functools.wraps(table)
        def made(results: dict[str, Any]) -> str:
            return table(results[name]) if name in results else NOT_YET

        return made

    return wrap


def spread(facts: Mapping[str, float], form: str = ".1f") -> str:
    """A median with its least and greatest."""
    return f"{facts['median']:{form}} ({facts['min']:{form}} to {facts['max']:{form}})"


def speed_cells(row: Mapping[str, Any]) -> list[str]:
    """Building, memory and speed of a row."""
    return [
        f"{row['build_s']:.1f}",
        f"{row['bytes_per_synapse_peak']:.2f}",
        f"{row['real_time_factor']:.2f}",
        f"{row['events_per_s'] / 1e6:,.0f}",
    ]


SPEED = ["build, s", "bytes a synapse, peak", "seconds a simulated second", "million events/s"]


def mean_cv(row: Mapping[str, Any]) -> str:
    """Of the excitatory cells."""
    value = row["cv"].get("E")
    return "-" if value is None or value != value else f"{value:.3f}"


@part("brunel")
def brunel(results: Any) -> str:
    """Speed, memory, rates and regularity beside NEST."""
    rows = []
    for network in results["networks"]:
        ratios = {ratio["over"]: spread(ratio) for ratio in network["ratios"]}
        size = f"{network['neurons']:,} x {network['indegree']:,}"
        for row in network["rows"]:
            rate = f"{row['rate']:.2f}"
            rows.append(
                [f"{size}, {row['label']}", *speed_cells(row), rate, mean_cv(row), ratios.get(row["label"], "-")]
            )
    return markdown(["network", *SPEED, "rate, Hz", "CV", "lsm's events/s over these"], rows)


@part("microcircuit")
def microcircuit(results: Any) -> str:
    """Speed and memory of the scaled microcircuit."""
    ratios = {ratio["over"]: spread(ratio) for ratio in results["ratios"]}
    rows = [
        [
            f"{row['label']}, scale {results['scale']:g}: {row['synapses'] / 1e6:.1f} M synapses",
            *speed_cells(row),
            ratios.get(row["label"], "-"),
        ]
        for row in results["rows"]
    ]
    return markdown(["microcircuit", *SPEED, "lsm's events/s over these"], rows)


def microcircuit_rates(results: dict[str, Any]) -> str:
    """Rates by population: beside NEST at one scale, and beside the published ones at full size."""
    columns: dict[str, Mapping[str, Any]] = {}
    if "microcircuit" in results:
        scaled = results["microcircuit"]
        columns |= {f"{row['label']}, scale {scaled['scale']:g}": row["rates"] for row in scaled["rows"]}
    if "full" in results:
        columns |= {f"{row['label']}, full size": row["rates"] for row in results["full"]["rows"]}
        columns["published, full size"] = results["full"]["published"]
    if not columns:
        return NOT_YET
    names = list(next(iter(columns.values())))
    rows = [[name, *(rate(column.get(name)) for column in columns.values())] for name in names]
    table = markdown(["rate, Hz", *columns], rows)
    picture = "![Rates of the full microcircuit beside those published](../assets/liquid-rates.png)"
    return f"{table}\n\n{picture}" if "full" in results else table


def rate(value: float | Sequence[float] | None) -> str:
    """A rate or a range of rates."""
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, int | float) else f"{value[0]:g} to {value[1]:g}"


@part("full")
def full(results: Any) -> str:
    """The whole microcircuit."""
    return sized(results["rows"])


@part("scale")
def scale(results: Any) -> str:
    """Large networks."""
    return sized(results["rows"])


def sized(rows: Sequence[Mapping[str, Any]]) -> str:
    """Networks with their sizes and all memory that the process took."""
    cells = [
        [
            "microcircuit" if row["label"] == "lsm" else row["label"],
            f"{row['neurons']:,}",
            f"{row['synapses']:,}",
            f"{row['build_s']:.0f}",
            f"{row['peak_bytes'] / GIB:.1f}",
            f"{row['peak_bytes'] / max(row['synapses'], 1):.2f}",
            f"{row['real_time_factor']:.2f}",
            f"{row['events_per_s'] / 1e6:,.0f}",
            f"{row['rate']:.2f}",
        ]
        for row in rows
    ]
    columns = ["network", "neurons", "synapses", "build, s", "peak GiB", "bytes a synapse, peak"]
    return markdown([*columns, "seconds a simulated second", "million events/s", "rate, Hz"], cells)


@part("growth")
def growth(results: Any) -> str:
    """Time and memory against the number of neurons, with log-log slopes."""
    rows = []
    for simulator in results["slopes"]:
        for row in results["rows"]:
            if row["simulator"] == simulator:
                peak = f"{row['peak_bytes'] / GIB:.2f}"
                rows.append([f"{simulator}, {row['neurons']:,} neurons", *speed_cells(row), peak, f"{row['rate']:.1f}"])
        slopes = results["slopes"][simulator]
        if slopes:
            cells = [f"{slopes['build_s']:.2f}", "", f"{slopes['median_s']:.2f}", "", f"{slopes['peak_bytes']:.2f}", ""]
            rows.append([f"{simulator}, slope", *cells])
    table = markdown([f"{results['indegree']:,} synapses a neuron", *SPEED, "peak GiB", "rate, Hz"], rows)
    return table + "\n\n![Time and memory against the number of neurons](../assets/liquid-growth.png)"


@part("threads")
def threads(results: Any) -> str:
    """One thread and two."""
    gains = {ratio["of"]: spread(ratio, ".2f") for ratio in results["ratios"]}
    rows = [
        [
            f"{row['simulator']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}",
            *speed_cells(row),
            gains.get(row["label"], "-"),
        ]
        for row in results["rows"]
    ]
    return markdown(["simulator", *SPEED, "times the speed of one thread"], rows)


TABLES: dict[str, tuple[str, Table]] = {
    "liquid-brunel": ("lsm", brunel),
    "liquid-microcircuit": ("lsm", microcircuit),
    "liquid-microcircuit-rates": ("lsm", microcircuit_rates),
    "liquid-microcircuit-full": ("lsm", full),
    "liquid-growth": ("lsm", growth),
    "liquid-threads": ("lsm", threads),
    "liquid-scale": ("lsm", scale),
}
