"""`neuro liquid simulate`: read like a story: network, warm-up, chunks, spikes, pictures, report."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import lsm
import numpy as np
from ddp_utils import (
    SignalStop,
    Stopped,
    atomic_file,
    barrier,
    keyed_numpy_generator,
    process_group,
    progress,
    run_on_main,
    setup_logging,
)
from lsm.spike_statistics import interval_variation
from lsm.task_templates import poisson_spikes

from neuro.config import to_toml
from neuro.liquid_network import build_network, held_by_all, in_bytes, synapses_between
from neuro.liquid_pictures import draw_all
from neuro.liquid_settings import LiquidSimulateSettings
from neuro.liquid_spikes import Spikes, joined
from neuro.report import Section, write_report
from neuro.run_folder import REPORT, RunPlan, plan_run, running

PARTS, STATE, SPIKES, SUMMARY = "parts", "state.lsm", "spikes.safetensors", "summary.json"
COLUMNS = ("population", "neurons", "rate, Hz", "silent", "CV of intervals")
log = logging.getLogger("neuro")


def simulate(settings: LiquidSimulateSettings, *, out: Path | None, resume: str, quiet: bool) -> dict[str, Any] | None:
    """Simulate; returns the summary in the main process, None in others."""
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("liquid-simulate", settings, out=out, resume=resume))
        with running(plan, settings):
            sim, seconds = _start(settings, plan)
            log.info("%s neurons; run folder %s", f"{sim.n_neurons:,}", plan.folder)
            facts = {"build_s": seconds, **_go_on(sim, settings, plan, quiet=quiet)}
            sim.save(plan.folder / STATE)
            facts |= held_by_all(sim)
            return finish(settings, plan, sim, facts) if world.is_main else None


def _start(settings: LiquidSimulateSettings, plan: RunPlan) -> tuple[lsm.Simulation, float]:
    """The network at its beginning, warmed up, or as it was when the run was stopped."""
    start = time.perf_counter()
    state, parts = plan.folder / STATE, plan.folder / PARTS
    threads = settings.engine.threads or None
    if plan.resume is not None and state.is_file():
        sim = lsm.load(state, settings.device, threads=threads)
        return sim, time.perf_counter() - start
    run_on_main(lambda: _empty(parts))
    sim = build_network(settings.network, settings.engine, seed=settings.seed, device=settings.device)
    seconds = time.perf_counter() - start
    if settings.warmup:
        sim.run(settings.warmup, _inputs(sim, settings, settings.warmup), record=False)
    return sim, seconds


def _empty(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for part in folder.glob("*.safetensors"):
        part.unlink()


def _inputs(sim: lsm.Simulation, settings: LiquidSimulateSettings, ms: float) -> dict[str, Any]:
    """Poisson trains for the input channels, keyed by when they begin."""
    found = {}
    for population in sim.network.populations:
        if population.model is None:
            rng = keyed_numpy_generator(
                settings.seed, f"inputs of {population.name}", round(sim.time / sim.network.step)
            )
            found[population.name] = poisson_spikes(population.n, settings.input_rate, ms, rng)
    return found


def _go_on(sim: lsm.Simulation, settings: LiquidSimulateSettings, plan: RunPlan, *, quiet: bool) -> dict[str, Any]:
    """Run chunk by chunk, each chunk's spikes in a file; what a killed run wrote behind its state is taken away."""
    folder = plan.folder / PARTS
    origin = _origin(folder, sim.time)
    run_on_main(lambda: _drop_after(folder, sim.time))
    steps = round(settings.ms / sim.network.step)
    done = round((sim.time - origin) / sim.network.step)
    chunk = max(1, round(settings.chunk / sim.network.step))
    events, seconds, simulated = sim.events, 0.0, 0.0
    with SignalStop() as stop, progress("simulating", steps, unit="steps", done=done, quiet=quiet) as bar:
        while done < steps:
            n = min(chunk, steps - done)
            ms, begin, start = n * sim.network.step, sim.time, time.perf_counter()
            recording = sim.run(ms, _inputs(sim, settings, ms))
            seconds += time.perf_counter() - start
            simulated += ms
            part = Spikes(recording.times, recording.ids, recording.sizes, begin, sim.time)
            run_on_main(
                lambda part=part: part.save(folder / f"{round(part.begin / sim.network.step):012d}.safetensors")
            )
            done += n
            bar.advance(n)
            if stop.agreed() and done < steps:
                sim.save(plan.folder / STATE)
                barrier()
                where = f"stopped at {sim.time - origin:g} of {settings.ms:g} ms"
                raise Stopped(f"{where}; resume with --resume auto --out {plan.folder}")
    facts: dict[str, Any] = {"origin": origin, "run_s": seconds}
    if simulated:
        facts |= {"real_time_factor": seconds / simulated * 1000, "events_per_s": (sim.events - events) / seconds}
    return facts


