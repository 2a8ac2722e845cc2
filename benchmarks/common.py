"""Timing side by side, and result files.

Every benchmark writes `results/NAME.json`: the machine, the command, and figures. Peers run in turn with ours
(A B A B ...) in one process, and what is compared is the ratio of medians; absolute times belong to the machine named.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ddp_utils import environment

RESULTS = Path(__file__).parent / "results"
REPEATS = 9


def parser_of(description: str) -> argparse.ArgumentParser:
    """`--small` checks that the script works; `--out` says where the figures go."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes, for a test of the script itself")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result file")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch, numba and faiss")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, with as many threads in use as they say."""
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def arguments(description: str) -> argparse.Namespace:
    """The options of a script that adds none."""
    return parsed(parser_of(description))


def parsed_parts(
    parser: argparse.ArgumentParser, name: str, parts: Iterable[str]
) -> tuple[argparse.Namespace, list[str], dict[str, Any]]:
    """Options of a script of several parts, with `--only`: also which parts to run, and the figures that stand."""
    known = list(parts)
    parser.add_argument("--only", default=",".join(known), help="parts to run, with commas between; others stay")
    options = parsed(parser)
    wanted = options.only.split(",")
    for part in wanted:
        if part not in known:
            parser.error(f"--only: no part {part!r}; there are {', '.join(known)}")
    before = options.out / f"{name}.json"
    return options, wanted, json.loads(before.read_text(encoding="utf-8")) if before.exists() else {}


def interleaved(work: Mapping[str, Callable[[], object]], *, repeats: int = REPEATS) -> dict[str, dict[str, float]]:
    """Time functions in turn, after one uncounted round.

    Returns:
        Name to median, least and greatest seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_number in range(repeats + 1):
        for name, function in work.items():
            start = time.perf_counter()
            function()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return {
        name: {"median_s": statistics.median(values), "min_s": min(values), "max_s": max(values)}
        for name, values in seconds.items()
    }


def peak_mib(work: Callable[[], object]) -> float | None:
    """Memory that a function takes at most beyond what was in use before; None where the system does not say."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None

    def kib(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    work()  # what is loaded or compiled once is not the work's
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # freed memory goes back, or the work would seem to take none
    reset.write_text("5")  # begin the peak anew
    before = kib("VmRSS")
    work()
    return (kib("VmHWM") - before) / 1024


def slope(rows: Sequence[Mapping[str, Any]], size: str, figure: str) -> float:
    """Log-log slope of a figure against a size, by least squares."""
    x, y = (np.log([row[name] for row in rows]) for name in (size, figure))
    return float(np.polyfit(x, y, 1)[0])


def write_results(name: str, figures: dict[str, Any], options: argparse.Namespace) -> Path:
    """Write a result file with the machine and the command."""
    facts = environment()
    machine = f"{facts['processor']}, {options.threads} threads of {facts['cpus']} cores"
    command = f"uv run --group bench python benchmarks/{name}.py" + (" --small" if options.small else "")
    document = {**figures, "command": command, "machine": machine, "packages": facts["packages"]}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(path)
    return path
