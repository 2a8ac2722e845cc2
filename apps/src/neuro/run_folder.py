"""Which folder a run lives in."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddp_utils.atomic import TEMPORARY_PREFIX, remove_leftovers

from neuro.config import ConfigError, flat_settings, from_toml, to_toml
from neuro.output import check_writable

RUNS = Path("runs")
CONFIG, MODEL, CODES, REPORT = "config.toml", "model.safetensors", "codes.safetensors", "report.html"
CODEC = "codec.sdq"
# settings that what was trained depends on
TRAINED = (
    "vectors.",
    "bits",
    "seed",
    "train.",
    "data.",
    "kind",
    "model.",
    "task",
    "population",
    "method",
    "evolution.",
    "connectivity.",
    "steering.",
    "network.",
    "warmup",
    "input_rate",
    "readout.",
    "controls",
    "block",
)
log = logging.getLogger("neuro")


@dataclass(frozen=True)
class RunPlan:
    """Where a run goes and where it starts.

    Args:
        folder: the run folder.
        resume: None for a fresh start, "auto" for the folder's newest checkpoint, or a checkpoint's path.
    """

    folder: Path
    resume: str | None


def plan_run(command: str, settings: Any, *, out: Path | None, resume: str) -> RunPlan:
    """Decide on a run folder.

    Args:
        command: name of the command, part of a new folder's name.
        settings: the resolved settings.
        out: the folder asked for, or None.
        resume: "auto" goes on with `out`, or else with the newest unfinished run of these settings, or starts a new
            one; "never" starts a new one; a path is a run folder or a checkpoint in one.

    Raises:
        ConfigError: a new run or a branch would overwrite a run that stands, or the path holds no run.
    """
    if resume not in ("auto", "never"):
        return _plan_from_path(Path(resume), out)
    if out is not None:
        check_writable(out / CONFIG)
        if resume == "never" and _holds_work(out):
            raise ConfigError(f"--out {out}: not empty; go on with --resume auto or choose another folder")
        return RunPlan(out, "auto" if resume == "auto" else None)
    if resume == "auto":
        for folder in sorted(RUNS.glob(f"*-{command}*"), reverse=True):
            if not (folder / REPORT).exists() and _same_settings(settings, folder):
                return RunPlan(folder, "auto")
    return RunPlan(_new_folder(command), None)


def _plan_from_path(path: Path, out: Path | None) -> RunPlan:
    if (path / CONFIG).is_file():
        run, checkpoint = path, None
    elif (path / "manifest.json").is_file():
        run, checkpoint = _run_of(path), path
    else:
        raise ConfigError(f"--resume {path}: expected auto, never, a run folder or a checkpoint folder")
    if out is None or out.resolve() == run.resolve():
        return RunPlan(out or run, "auto" if checkpoint is None else str(checkpoint))
    check_writable(out / CONFIG)
    if _holds_work(out):
        raise ConfigError(f"--out {out}: not empty; go on there with --resume auto or branch into another folder")
    return RunPlan(out, str(checkpoint or _newest_checkpoint(run)))


def _run_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint lies in."""
    return checkpoint.resolve().parent.parent


def _newest_checkpoint(run: Path) -> Path:
    from ddp_utils import CheckpointError, Checkpoints, verify_checkpoint

    checkpoints = Checkpoints(run / "checkpoints")
    for step in reversed(checkpoints.steps()):
        try:
            verify_checkpoint(checkpoints.path(step))
        except CheckpointError as error:
            log.warning("damaged checkpoint: %s", error)
        else:
            return checkpoints.path(step)
    state = "every checkpoint is damaged" if checkpoints.steps() else "this run has no checkpoint yet"
    raise ConfigError(f"--resume {run}: {state}; name another run or checkpoint")


def _new_folder(command: str) -> Path:
    base = RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{command}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder


def _holds_work(folder: Path) -> bool:
    """True if there is anything but the beginning of a run that failed before it had trained."""
    if not folder.is_dir():
        return False
    beginning = {CONFIG, "env.json", ".lock", "metrics.jsonl", "tokens"}
    names = (path.name for path in folder.iterdir())
    return any(name not in beginning and not name.startswith(TEMPORARY_PREFIX) for name in names)


