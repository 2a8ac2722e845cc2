"""Speed, memory and rates of lsm beside NEST and Brian2, each in a process of its own with as many threads.

    uv run --group bench python benchmarks/lsm.py
    uv run --group bench python benchmarks/lsm.py --only brunel,threads

Both are built first and then run in turn (A B A B ...); what is compared is the ratio of each turn. Parts: brunel,
microcircuit, full (the microcircuit at its full size), growth, threads, scale. Events are recurrent synaptic events;
external Poisson spikes are not counted on either side.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, one of which has the package's name

from benchmarks.common import parsed_parts, parser_of, slope, write_results
from benchmarks.lsm_workers import Worker

HERE = Path(__file__).parent
BRIAN = ["--no-project", "--isolated", "--python", "3.11", "--with", "brian2==2.9.*", "--with", "numpy<2.4", "python"]
COMMANDS = {
    "lsm": [sys.executable, str(HERE / "lsm_ours.py")],
    "NEST": [sys.executable, str(HERE / "lsm_nest.py")],
    "Brian2": ["uv", "run", *BRIAN, str(HERE / "lsm_brian.py")],
}
# mean rates of the model's authors and of those who ran it again, Hz
PUBLISHED = {"23E": (0.90, 0.97), "23I": (2.87, 2.97), "4E": (4.4, 4.7), "4I": (5.4, 5.9)}
PUBLISHED |= {"5E": (7.6, 8.1), "5I": (8.6, 9.1), "6E": (1.0, 1.1), "6I": (7.5, 7.8)}
Facts = dict[str, Any]
Rows = list[Facts]


def simulators(*, peers: bool = True) -> list[str]:
    """Ours, and NEST where it is installed."""
    return ["lsm", "NEST"] if peers and importlib.util.find_spec("nest") else ["lsm"]


@contextlib.contextmanager
def built(names: Mapping[str, Mapping[str, Any]], threads: int) -> Iterator[tuple[dict[str, Worker], dict[str, Facts]]]:
    """Workers by label, each with its network built, and what they say of it.

    Args:
        names: label to the arguments of `build`; `simulator` among them says whose it is.
        threads: of each, where the arguments do not say otherwise.
    """
    with contextlib.ExitStack() as stack:
        workers, facts = {}, {}
        for label, arguments in names.items():
            sizes = {"threads": threads, "watched": 1000, **arguments}
            simulator = sizes.pop("simulator")
            workers[label] = stack.enter_context(Worker(COMMANDS[simulator], sizes["threads"]))
            facts[label] = {"simulator": simulator, **sizes, **workers[label].ask("build", **sizes)}
            row = facts[label]
            row["bytes_per_synapse_peak"] = row["peak_bytes"] / max(row["synapses"], 1)
            print(label, {key: row[key] for key in ("neurons", "synapses", "build_s", "peak_bytes")}, flush=True)
        yield workers, facts


def in_turn(workers: Mapping[str, Worker], ms: float, repeats: int) -> dict[str, Rows]:
    """Runs of all workers in turn, after one that is not counted."""
    runs: dict[str, Rows] = {label: [] for label in workers}
    for turn in range(repeats + 1):
        for label, worker in workers.items():
            found = worker.ask("run", ms=ms)
            if turn:
                runs[label].append(found)
    return runs


def summary(label: str, facts: Facts, runs: Rows) -> Facts:
    """One row of a simulator: medians over its turns."""
    seconds = [run["seconds"] for run in runs]
    milliseconds = runs[0]["ms"]
    populations = runs[0]["rates"]
    row: Facts = {"label": label, **facts, "ms": milliseconds, "turns": len(runs)}
    row |= {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds), "turn_s": seconds}
    row["real_time_factor"] = row["median_s"] / milliseconds * 1000
    row["events_per_s"] = statistics.median(run["events"] / run["seconds"] for run in runs)
    row["peak_bytes"] = max(facts["peak_bytes"], *(run["peak_bytes"] for run in runs))
    row["rates"] = {name: statistics.fmean(run["rates"][name] for run in runs) for name in populations}
    row["rate"] = sum(run["spikes"] for run in runs) / facts["neurons"] / (len(runs) * milliseconds / 1000)
    row["cv"] = {name: statistics.fmean(run["cv"][name] for run in runs) for name in runs[0]["cv"]}
    print(label, {key: row[key] for key in ("median_s", "real_time_factor", "events_per_s", "rate")}, flush=True)
    return row


def compared(rows: Rows, of: str, over: str) -> Facts:
    """Events a second of one over those of another: median, least and greatest ratio of the turns."""
    ours, theirs = (next(row for row in rows if row["label"] == label) for label in (of, over))
    scale = (ours["events_per_s"] * ours["median_s"]) / (theirs["events_per_s"] * theirs["median_s"])
    ratios = [scale * b / a for a, b in zip(ours["turn_s"], theirs["turn_s"], strict=True)]
    return {"of": of, "over": over, "median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def measured(networks: Mapping[str, Mapping[str, Any]], *, ms: float, repeats: int, threads: int) -> Rows:
    """Build, run in turn, summarise."""
    with built(networks, threads) as (workers, facts):
        runs = in_turn(workers, ms, repeats)
        return [summary(label, facts[label], runs[label]) for label in workers]


def brunel(*, small: bool, threads: int) -> Facts:
    """Brunel's network at two sizes; NEST with both of its synapses of constant weight, Brian2 at one size."""
    found, ms = [], 20.0 if small else 500.0
    for neurons, indegree in ((1000, 100),) if small else ((12_500, 1250), (50_000, 1000)):
        size = {"model": "brunel", "neurons": neurons, "indegree": indegree}
        networks: dict[str, Facts] = {"lsm": {"simulator": "lsm", **size}}
        if "NEST" in simulators():
            networks["NEST"] = {"simulator": "NEST", **size}
            networks["NEST, hom_w"] = {"simulator": "NEST", **size, "synapse": "static_synapse_hom_w"}
        if shutil.which("uv") and not small and neurons < 20_000:  # it compiles, in an environment made by uv
            networks["Brian2"] = {"simulator": "Brian2", **size, "stretch": ms}
        rows = measured(networks, ms=ms, repeats=1 if small else 5, threads=threads)
        ratios = [compared(rows, "lsm", other) for other in networks if other != "lsm"]
        found.append({"neurons": neurons, "indegree": indegree, "rows": rows, "ratios": ratios})
    return {"networks": found}