def _origin(folder: Path, now: float) -> float:
    """When the recording began."""
    parts = sorted(folder.glob("*.safetensors"))
    return Spikes.load(parts[0]).begin if parts else now


def _drop_after(folder: Path, now: float) -> None:
    for path in folder.glob("*.safetensors"):
        if Spikes.load(path).begin >= now - 1e-9:
            path.unlink()


def finish(
    settings: LiquidSimulateSettings, plan: RunPlan, sim: lsm.Simulation, facts: dict[str, Any]
) -> dict[str, Any]:
    """Join the parts, draw, report."""
    folder = plan.folder
    places = [population.positions for population in sim.network.populations]
    network = {
        "name": settings.network.name,
        "synapses": [[*pair, n] for pair, n in synapses_between(sim.network).items()],
    }
    spikes = joined(
        [Spikes.load(path) for path in sorted((folder / PARTS).glob("*.safetensors"))],
        positions_N3=None
        if any(place is None for place in places)
        else np.concatenate([p for p in places if p is not None]),
        network=network,
    )
    spikes.save(folder / SPIKES)
    pictures = draw_all(spikes, folder / "plots")
    rows = population_rows(spikes)
    summary = {
        "run": str(folder),
        "network": settings.network.name,
        "neurons": sim.n_neurons,
        "synapses": facts["synapses"],
        "bytes": facts["bytes"],
        "ms": spikes.duration,
        "spikes": len(spikes.times),
        **{key: facts[key] for key in ("build_s", "run_s", "real_time_factor", "events_per_s") if key in facts},
        "populations": rows,
        "files": {"spikes": str(folder / SPIKES), "state": str(folder / STATE)},
        "plots": {name: str(path) for name, path in pictures.items()},
        "report": str(folder / REPORT),
    }
    with atomic_file(folder / SUMMARY) as temporary:
        temporary.write_text(json.dumps(summary, indent=1), encoding="utf-8")
    of_activity = [path for name, path in pictures.items() if name not in ("connectivity", "graph", "layout")]
    of_network = [path for path in pictures.values() if path not in of_activity]
    sections = [
        Section("Outcome", text=in_words(summary)),
        Section("Populations", columns=COLUMNS, rows=table_rows(summary)),
        Section("Activity", pictures=of_activity),
        Section("Network", pictures=of_network),
        Section("Settings", preformatted=to_toml(settings)),
    ]
    write_report(folder / REPORT, f"neuro liquid simulate: {settings.network.name}", sections)
    return summary


def population_rows(spikes: Spikes) -> list[dict[str, Any]]:
    """Rate, share of silent neurons and regularity of each population."""
    counts, rates, first, rows = spikes.counts(), spikes.rates(), 0, []
    for name, n in spikes.sizes.items():
        own = (spikes.ids >= first) & (spikes.ids < first + n)
        variation = interval_variation(spikes.times[own], spikes.ids[own] - first, n)
        known = variation[np.isfinite(variation)]
        silent = float((counts[first : first + n] == 0).mean())
        cv = float(known.mean()) if len(known) else None
        rows.append({"population": name, "neurons": n, "rate": rates[name], "silent": silent, "cv": cv})
        first += n
    return rows


def table_rows(summary: dict[str, Any]) -> list[list[str]]:
    """The populations as the report and the table on the screen show them."""
    return [
        [
            row["population"],
            f"{row['neurons']:,}",
            f"{row['rate']:.2f}",
            f"{row['silent']:.1%}",
            "-" if row["cv"] is None else f"{row['cv']:.2f}",
        ]
        for row in summary["populations"]
    ]


def in_words(summary: dict[str, Any]) -> str:
    """The outcome in a sentence."""
    text = (
        f"{summary['network']}: {summary['neurons']:,} neurons, {summary['synapses']:,} synapses in "
        f"{in_bytes(summary['bytes'])}; {summary['ms']:,.0f} ms with {summary['spikes']:,} spikes"
    )
    if "real_time_factor" in summary:
        text += (
            f" in {summary['run_s']:.1f} s: {summary['real_time_factor']:.2f} s a simulated second, "
            f"{summary['events_per_s'] / 1e6:,.0f} million synaptic events a second"
        )
    return text