def _same_settings(settings: Any, folder: Path) -> bool:
    """True if the folder's run has these settings; the device may differ."""
    try:
        found = from_toml(type(settings), folder / CONFIG)
    except (OSError, ValueError):
        return False  # another release's run, or none: not this one
    return replace(found, device=settings.device) == settings


def resumed_config(out: Path | None, resume: str) -> Path | None:
    """`config.toml` of the run that --resume or --out names to go on with: it holds where the command says nothing."""
    if resume == "never":
        return None
    path = None if resume == "auto" else Path(resume)
    named = [out] if path is None else [path, _run_of(path)]
    return next((folder / CONFIG for folder in named if folder and (folder / CONFIG).is_file()), None)


def check_goes_on(plan: RunPlan, settings: Any) -> None:
    """Refuse to go on with a run under settings that it was not trained with.

    Raises:
        ConfigError: they differ; the message names them.
    """
    if plan.resume is None or not (plan.folder / CONFIG).is_file() or not _holds_work(plan.folder):
        return
    found, wanted = flat_settings(from_toml(type(settings), plan.folder / CONFIG)), flat_settings(settings)
    changed = [key for key in wanted if key.startswith(TRAINED) and wanted[key] != found[key]]
    if changed:
        raise ConfigError(
            f"{plan.folder}: was begun with another {', '.join(changed)}; leave these out to go on, or choose another "
            "--out for a new run"
        )


def _open_run(plan: RunPlan, settings: Any) -> None:
    """Write `config.toml` and `env.json` into the run folder; main process only."""
    from ddp_utils import atomic_file, write_environment

    check_goes_on(plan, settings)
    plan.folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(plan.folder)
    if plan.resume not in (None, "auto"):
        _carry_metrics(Path(plan.resume), plan.folder)
    with atomic_file(plan.folder / CONFIG) as temporary:
        temporary.write_text(to_toml(settings), encoding="utf-8")
    write_environment(plan.folder)


def _carry_metrics(checkpoint: Path, folder: Path) -> None:
    """Give a branch the metrics of the run it comes from, up to the checkpoint's step.

    Raises:
        ConfigError: there are none; CheckpointError: the checkpoint is damaged.
    """
    from ddp_utils import atomic_file, read_metrics, verify_checkpoint

    source = _run_of(checkpoint)
    if source == folder.resolve():
        return
    last = verify_checkpoint(checkpoint)["step"]
    lines = [line for line in read_metrics(source) if line.get("step", 0) <= last]
    if not lines:
        raise ConfigError(
            f"{source / 'metrics.jsonl'}: no lines up to step {last}; --resume a checkpoint in its own run"
        )
    with atomic_file(folder / "metrics.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@contextlib.contextmanager
def running(plan: RunPlan, settings: Any) -> Iterator[None]:
    """Hold the run folder while a run is in it; a signal outside the training loop ends the run resumable too.

    Args:
        plan: the run's folder and start.
        settings: written to the folder.

    Raises:
        ConfigError: the folder's run was begun with other settings.
        RunFolderInUseError: another process writes to the folder.
        Stopped: SIGTERM or SIGINT came while nothing was in training; what was trained is in the checkpoints.
    """
    from ddp_utils import Stopped, lock_run_folder, run_on_main

    with contextlib.ExitStack() as held:
        try:
            run_on_main(lambda: held.enter_context(lock_run_folder(plan.folder)))
            run_on_main(_open_run, plan, settings)
            yield
        except KeyboardInterrupt:
            raise Stopped(f"stopped by a signal; resume with --resume auto --out {plan.folder}") from None


def plan_folder(command: str, out: Path | None) -> Path:
    """Decide on the folder of a run that is never resumed.

    Raises:
        ConfigError: a run stands there, or the folder cannot be written.
    """
    if out is None:
        return _new_folder(command)
    check_writable(out / CONFIG)
    if _holds_work(out):
        raise ConfigError(f"--out {out}: not empty; choose another folder")
    return out


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a run folder for work that is written at its end; where that fails before, no trace of it stays.

    Raises:
        RunFolderInUseError: another process writes to the folder.
    """
    from ddp_utils import lock_run_folder

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with lock_run_folder(folder):
        remove_leftovers(folder)
        try:
            yield
        except BaseException:
            if made and [path.name for path in folder.iterdir()] == [".lock"]:
                with contextlib.suppress(OSError):  # what is not empty stays
                    (folder / ".lock").unlink()
                    for path in made:
                        path.rmdir()
            raise
