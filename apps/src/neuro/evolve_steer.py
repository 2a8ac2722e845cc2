"""`neuro evolve steer`: read like a story: best constant action, training, judging, report."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from ddp_utils import (
    MetricsLog,
    SignalStop,
    Stopped,
    atomic_file,
    process_group,
    progress,
    read_metrics,
    setup_logging,
)
from evosnn.agent import Agent
from evosnn.steering import (
    KINDS,
    Steers,
    best_constant,
    compare,
    judge,
    new_agent,
    train_agent,
)
from evosnn.steering_baselines import ConstantAction, RandomActions

from neuro.config import to_toml
from neuro.evolve_plots import steering_comparison, steering_training
from neuro.evolve_settings import EvolveSteerSettings
from neuro.report import Section, write_report
from neuro.run_folder import REPORT, RunPlan, plan_run, running

CONSTANT, RANDOM = "best constant", "random"
COLUMNS = ("agent", "task", "return", "95% interval", "above the best constant", "95% interval")
log = logging.getLogger("neuro")


def steer(settings: EvolveSteerSettings, *, out: Path | None, resume: str, quiet: bool) -> dict[str, Any]:
    """Train and judge; returns the summary."""
    with process_group(settings.device):
        setup_logging(quiet=quiet)
        plan = plan_run("evolve-steer", settings, out=out, resume=resume)
        with running(plan, settings), SignalStop() as stop:
            log.info("run folder %s", plan.folder)
            try:
                constant = _constant(settings, plan, stop, quiet=quiet)
                kinds = list(KINDS) if settings.agents == "both" else [settings.agents]
                agents = {kind: _trained(kind, settings, plan, stop, quiet=quiet) for kind in kinds}
                rows = _judged({**agents, CONSTANT: constant}, settings, plan, stop, quiet=quiet)
            except Stopped as stopped:
                raise Stopped(f"{stopped}; resume with --resume auto --out {plan.folder}") from None
            return finish(settings, plan, agents, constant, rows)


def _constant(settings: EvolveSteerSettings, plan: RunPlan, stop: SignalStop, *, quiet: bool) -> ConstantAction:
    """The best constant action, kept in the run folder once it is found."""
    path = plan.folder / "constant.json"
    if path.is_file():
        return ConstantAction(tuple(json.loads(path.read_text(encoding="utf-8"))))
    config = settings.steering
    total = 2 * (config.constants - 1) * len(config.train)
    with progress("constant actions", total, unit="evolutions", quiet=quiet) as bar:
        found = best_constant(config, seed=settings.seed, stop=stop, report=lambda _: bar.advance(1))
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(found.action), encoding="utf-8")
    return found


def _trained(kind: str, settings: EvolveSteerSettings, plan: RunPlan, stop: SignalStop, *, quiet: bool) -> Agent:
    """An agent, trained or its training gone on with; its file and metrics lie in a folder of its own."""
    folder = plan.folder / kind.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    agent = new_agent(kind, settings.steering, seed=settings.seed)
    total = settings.steering.episodes
    with progress(f"training the {kind}", total, unit="evolutions", quiet=quiet) as bar:
        lines = _Lines(folder, bar)
        train_agent(agent, settings.steering, folder=folder / "checkpoints", stop=stop, report=lines)
    agent.save(folder / "agent")
    return agent


class _Lines:
    """Writes `metrics.jsonl` of a training; opened at the first evolution, when it is known which one that is."""

    def __init__(self, folder: Path, bar: Any) -> None:
        self.folder, self.bar = folder, bar
        self.log: MetricsLog | None = None

    def __call__(self, figures: dict[str, Any]) -> None:
        episode = figures.pop("episode")
        if self.log is None:
            self.log = MetricsLog(self.folder, resume_step=episode)
        self.log.write(episode + 1, **figures)
        self.bar.advance(1)


def _judged(
    agents: dict[str, Steers], settings: EvolveSteerSettings, plan: RunPlan, stop: SignalStop, *, quiet: bool
) -> list[dict[str, Any]]:
    """Returns on the test tasks; a run that is resumed keeps those that it had."""
    path = plan.folder / "judged.jsonl"
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    agents = {**agents, RANDOM: RandomActions(settings.seed)}
    total = len(agents) * settings.steering.seeds * len(settings.steering.test)
    rows = list(done)
    with progress("judging", total, unit="evolutions", done=len(done), quiet=quiet) as bar:

        def keep(row: dict[str, Any]) -> None:
            rows.append(row)
            bar.advance(1)
            with atomic_file(path) as temporary:
                temporary.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")

        return judge(agents, settings.steering, seed=settings.seed, stop=stop, report=keep, done=done)


def finish(
    settings: EvolveSteerSettings,
    plan: RunPlan,
    agents: dict[str, Agent],
    constant: ConstantAction,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write figures, pictures and the report."""
    compared = compare(rows, reference=CONSTANT, seed=settings.seed)
    plots = plan.folder / "plots"
    plots.mkdir(exist_ok=True)
    folders = {kind: plan.folder / kind.replace(" ", "-") for kind in agents}
    pictures = [
        steering_comparison(rows, compared, plots / "steering.png"),
        steering_training({kind: read_metrics(folder) for kind, folder in folders.items()}, plots / "training.png"),
    ]
    summary = {
        "run": str(plan.folder),
        "agents": {kind: str(folder / "agent") for kind, folder in folders.items()},
        "constant": list(constant.action),
        "compared": compared,
        "plots": [str(path) for path in pictures],
        "report": str(plan.folder / REPORT),
    }
    with atomic_file(plan.folder / "steering.json") as temporary:
        temporary.write_text(json.dumps({**summary, "rows": rows}, indent=1), encoding="utf-8")
    note = (
        "Return: the improvement of the best score, as a share of what the first generation lacked to the target, less "
        "the cost of the episodes. Intervals: bootstrap over seeds; differences are paired by task and seed."
    )
    sections = [
        Section("Tasks and seeds that were not trained on", columns=COLUMNS, rows=table_rows(summary), note=note),
        Section("Returns", pictures=pictures),
        Section("Settings", preformatted=to_toml(settings)),
    ]
    write_report(plan.folder / REPORT, "neuro evolve steer", sections)
    return summary


def table_rows(summary: dict[str, Any]) -> list[list[str]]:
    """The comparison as the report and the table on the screen show it."""
    rows = []
    for row in summary["compared"]:
        own = [f"{row['mean']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"]
        gap = [f"{row['difference']:+.3f}", f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"]
        rows.append([row["agent"], row["task"], *own, *(["-", "-"] if row["agent"] == CONSTANT else gap)])
    return rows
