"""Running a command again as several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuro.config import ConfigError


def check_processes(nproc: int, device: str) -> None:
    """Refuse one named GPU for several processes.

    Raises:
        ConfigError: the device is cuda:i and nproc more than 1.
    """
    if nproc > 1 and device.startswith("cuda:"):
        raise ConfigError(
            f"--device {device}: one GPU is not shared by --nproc {nproc} processes; use --device cuda, a GPU for each"
        )


def check_single_process(command: str) -> None:
    """Refuse several processes for work that is done by one.

    Raises:
        ConfigError: torchrun has started several.
    """
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if n_processes > 1:
        raise ConfigError(f"{command}: is the work of one process, and {n_processes} were started; leave torchrun out")


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


def relaunch_run(command: str, settings: Any, *, out: Path | None, resume: str, nproc: int) -> None:
    """Run a command that trains as several processes, all in one run folder, and end as they end.

    It returns where there is nothing to launch: for one process, and in a process that was launched.

    Args:
        command: name of the command, as for `plan_run`.
        settings: the resolved settings.
        out: the folder asked for, or None.
        resume: as for `plan_run`.
        nproc: processes on this machine, >= 1.

    Raises:
        ConfigError: as for `plan_run`.
    """
    if nproc == 1:
        return
    from ddp_utils import is_launched

    from neuro.run_folder import plan_run

    if is_launched():
        return
    plan = plan_run(command, settings, out=out, resume=resume)
    extra = ["--out", str(plan.folder), "--resume", plan.resume or "never"]
    relaunch(own_arguments(without=["--nproc", "--out", "--resume"], extra=extra), nproc=nproc)
