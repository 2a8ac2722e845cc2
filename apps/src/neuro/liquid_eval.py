"""`neuro liquid eval`: a trained readout on samples that it has not seen."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import atomic_file, process_group, progress, setup_logging

from neuro.config import ConfigError, resolve
from neuro.liquid_answers import confusion, memory, methods, series
from neuro.liquid_readout import LinearReadout, judge
from neuro.liquid_settings import LiquidTrainSettings
from neuro.liquid_states import liquid_of, rows_of
from neuro.liquid_tasks import Task, make_task, only_tests
from neuro.liquid_train import READOUT, described
from neuro.run_folder import CONFIG

log = logging.getLogger("neuro")


def evaluate(
    run: Path, out: Path | None, *, assignments: list[str], part: str, device: str | None, quiet: bool
) -> dict[str, Any]:
    """Judge a run's readout.

    Args:
        run: a run folder of `liquid train`.
        out: folder of answers and pictures; RUN/eval by default.
        assignments: changed settings of the task.
        part: names the streams or series that are drawn; with the data of a task of recordings or texts all of them
            are judged.
        device: where the liquid runs; as in the run without it.
        quiet: no progress.

    Raises:
        ConfigError: no run of `liquid train`, or data that is not given anew for a task of recordings or texts.
    """
    settings = load_settings(run, assignments, device)
    with process_group(settings.device):
        setup_logging(quiet=quiet)
        readout = LinearReadout.load(run / READOUT)
        task = _unseen(settings, assignments, part)
        answers = readout.predict(_states(settings, task, quiet=quiet))
        folder = out or run / "eval"
        folder.mkdir(parents=True, exist_ok=True)
        return _finish(settings, task, answers, run, folder)


def load_settings(run: Path, assignments: list[str], device: str | None) -> LiquidTrainSettings:
    """The settings of a run with those of its task that are changed."""
    if not (run / CONFIG).is_file() or not (run / READOUT).is_file():
        raise ConfigError(f"{run}: no {READOUT}: not a run folder of `liquid train`, or its run has not finished")
    other = [text for text in assignments if not text.startswith("task.")]
    if other:
        raise ConfigError(f"--set {other[0]}: only settings of the task (task.*) may be changed here")
    return resolve(LiquidTrainSettings, base=run / CONFIG, assignments=assignments, flags={"device": device})


def _unseen(settings: LiquidTrainSettings, assignments: list[str], part: str) -> Task:
    if part == "train":
        raise ConfigError("--part train: names the streams that the readout was trained on; take another name")
    given = any(text.startswith("task.data=") for text in assignments)
    if settings.task.name in ("digits", "text"):
        if not given:
            raise ConfigError(f"--data: {settings.task.name} needs data that the readout was not trained on")
        return make_task(settings.task, instants=settings.readout.instants, seed=settings.seed, whole=True)
    return only_tests(make_task(settings.task, instants=settings.readout.instants, seed=settings.seed, part=part))


def _states(settings: LiquidTrainSettings, task: Task, *, quiet: bool) -> np.ndarray:
    liquid = liquid_of(described(settings, task), settings, task)
    states_BAN = np.empty((len(task.samples), task.instants, liquid.n_read), np.float32)
    with progress("samples", len(task.samples), unit="samples", quiet=quiet) as bar:
        for row, state_AN in enumerate(liquid.iterate(task.samples, task.durations_B.tolist())):
            states_BAN[row] = state_AN
            bar.advance()
    return rows_of(states_BAN, task)


def _finish(settings: LiquidTrainSettings, task: Task, answers: np.ndarray, run: Path, folder: Path) -> dict[str, Any]:
    row = judge(answers, task.targets, name="liquid")
    pictures = {"methods": methods([row], folder / "methods.png")}
    if task.labelled:
        pictures["confusion"] = confusion(task.targets, answers, folder / "confusion.png")
    elif task.targets.shape[1] == 1:
        pictures["series"] = series(task.targets[:, 0], {"liquid": answers[:, 0]}, folder / "series.png")
    else:
        pictures["memory"] = memory({"liquid": row["memory"]}, folder / "memory.png")
    columns = (task.targets, answers) if task.labelled else (task.targets[:, 0], answers[:, 0])
    with atomic_file(folder / "answers.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "target", "answer"])
        writer.writerows(zip(task.names_I, *(column.tolist() for column in columns), strict=True))
    return {
        "run": str(run),
        "task": settings.task.name,
        **{key: value for key, value in row.items() if key != "method"},
        "answers": str(folder / "answers.csv"),
        "plots": {name: str(path) for name, path in pictures.items()},
    }


def in_words(summary: dict[str, Any]) -> str:
    """The outcome in a sentence."""
    if "accuracy" in summary:
        figure = f"accuracy {summary['accuracy']:.3f} ({summary['low']:.3f} to {summary['high']:.3f})"
    else:
        figure = f"NRMSE {summary['nrmse']:.3f}, memory capacity {summary['capacity']:.2f}"
    return f"{summary['task']}: {figure} on {summary['items']:,} rows"
