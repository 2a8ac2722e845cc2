"""Tables of `results/lsm_tasks.json`, `results/lsm_million.json` and `results/lsm_nest_synapses.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lsm.intervals import wilson_interval

from benchmarks.markdown import markdown

METHODS = {
    "liquid": "liquid",
    "input": "input alone",
    "input, tau=400": "input alone, filtered with 400 ms",
    "expanded": "random static features of the input",
    "scrambled": "scrambled liquid",
    "scrambled, rate matched": "scrambled liquid, as many spikes",
    "unconnected": "the liquid without recurrent synapses",
}
Table = Callable[[dict[str, Any]], str]


def between(value: float, interval: list[float], form: str = ".3f") -> str:
    """A figure with its interval."""
    return f"{value:{form}} ({interval[0]:{form}} to {interval[1]:{form}})"


def by_method(part: Mapping[str, Mapping[str, Any]], form: str = ".3f") -> dict[str, list[str]]:
    """Method to its figure and to how much better the liquid is."""
    found = {}
    for name, title in METHODS.items():
        if name not in part:
            continue
        row = part[name]
        better = row.get("liquid_better_by")
        found[title] = [
            between(row["mean" if "mean" in row else "accuracy"], row["interval"], form),
            "-" if better is None else between(better["mean"], better["interval"], f"+{form}"),
        ]
    return found


def templates(results: dict[str, Any]) -> str:
    """Accuracies of the template tasks by method."""
    part = results["templates"]
    tasks = {"now": "heard now", "delayed": "heard before", "exclusive_or": "whether they differ"}
    cells = [by_method(part[task]) for task in tasks]
    rows = [[title, *(own[title][0] for own in cells)] for title in cells[0]]
    return markdown(["accuracy", *tasks.values()], rows)


def series(results: dict[str, Any]) -> str:
    """Error of NARMA-10 and memory capacity by method."""
    cells = [by_method(results["series"]["narma10_nrmse"]), by_method(results["series"]["memory_capacity"], ".2f")]
    rows = [[title, *(own[title][0] for own in cells)] for title in cells[0]]
    return markdown(["", "NARMA-10, NRMSE (less is better)", "memory capacity"], rows)


def digits(split: str) -> Table:
    """Accuracies on spoken digits by method and number of instants."""

    def table(results: dict[str, Any]) -> str:
        parts = results["digits"][split]
        rows = []
        for name, part in parts.items():
            for title, (accuracy, better) in by_method(part).items():
                rows.append([f"{name.removeprefix('instants=')} instants, {title}", accuracy, better])
        return markdown(["read at", "accuracy", "liquid better by"], rows)

    return table


def memory(results: dict[str, Any]) -> str:
    """How often an item is held, and the rates of its group and of the others."""
    rows = []
    for size, part in results["memory"].items():
        if not isinstance(part, Mapping):
            continue
        for kind in ("facilitation", "no facilitation"):
            own = part[kind]
            cued, others = (sum(own[key]) / len(own[key]) for key in ("cued_hz", "others_hz"))
            rows.append([f"{size}, {kind}", f"{own['held']} of {len(own['cued_hz'])}", f"{cued:.2f}", f"{others:.2f}"])
    return markdown(["working memory", "item held", "its group, Hz", "other groups, Hz"], rows)


def reward(results: dict[str, Any]) -> str:
    """Preference for the cue that was followed by reward."""
    rows = [
        [title, between(results["reward"][kind]["preference"], results["reward"][kind]["preference_interval"], ".2f")]
        for kind, title in (("gate", "dopamine gates plasticity"), ("no gate", "without the gate"))
    ]
    return markdown(["", "spikes more after the rewarded cue"], rows)


def measures(results: dict[str, Any]) -> str:
    """Ranks and divergence of liquids."""
    rows = []
    for name, title in METHODS.items():
        own = results["measures"].get(name)
        if own is None:
            continue
        rows.append([title, f"{own['kernel_rank']} of {own['inputs']}"])
        rows[-1] += [str(own.get("generalisation_rank", "-"))]
        rows[-1] += [f"{own['divergence_per_s']:.1f}" if "divergence_per_s" in own else "-"]
    columns = ["", "kernel rank", "rank under jitter of one input", "divergence of one moved spike, 1/s"]
    return markdown(columns, rows)


def nest_equality(results: dict[str, Any]) -> str:
    """Spikes and weights that differ from NEST's."""
    rows = [
        [f"spikes, {name}", f"{row['spikes']:,}", f"{row['differ']} spikes"] for name, row in results["rasters"].items()
    ]
    worst = results["short_term"]
    rows.append(["short-term factors", f"{worst['spikes']:,}", f"{worst['worst_relative_difference']:.0e}, relative"])
    for name, row in results["learning"].items():
        size = f"{row['weights']:,}"
        rows.append([f"learnt weights, {name}", size, f"{row['worst_difference_by_start']:.0e} of the first weight"])
    return markdown([f"beside NEST {results['nest']}", "compared", "greatest difference"], rows)


