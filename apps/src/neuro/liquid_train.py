"""`neuro liquid train`: read like a story: task, liquid, states, readout, controls, pictures, report."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import SignalStop, Stopped, atomic_file, process_group, run_on_main, setup_logging
from lsm.controls import expanded, input_states, scrambled
from numpy.typing import NDArray

from neuro.config import ConfigError, to_toml
from neuro.liquid_answers import draw_answers
from neuro.liquid_network import describe_network
from neuro.liquid_readout import answers_of_folds, gain, judge, learn
from neuro.liquid_settings import LiquidTrainSettings
from neuro.liquid_states import read_states, rows_of, take_states
from neuro.liquid_tasks import Task, make_task
from neuro.report import Section, write_report
from neuro.run_folder import REPORT, RunPlan, plan_run, running

READOUT, ANSWERS, STATES, FIGURES = "readout.safetensors", "answers.csv", "states", "train.json"
LIQUID, SCRAMBLED, INPUT, EXPANDED = "liquid", "scrambled liquid", "input alone", "random features of the input"
log = logging.getLogger("neuro")


def train(settings: LiquidTrainSettings, *, out: Path | None, resume: str, quiet: bool) -> dict[str, Any] | None:
    """Train and judge; returns the summary in the main process, None in others."""
    task = make_task(settings.task, instants=settings.readout.instants, seed=settings.seed)
    check_channels(settings, task)
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("liquid-train", settings, out=out, resume=resume))
        with running(plan, settings):
            sizes = f"{len(task.samples)} samples, {len(task.rows_I)} rows"
            log.info("%s: %s; run folder %s", settings.task.name, sizes, plan.folder)
            _run_all(settings, task, plan, quiet=quiet)
    if not world.is_main:
        return None
    with running(plan, settings):  # by itself: readouts would add up the sums of all processes
        return finish(settings, task, plan)


def described(settings: LiquidTrainSettings, task: Task):
    """The liquid's network, with as many input channels as the task has."""
    return describe_network(settings.network, settings.seed, channels=task.n_channels)


def check_channels(settings: LiquidTrainSettings, task: Task) -> None:
    """Refuse a network that cannot take the task's spikes.

    Raises:
        ConfigError: it has no inputs, or another number of channels.
    """
    inputs = [population for population in described(settings, task).populations if population.model is None]
    if not inputs:
        raise ConfigError(f"--network {settings.network.name}: has no input channels for a task; add inputs to it")
    if inputs[0].n != task.n_channels:
        raise ConfigError(
            f"--network {settings.network.name}: its first input, {inputs[0].name!r}, has {inputs[0].n} channels, the "
            f"task {settings.task.name} has {task.n_channels}"
        )


def _run_all(settings: LiquidTrainSettings, task: Task, plan: RunPlan, *, quiet: bool) -> None:
    folder = plan.folder / STATES
    networks = {LIQUID: lambda: described(settings, task)}
    if settings.controls and not _random_already(settings, task):
        networks[SCRAMBLED] = lambda: scrambled(described(settings, task), seed=settings.seed)
    with SignalStop() as stop:
        try:
            for name, network in networks.items():
                take_states(name, network, settings, task, folder, stop, quiet=quiet)
        except Stopped as stopped:
            raise Stopped(f"{stopped}; resume with --resume auto --out {plan.folder}") from None


def _random_already(settings: LiquidTrainSettings, task: Task) -> bool:
    """True if there is nothing to scramble: every projection has random partners."""
    net = described(settings, task)
    return all(a is b for a, b in zip(net.projections, scrambled(net).projections, strict=True))


