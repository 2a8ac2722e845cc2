"""`neuro evolve run`: read like a story: evolution, generations, champion, pictures, report."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ddp_utils import Checkpoints, SignalStop, Stopped, process_group, run_on_main, setup_logging
from evosnn import ConnectivityEvolution, Evolution, EvolutionResult
from evosnn.drawing import draw_genome, plot_history, plot_weights, save_figure
from evosnn.film import plot_strip
from evosnn.life import live
from evosnn.reporters import MetricsReporter, TableReporter
from evosnn.tasks.registry import make_task

from neuro.config import to_toml
from neuro.evolve_settings import EvolveRunSettings
from neuro.report import Section, write_report
from neuro.run_folder import REPORT, RunPlan, plan_run, running

GENOME = "best.genome"
log = logging.getLogger("neuro")


def run(
    settings: EvolveRunSettings, *, out: Path | None, resume: str, quiet: bool, tensorboard: bool
) -> dict[str, Any] | None:
    """Evolve in this process or as one of several; returns the summary in the main one, None in the others."""
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("evolve-run", settings, out=out, resume=resume))
        target = settings.target if settings.target is not None else _target_of(settings.task)
        search = _search(settings, str(world.device))
        with running(plan, settings):
            log.info("evolving on %s to %s; run folder %s", settings.task, _said(target), plan.folder)
            result = _generations(search, settings, plan, target, quiet=quiet, tensorboard=tensorboard)
            return finish(settings, plan, result, target) if world.is_main else None


def _search(settings: EvolveRunSettings, device: str) -> Evolution | ConnectivityEvolution:
    """What searches, by the method."""
    common: dict[str, Any] = {"population": settings.population, "seed": settings.seed, "device": device}
    if settings.method == "connectivity":
        return ConnectivityEvolution(settings.task, config=settings.connectivity, **common)
    return Evolution(settings.task, config=settings.evolution, **common)


def _target_of(task: str) -> float | None:
    """The score that counts as solved; None where a task has none."""
    solved = make_task(task).solved
    return solved if abs(solved) < float("inf") else None


def _said(target: float | None) -> str:
    return "no target" if target is None else f"a score of {target:g}"


def _generations(
    search: Evolution | ConnectivityEvolution,
    settings: EvolveRunSettings,
    plan: RunPlan,
    target: float | None,
    *,
    quiet: bool,
    tensorboard: bool,
) -> EvolutionResult:
    if plan.resume not in (None, "auto"):
        checkpoints = Checkpoints(plan.folder / "checkpoints")
        named = checkpoints.load(plan.resume)
        assert named is not None
        checkpoints.save(named.step, named.state)  # the newest here from now on
    reporters = [MetricsReporter(plan.folder, tensorboard=tensorboard)]
    with SignalStop() as stop:
        try:
            return search.run(
                settings.generations,
                target,
                max_episodes=settings.max_episodes or None,
                reporters=reporters if quiet else [*reporters, TableReporter()],
                folder=plan.folder,
                stop=stop,
            )
        except Stopped as stopped:
            raise Stopped(f"{stopped}; resume with --resume auto --out {plan.folder}") from None


def finish(settings: EvolveRunSettings, plan: RunPlan, result: EvolutionResult, target: float | None) -> dict[str, Any]:
    """Write the champion, its pictures and the report."""
    folder, plots = plan.folder, plan.folder / "plots"
    plots.mkdir(exist_ok=True)
    result.best.save(folder / GENOME)
    life = live(result.best, settings.seed)
    pictures = {
        "history": save_figure(plot_history(result.history, target), plots / "history.png"),
        "network": draw_genome(result.best, plots / "network.png"),
        "life": save_figure(plot_strip(life), plots / "life.png"),
    }
    if settings.method == "evolution" and settings.evolution.learns:
        pictures["weights"] = save_figure(plot_weights(life), plots / "weights.png")
    summary = {
        "run": str(folder),
        "task": settings.task,
        "target": target,
        "solved": result.solved,
        "score": result.score,
        "measured_on": result.claimed,
        "generations": result.generations,
        "episodes": result.episodes,
        "neurons": result.best.n_neurons,
        "synapses": result.best.n_enabled,
        "genome": str(folder / GENOME),
        "plots": {name: str(path) for name, path in pictures.items()},
        "report": str(folder / REPORT),
    }
    last = result.history[-1]
    rows = [[name, f"{value:.4g}"] for name, value in last.items()]
    sections = [
        Section("Outcome", text=in_words(summary), pictures=[pictures["history"]]),
        Section("The best network", pictures=[pictures["network"]]),
        Section("An episode of it", pictures=[path for name, path in pictures.items() if name in ("life", "weights")]),
        Section("The last generation", columns=("figure", "value"), rows=rows),
        Section("Settings", preformatted=to_toml(settings)),
    ]
    write_report(folder / REPORT, f"neuro evolve run: {settings.task}", sections)
    return summary


def in_words(summary: dict[str, Any]) -> str:
    """The outcome in a sentence."""
    target = "" if summary["target"] is None else f" (target {summary['target']:g})"
    outcome = "solved" if summary["solved"] else "not solved" if summary["target"] is not None else "done"
    return (
        f"{summary['task']}: {outcome} after {summary['generations']} generations, {summary['episodes']:,} episodes: "
        f"mean score {summary['score']:.4g}{target} of {summary['measured_on']} episodes, "
        f"{summary['neurons']} neurons, {summary['synapses']} synapses"
    )
