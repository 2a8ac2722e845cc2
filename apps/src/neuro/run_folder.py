"""Which folder a run lives in, and running a command again as several processes."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuro.config import ConfigError, flat_settings, from_toml, to_toml
from neuro.output import check_writable

RUNS = Path("runs")
CONFIG, MODEL, CODES, REPORT = "config.toml", "model.safetensors", "codes.safetensors", "report.html"
TRAINED = ("vectors.", "bits", "seed", "train.")  # settings that what was trained depends on


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
        ConfigError: a new run would overwrite one that stands, or the path holds no run.
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
        return RunPlan(out or path, "auto" if out in (None, path) else str(_newest_checkpoint(path)))
    if (path / "manifest.json").is_file():
        return RunPlan(out or path.resolve().parent.parent, str(path))
    raise ConfigError(f"--resume {path}: expected auto, never, a run folder or a checkpoint folder")


def _newest_checkpoint(run: Path) -> Path:
    from ddp_utils import Checkpoints

    checkpoints = Checkpoints(run / "checkpoints")
    if not checkpoints.steps():
        raise ConfigError(f"--resume {run}: this run has no checkpoint yet")
    return checkpoints.path(checkpoints.steps()[-1])


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
    beginning = {CONFIG, "env.json", ".lock", "metrics.jsonl"}
    return any(path.name not in beginning for path in folder.iterdir())


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
    named = [out] if path is None else [path, path.resolve().parent.parent]
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
    with atomic_file(plan.folder / CONFIG) as temporary:
        temporary.write_text(to_toml(settings), encoding="utf-8")
    write_environment(plan.folder)


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
        run_on_main(lambda: held.enter_context(lock_run_folder(plan.folder)))
        run_on_main(_open_run, plan, settings)
        try:
            yield
        except KeyboardInterrupt:
            raise Stopped(f"stopped by a signal; resume with --resume auto --out {plan.folder}") from None


def relaunch(arguments: Sequence[str], *, nproc: int) -> None:
    """Run `neuro` with these arguments as several processes and end as they end."""
    from ddp_utils import launch

    code, message = launch("neuro", arguments, nproc=nproc)
    if message:
        sys.stderr.write(f"{'stopped' if code == 75 else 'error'}: {message}\n")
    raise SystemExit(code)


def own_arguments(*, without: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """This command's own arguments, some options (with their values) left out and others added."""
    kept, skip = [], False
    for argument in sys.argv[1:]:
        if skip:
            skip = False
        elif argument in without:
            skip = True
        elif argument.partition("=")[0] not in without:
            kept.append(argument)
    return [*kept, *extra]