def finish(settings: LiquidTrainSettings, task: Task, plan: RunPlan) -> dict[str, Any]:
    """Learn, judge beside the controls, write readout, answers, pictures and report."""
    folder = plan.folder
    answers: dict[str, NDArray[Any]] = {}
    rows = []
    targets = task.targets[task.test_rows]
    for name, states_IF in _all_states(settings, task, folder):
        answers[name], penalties = answers_of_folds(states_IF, task, settings.readout)
        row = {**judge(answers[name], targets, name=name), "features": states_IF.shape[1], "penalties": penalties}
        rows.append(row if name == LIQUID else {**row, **gain(answers[LIQUID], answers[name], targets)})
        if name == LIQUID:
            everything = task.folds[0][0] if len(task.folds) == 1 else np.arange(len(task.rows_I))
            learn(states_IF[everything], task.targets[everything], task.groups_I[everything], settings.readout).save(
                folder / READOUT
            )
    _write_answers(folder / ANSWERS, task, answers)
    pictures = draw_answers(task, rows, answers, folder / "plots", described(settings, task), settings)
    summary = {
        "run": str(folder),
        "task": settings.task.name,
        "network": settings.network.name,
        "neurons": described(settings, task).n_neurons,
        "train_rows": len(task.folds[0][0]),
        "test_rows": len(targets),
        "folds": len(task.folds),
        "methods": rows,
        "readout": str(folder / READOUT),
        "answers": str(folder / ANSWERS),
        "plots": {name: str(path) for name, path in pictures.items()},
        "report": str(folder / REPORT),
    }
    with atomic_file(folder / FIGURES) as temporary:
        temporary.write_text(json.dumps(summary, indent=1), encoding="utf-8")
    columns, cells = table(summary)
    sections = [
        Section(
            "Outcome", text=in_words(summary), columns=columns, rows=cells, note=NOTE, pictures=list(pictures.values())
        ),
        Section("Settings", preformatted=to_toml(settings)),
    ]
    write_report(folder / REPORT, f"neuro liquid train: {settings.task.name}", sections)
    shutil.rmtree(folder / STATES)
    return summary


def _all_states(settings: LiquidTrainSettings, task: Task, folder: Path):
    """Name and rows of features of the liquid and its controls, one after the other."""
    yield LIQUID, read_states(folder / STATES, LIQUID, task)
    if not settings.controls:
        return
    if (folder / STATES / SCRAMBLED).is_dir():
        yield SCRAMBLED, read_states(folder / STATES, SCRAMBLED, task)
    durations = task.durations_B.tolist()
    input_BAC = input_states(task.samples, durations, task.n_channels, instants=task.instants, tau=settings.readout.tau)
    yield INPUT, rows_of(input_BAC, task)
    inputs = [p.n for p in described(settings, task).populations if p.model is None]
    n_neurons = described(settings, task).n_neurons - sum(inputs)
    yield EXPANDED, rows_of(expanded(input_BAC, n_neurons, seed=settings.seed), task)


NOTE = (
    "Controls: the same readout on the filtered input alone; on as many random static features of it as the liquid has "
    "neurons; and on the liquid with the same synapses between random partners. Intervals of accuracies: Wilson, 95%; "
    "gains: paired bootstrap over test rows. The ridge's penalty is chosen on training groups only. A "
    "liquid whose partners are all random has no scrambled twin."
)


def table(summary: dict[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    """The methods as the report and the table on the screen show them."""
    rows = []
    labelled = "accuracy" in summary["methods"][0]
    for row in summary["methods"]:
        if labelled:
            figures = [f"{row['accuracy']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"]
        else:
            figures = [f"{row['nrmse']:.3f}", f"{row['capacity']:.2f}"]
        own = (
            [f"{row['gain']:+.3f}", f"{row['gain_low']:+.3f} to {row['gain_high']:+.3f}"]
            if "gain" in row
            else ["-", "-"]
        )
        rows.append([row["method"], f"{row['features']:,}", *figures, *own])
    measures = ("accuracy", "95% interval") if labelled else ("NRMSE", "sum of squared correlations")
    return ("readout of", "features", *measures, "gain of the liquid", "95% interval"), rows


def in_words(summary: dict[str, Any]) -> str:
    """The outcome in a sentence."""
    liquid = summary["methods"][0]
    figure = f"accuracy {liquid['accuracy']:.3f}" if "accuracy" in liquid else f"NRMSE {liquid['nrmse']:.3f}"
    return (
        f"{summary['task']} by {summary['network']} ({summary['neurons']:,} neurons): {figure} on "
        f"{summary['test_rows']:,} test rows in {summary['folds']} fold{'s' if summary['folds'] > 1 else ''}"
    )


def _write_answers(path: Path, task: Task, answers: dict[str, NDArray[Any]]) -> None:
    targets = task.targets[task.test_rows]
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if task.labelled:
            writer.writerow(["row", "target", *answers])
            columns = [targets, *answers.values()]
        else:
            writer.writerow(["row", "target", *answers])
            columns = [targets[:, 0], *(values[:, 0] for values in answers.values())]
        for place, values in zip(
            task.test_rows, zip(*(column.tolist() for column in columns), strict=True), strict=True
        ):
            writer.writerow([task.names_I[place], *values])
