"""spikecode: speed and memory beside dense encoders, error over the Fisher bound, vocabularies, damage, growth.

uv run --group bench python benchmarks/spikecode.py
uv run --group bench python benchmarks/spikecode.py --only speed    one part; the others stay as they are
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import spikecode as sc
import torch
from torch import Tensor

from benchmarks.common import interleaved, parsed_parts, parser_of, peak_mib, slope, write_results

os.environ["HF_HUB_OFFLINE"] = "1"
TOKEN = {"dim": 768, "neurons": 2500, "steps": 100}
SMALL_TOKEN = {"dim": 32, "neurons": 200, "steps": 50}
MIB = 2**20


def uniform(n: int, dim: int) -> Tensor:
    """Values in [0, 1], the same each time, both ends among them."""
    x_nD = torch.rand(n, dim, generator=torch.Generator().manual_seed(0))
    x_nD[0], x_nD[-1] = 0, 1
    return x_nD


def others(p_DN: Tensor, steps: int) -> dict[str, Callable[[], object]]:
    """Encoders of other libraries; those of the group `bench` that are installed."""
    found: dict[str, Callable[[], object]] = {}
    if find_spec("snntorch"):
        spikegen = import_module("snntorch.spikegen")
        found["snntorch.spikegen.rate"] = lambda: spikegen.rate(p_DN, num_steps=steps)
    if find_spec("spikingjelly"):
        jelly = import_module("spikingjelly.activation_based.encoding").PoissonEncoder()
        found["spikingjelly PoissonEncoder"] = lambda: torch.stack([jelly(p_DN) for _ in range(steps)])
    return found


def speed(*, small: bool) -> dict[str, Any]:
    """One token at the density of 5%: `SpikeCodec` beside encoders that draw every bin, from rates that are given."""
    size = SMALL_TOKEN if small else TOKEN
    dim, neurons, steps = size["dim"], size["neurons"], size["steps"]
    x_nD = uniform(64, dim)
    codec = sc.SpikeCodec.fit(x_nD, neurons=neurons, steps=steps, density=0.05)
    p_DN = (codec.population.rates(x_nD[1].double()) * codec.dt / 1000).float()
    work: dict[str, Callable[[], object]] = {
        "spikecode, spikes": lambda: codec.encode(x_nD[1:2]),
        "spikecode, counts": lambda: codec.encode_counts(x_nD[1:2]),
        "torch.bernoulli": lambda: torch.bernoulli(p_DN.expand(steps, -1, -1)),
    }
    peers = others(p_DN, steps)
    # Ours first: what the peers free and the allocator keeps would be counted as the next one's.
    memory = {"spikecode, 32 tokens streamed": peak_mib(lambda: [len(part) for part in codec.encode_stream(x_nD[:32])])}
    memory |= {name: peak_mib(function) for name, function in {**work, **peers}.items()}
    repeats = 2 if small else 9
    # Peers apart: the gigabytes that they fill and free would cost whatever comes next its first writes.
    times = interleaved(work, repeats=repeats) | interleaved(peers, repeats=repeats)
    dense = times["torch.bernoulli"]["median_s"]
    rows = [
        {"encoder": name, "peak_mib": memory[name], **figures, "times_faster": dense / figures["median_s"]}
        for name, figures in times.items()
    ]
    return {**size, "density": codec.encode(x_nD[1:2]).density, "rows": rows, "peak_mib": memory}


def error(codec: sc.SpikeCodec, x_nD: Tensor, method: Any = "ml") -> dict[str, Any]:
    """Root mean square error, the bound, and their ratio over all values."""
    decoded_nD = codec.decode_counts(codec.encode_counts(x_nD), method)
    bound_nD = codec.bound(x_nD)
    wrong_nD = decoded_nD.double() - x_nD.double()
    return {
        "neurons": codec.neurons,
        "steps": codec.steps,
        "max_rate": codec.max_rate,
        "scheme": codec.scheme,
        "method": method,
        "rmse": float(wrong_nD.square().mean().sqrt()),
        "bound": float(bound_nD.square().mean().sqrt()),
        "over_bound": float((wrong_nD / bound_nD).square().mean().sqrt()),
    }


def errors(*, small: bool) -> list[dict[str, Any]]:
    """The error of each decoder beside the bound, over N, T and the peak rate."""
    x_nD = uniform(100 if small else 500, 4)
    rows = []
    for neurons in (50, 500) if small else (50, 500, 2500):
        for steps in (10, 100) if small else (10, 100, 1000):
            for rate in (1000.0,) if small else (100.0, 500.0, 1000.0):
                codec = sc.SpikeCodec.fit(x_nD, neurons=neurons, steps=steps, max_rate=rate, sigma=0.02)
                rows += [error(codec, x_nD, method) for method in ("ml", "centre_of_mass")]
    return rows


def slopes(*, small: bool) -> list[dict[str, Any]]:
    """Log-log slopes of the error against what is varied, beside those of theory."""
    x_nD = uniform(100 if small else 500, 4)
    base: dict[str, Any] = {"neurons": 500, "steps": 100, "sigma": 0.02}
    cases = [
        ("poisson", "neurons", (100, 300, 1000), -0.5),
        ("poisson", "steps", (30, 100, 300), -0.5),
        ("poisson", "sigma", (0.02, 0.04, 0.08), 0.5),
        ("rate", "steps", (30, 100, 300), -1.0),
    ]
    rows = []
    for scheme, varied, values, theory in cases:
        found = []
        for value in values:
            size = {**base, varied: value}
            if varied == "sigma":  # as many neurons a unit of the range, on a lattice that has wider margins
                size["neurons"] = round(430 * (1 + 8 * value))
            codec = sc.SpikeCodec.fit(x_nD, **size, scheme=scheme)
            found.append({varied: value, "rmse": error(codec, x_nD)["rmse"]})
        rows.append(
            {
                "scheme": scheme,
                "varied": varied,
                "theory": theory,
                "slope": slope(found, varied, "rmse"),
            }
        )
    return rows


def robustness(*, small: bool) -> list[dict[str, Any]]:
    """Error over the bound of the undamaged code, of damaged trains."""
    x_nD = uniform(16 if small else 64, 16 if small else 64)
    damages: dict[str, dict[str, Any]] = {
        "none": {},
        "10% of neurons dead": {"dead": 0.1},
        "1 Hz background": {"background": 1.0},
        "both": {"dead": 0.1, "background": 1.0},
        "jitter of 2 bins": {"jitter": 2.0},
    }
    rows = []
    for max_rate in (1000.0, 500.0):
        codec = sc.SpikeCodec.fit(x_nD, neurons=100 if small else 500, steps=100, density=0.05, max_rate=max_rate)
        train, bound_nD = codec.encode(x_nD), codec.bound(x_nD)
        for name, damage in damages.items():
            damaged = sc.perturb(train, **damage)
            row: dict[str, Any] = {"damage": name, "max_rate": max_rate}
            told = {"dead": max(1e-3, damage.get("dead", 0)), "background": damage.get("background", 0.0)}
            decoded = {
                "ml": codec.decode(damaged, "ml"),
                "ml_nothing_lost": codec.decode(damaged, "ml", lost=0.0),
                "ml_told": codec.decode(damaged, "ml", **told, lost=0.02 if "jitter" in damage else 0.0),
                "centre_of_mass": codec.decode(damaged, "centre_of_mass"),
            }
            for method, decoded_nD in decoded.items():
                row[method] = float(((decoded_nD - x_nD) / bound_nD).square().mean().sqrt())
            rows.append(row)
    return rows


def identity(*, small: bool) -> list[dict[str, Any]]:
    """The input embeddings of all-MiniLM-L6-v2 through spikes of density 5%: all codes tried, the least T of each N."""
    table_VD = sc.LanguageModel.load("samples:minilm", 0).embeddings_VD
    reports: list[sc.ReconstructionReport] = []

    def keep(report: sc.ReconstructionReport) -> None:
        reports.append(report)
        print(report, flush=True)

    if small:
        sc.smallest_code(table_VD[2000:3000], neurons=(50,), steps=(1, 10), on_report=keep)
    else:
        sc.smallest_code(table_VD, neurons=(20, 50, 100), steps=(1, 2, 3, 5, 10, 20), on_report=keep)
        sc.smallest_code(table_VD, neurons=(100, 2500), steps=(100,), on_report=keep)
    return [asdict(report) for report in reports]


def growth(*, small: bool) -> list[dict[str, Any]]:
    """Seconds to encode and to decode against tokens, dimensions, neurons and bins, with log-log slopes.

    All sizes of a row are timed in turn, so that a machine whose speed drifts slows all of them, and the least time of
    each counts. The least work takes tens of ms: of less, what every call costs would flatten the slopes.
    """
    base = {"tokens": 64, "dim": 128, "neurons": 500, "steps": 128}
    if small:
        base |= {"tokens": 8, "dim": 16}
    factors = (1, 2) if small else (1, 2, 4, 8)
    rows = []
    for varied in base:
        values = [base[varied] * factor for factor in factors]
        work: dict[str, Callable[[], object]] = {}
        for value in values:
            size = {**base, varied: value}
            x_nD = uniform(size["tokens"], size["dim"])
            codec = sc.SpikeCodec.fit(x_nD, neurons=size["neurons"], steps=size["steps"], density=0.05)
            train = codec.encode(x_nD)
            work[f"encode {value}"] = lambda c=codec, x=x_nD: c.encode(x)
            work[f"decode {value}"] = lambda c=codec, t=train: c.decode(t)
        times = interleaved(work, repeats=1 if small else 7)
        row: dict[str, Any] = {"varied": varied, "base": base, "values": values}
        for name in ("encode", "decode"):
            seconds = [times[f"{name} {value}"]["min_s"] for value in values]
            measured = [{varied: value, name: least} for value, least in zip(values, seconds, strict=True)]
            row |= {f"{name}_s": seconds, f"{name}_slope": slope(measured, varied, name)}
        rows.append(row)
    return rows


PARTS = {part.__name__: part for part in (speed, errors, slopes, robustness, growth, identity)}


def main() -> None:
    """Measure the parts asked for and write `results/spikecode.json`."""
    options, names, figures = parsed_parts(parser_of(__doc__ or ""), "spikecode", PARTS)
    for name in names:
        start = time.perf_counter()
        figures[name] = PARTS[name](small=options.small)
        print(f"{name}: {time.perf_counter() - start:.0f} s", figures[name], flush=True)
        write_results("spikecode", figures, options)


if __name__ == "__main__":
    main()