def million_accuracy(results: dict[str, Any]) -> str:
    """Accuracy of each task by the size of the liquid, and of its controls."""
    tasks = {"now": "heard now", "delayed": "heard before", "exclusive_or": "whether they differ"}
    rows = []
    for size, part in sized(results):
        for name, own in part["accuracy"].items():
            cells = [share(own[task]["accuracy"], own[task]["answers"]) for task in tasks]
            better = own["exclusive_or"].get("liquid_better_by")
            cells.append("-" if better is None else between(better["mean"], better["interval"], "+.3f"))
            rows.append([f"{size}, {METHODS[name]}", *cells])
    return markdown(["accuracy", *tasks.values(), "liquid better by, in the last"], rows)


def share(accuracy: float, answers: int) -> str:
    """A share of right answers with its Wilson interval."""
    return between(accuracy, list(wilson_interval(round(accuracy * answers), answers)))


def million_cost(results: dict[str, Any]) -> str:
    """Synapses, seconds and memory of each size."""
    rows = []
    for size, part in sized(results):
        streams = part["streams"]["train"] + part["streams"]["test"]
        row = [
            size,
            f"{part['synapses']:,}",
            f"{part['build_s']:.1f}",
            f"{part['simulated_s']:.0f} ({streams} streams)",
        ]
        row += [f"{part['real_time_factor']:.2f}", f"{part['rate_hz']:.1f}", f"{part['events_per_s']:.2e}"]
        row += [f"{part['readout_s']:.0f}", f"{part['peak_bytes'] / 2**30:.2f}", f"{part['bytes_per_synapse']:.2f}"]
        rows.append(row)
    columns = ["", "synapses", "built in, s", "driven for, s", "real-time factor", "rate, Hz", "events/s"]
    return markdown([*columns, "readouts, s", "peak, GiB", "B/synapse"], rows)


def sized(results: dict[str, Any]) -> list[tuple[str, Any]]:
    """Parts that are sizes, the smallest first."""
    parts = [(name, part) for name, part in results.items() if isinstance(part, Mapping) and "synapses" in part]
    return sorted(parts, key=lambda named: named[1]["neurons"])


TABLES: dict[str, tuple[str, Table]] = {
    "liquid-templates": ("lsm_tasks", templates),
    "liquid-series": ("lsm_tasks", series),
    "liquid-digits-speakers": ("lsm_tasks", digits("leave_one_speaker_out")),
    "liquid-digits-official": ("lsm_tasks", digits("official")),
    "liquid-memory": ("lsm_tasks", memory),
    "liquid-reward": ("lsm_tasks", reward),
    "liquid-measures": ("lsm_tasks", measures),
    "liquid-equality": ("lsm_nest_synapses", nest_equality),
    "liquid-million": ("lsm_million", million_accuracy),
    "liquid-million-cost": ("lsm_million", million_cost),
}
