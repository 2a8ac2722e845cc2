"""`neuro evolve steer`: read like a story: best constant action, training, judging, report."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
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
    run_on_main,
    setup_logging,
)
from evosnn.agent import Agent
from evosnn.steering import (
    KINDS,
    best_constant,
    compare,
    judge,
    new_agent,
    train_agent,
)
from evosnn.steering_baselines import ConstantAction, RandomActions
from evosnn.steering_together import Steers

from neuro.config import to_toml
from neuro.evolve_plots import steering_comparison, steering_training
from neuro.evolve_settings import EvolveSteerSettings
from neuro.report import Section, write_report
from neuro.run_folder import REPORT, RunPlan, plan_run, running

CONSTANT, RANDOM = "best constant", "random"
COLUMNS = ("agent", "task", "return", "95% interval", "above the best constant", "95% interval")
log = logging.getLogger("neuro")


def steer(
    settings: EvolveSteerSettings, *, out: Path | None, resume: str, quiet: bool, tensorboard: bool
) -> dict[str, Any] | None:
    """Train and judge in this process or as one of several; returns the summary in the main one, None in the others.

    Several processes steer the same evolutions together: each measures a slice of every population.
    """
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("evolve-steer", settings, out=out, resume=resume))
        with running(plan, settings), SignalStop() as stop:
            log.info("run folder %s", plan.folder)
            try:
                run = _Run(settings, plan, stop, str(world.device), quiet, tensorboard)
                constant = run.constant()
                kinds = list(KINDS) if settings.agents == "both" else [settings.agents]
                agents = {kind: run.trained(kind) for kind in kinds}
                rows = run.judged({**agents, CONSTANT: constant})
            except Stopped as stopped:
                raise Stopped(f"{stopped}; resume with --resume auto --out {plan.folder}") from None
            return finish(settings, plan, agents, constant, rows) if world.is_main else None


@dataclass(frozen=True)
class _Run:
    """What the parts of a run have in common. All processes call every part; the main one reads and writes."""

    settings: EvolveSteerSettings
    plan: RunPlan
    stop: SignalStop
    device: str
    quiet: bool
    tensorboard: bool

    def constant(self) -> ConstantAction:
        """The best constant action, kept in the run folder once it is found."""
        path, config = self.plan.folder / "constant.json", self.settings.steering
        known = run_on_main(lambda: _read(path))
        if known:
            return ConstantAction(tuple(json.loads(known)))
        total = 2 * (config.constants - 1) * len(config.train)
        with progress("constant actions", total, unit="evolutions", quiet=self.quiet) as bar:
            found = best_constant(
                config,
                seed=self.settings.seed,
                stop=self.stop,
                report=lambda _: bar.advance(1),
                device=self.device,
            )
        run_on_main(_write, path, json.dumps(found.action))
        return found

    def trained(self, kind: str) -> Agent:
        """An agent, trained or its training gone on with; its file and metrics lie in a folder of its own."""
        folder, config = self.plan.folder / kind.replace(" ", "-"), self.settings.steering
        run_on_main(lambda: folder.mkdir(exist_ok=True))
        agent = new_agent(kind, config, seed=self.settings.seed)
        with progress(f"training the {kind}", config.episodes, unit="evolutions", quiet=self.quiet) as bar:
            lines = _Lines(folder, bar, self.tensorboard)
            train_agent(agent, config, folder=folder / "checkpoints", stop=self.stop, report=lines, device=self.device)
            lines.close()
        run_on_main(agent.save, folder / "agent")
        return agent

    def judged(self, agents: dict[str, Steers]) -> list[dict[str, Any]]:
        """Returns on the test tasks; a run that is resumed keeps those that it had."""
        path, config = self.plan.folder / "judged.jsonl", self.settings.steering
        done = [json.loads(line) for line in run_on_main(lambda: _read(path)).splitlines()]
        agents = {**agents, RANDOM: RandomActions(self.settings.seed)}
        total = len(agents) * config.seeds * len(config.test)
        rows = list(done)
        with progress("judging", total, unit="evolutions", done=len(done), quiet=self.quiet) as bar:

            def keep(row: dict[str, Any]) -> None:
                rows.append(row)
                bar.advance(1)
                run_on_main(_write, path, "".join(json.dumps(each) + "\n" for each in rows))

            return judge(
                agents,
                config,
                seed=self.settings.seed,
                stop=self.stop,
                report=keep,
                done=done,
                device=self.device,
            )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _Lines:
    """Writes `metrics.jsonl` of a training; opened at the first evolution, when it is known which one that is."""

    def __init__(self, folder: Path, bar: Any, tensorboard: bool) -> None:
        self.folder, self.bar, self.tensorboard = folder, bar, tensorboard
        self.log: MetricsLog | None = None

    def __call__(self, figures: dict[str, Any]) -> None:
        episode = figures.pop("episode")
        if self.log is None:
            self.log = MetricsLog(self.folder, resume_step=episode, tensorboard=self.tensorboard)
        self.log.write(episode + 1, **figures)
        self.bar.advance(1)

    def close(self) -> None:
        """Flush the event files."""
        if self.log is not None:
            self.log.close()


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
    _write(plan.folder / "steering.json", json.dumps({**summary, "rows": rows}, indent=1))
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