def microcircuit(*, small: bool, threads: int) -> Facts:
    """The microcircuit at a scale that NEST holds in 6 GB: rates under the same drive, and speed."""
    scale = 0.02 if small else 0.5
    size = {"model": "microcircuit", "scale": scale, "watched": 10**9}
    networks = {name: {"simulator": name, **size} for name in simulators()}
    rows = measured(networks, ms=20.0 if small else 1000.0, repeats=1 if small else 3, threads=threads)
    return {
        "scale": scale,
        "rows": rows,
        "ratios": [compared(rows, "lsm", other) for other in networks if other != "lsm"],
    }


def full(*, small: bool, threads: int) -> Facts:
    """The microcircuit at full size, ours alone; rates beside those published."""
    size = {"simulator": "lsm", "model": "microcircuit", "scale": 0.02 if small else 1.0, "watched": 0}
    rows = measured({"lsm": size}, ms=20.0 if small else 1000.0, repeats=1 if small else 5, threads=threads)
    return {"rows": rows, "published": PUBLISHED}


def growth(*, small: bool, threads: int) -> Facts:
    """Time of one run against the number of neurons, at 1,000 synapses each."""
    indegree = 50 if small else 1000
    sizes = (500, 1000) if small else (12_500, 25_000, 50_000, 100_000, 200_000, 400_000)
    rows: Rows = []
    for simulator in simulators():
        for neurons in sizes:
            if simulator == "NEST" and neurons > 50_000:
                continue
            network = {"simulator": simulator, "model": "brunel", "neurons": neurons, "indegree": indegree}
            repeats, ms = (1, 10.0) if small else (3, 200.0)
            rows += measured({simulator: network}, ms=ms, repeats=repeats, threads=threads)
    slopes = {}
    for simulator in simulators():
        own = [row for row in rows if row["simulator"] == simulator]
        slopes[simulator] = {
            name: slope(own, "neurons", name) for name in ("median_s", "build_s", "peak_bytes") if len(own) > 1
        }
        print(simulator, slopes[simulator], flush=True)
    return {"indegree": indegree, "rows": rows, "slopes": slopes}


def threads_part(*, small: bool, threads: int) -> Facts:
    """Brunel's network on one thread and on two, all in turn."""
    del threads
    size = {"model": "brunel", "neurons": 1000 if small else 50_000, "indegree": 100 if small else 1000}
    networks = {
        f"{simulator}, {n}": {"simulator": simulator, **size, "threads": n}
        for simulator in simulators()
        for n in (1, 2)
    }
    rows = measured(networks, ms=20.0 if small else 200.0, repeats=1 if small else 5, threads=2)
    ratios = [compared(rows, f"{simulator}, 2", f"{simulator}, 1") for simulator in simulators()]
    return {"rows": rows, "ratios": ratios}


def scale(*, small: bool, threads: int) -> Facts:
    """Networks that are large for two cores: a billion synapses, five, and ten that are drawn again at each spike."""
    sizes = {
        "1 M neurons, 1 G synapses": {"neurons": 1_000_000, "indegree": 1000},
        "4 M neurons, 5 G synapses": {"neurons": 4_000_000, "indegree": 1250},
        "10 M neurons, 10 G synapses, procedural": {
            "neurons": 10_000_000,
            "indegree": 1000,
            "by_source": True,
            "procedural": True,
        },
    }
    rows: Rows = []
    for label, size in sizes.items():
        if small:
            size = {**size, "neurons": size["neurons"] // 2000, "indegree": 50}
        network = {"simulator": "lsm", "model": "brunel", "watched": 0, **size}
        repeats, ms = (1, 5.0) if small else (3, 20.0 if "procedural" in size else 50.0)
        rows += measured({label: network}, ms=ms, repeats=repeats, threads=threads)
    return {"rows": rows}


PARTS: dict[str, Callable[..., Facts]] = {
    "brunel": brunel,
    "microcircuit": microcircuit,
    "full": full,
    "growth": growth,
    "threads": threads_part,
    "scale": scale,
}


def main() -> None:
    """Run the parts asked for and write `results/lsm.json` after each."""
    options, wanted, figures = parsed_parts(parser_of(__doc__ or ""), "lsm", PARTS)
    for name in wanted:
        start = time.perf_counter()
        figures[name] = PARTS[name](small=options.small, threads=options.threads)
        write_results("lsm", figures, options)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
