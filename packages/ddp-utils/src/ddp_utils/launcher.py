"""Run the command again as several processes of this machine, under torchrun."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

REPORTS = "DDP_UTILS_REPORTS"  # environment: folder where each process of a launched command says how it ended
LAUNCHER = "DDP_UTILS_LAUNCHER"  # environment: process id of the launcher
EXIT_RESUMABLE = 75  # sysexits.h EX_TEMPFAIL: stopped, try again
SHUTDOWN_SECONDS = 120  # time to finish a step and write a checkpoint after a signal


@dataclass(frozen=True)
class ExitReport:
    """How a process ended.

    Args:
        rank: which process.
        code: its exit code.
        message: what it has to say to the user, may be empty.
        time: when, seconds since the epoch; the first failure is the cause, later ones follow from it.
    """

    rank: int
    code: int
    message: str
    time: float


_first_trouble: float | None = None  # when this process began to fail, seconds since the epoch


def note_trouble() -> None:
    """Remember when this process began to fail: leaving the process group makes others fail, and takes time."""
    global _first_trouble
    _first_trouble = _first_trouble or time.time()


def is_launched() -> bool:
    """True in a process that `launch` or torchrun started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def report_exit(code: int, message: str) -> bool:
    """Leave this process's exit code and last words for the launcher, which prints one message for all.

    Args:
        code: the code that the process is about to exit with.
        message: one line for the user.

    Returns:
        False if no launcher of ours listens: the caller prints the message itself.
    """
    folder = os.environ.get(REPORTS)
    if not folder:
        return False
    report = ExitReport(int(os.environ.get("RANK", "0")), code, message, _first_trouble or time.time())
    Path(folder, f"{report.rank}.json").write_text(json.dumps(asdict(report)), encoding="utf-8")
    return True


def launch(module: str, arguments: Sequence[str], *, nproc: int) -> tuple[int, str]:
    """Run `python -m MODULE ARGUMENTS` as nproc processes under torchrun and wait for them.

    SIGTERM and SIGINT are passed on, and the processes get two minutes to finish their step and write a checkpoint.
    The first process that fails decides the exit code and the message; the others are stopped.

    Args:
        module: name of the module to run.
        arguments: its command line.
        nproc: number of processes on this machine, >= 1.

    Returns:
        Exit code and message: 0 and "" if all went well; `EXIT_RESUMABLE` if a signal stopped them and they saved.

    Raises:
        ValueError: nproc is less than 1.
    """
    if nproc < 1:
        raise ValueError(f"launch: nproc must be at least 1, got {nproc}")
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from ddp_utils.run_folder import cpu_count

    _quiet_torchrun()
    threads = max(1, cpu_count() // nproc)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))
    with tempfile.TemporaryDirectory(prefix="ddp-utils-") as folder:
        os.environ.update({REPORTS: folder, LAUNCHER: str(os.getpid())})
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=nproc,
            run_id=Path(folder).name,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=str(Path(folder, "torchrun"))),
        )
        command = [*_python_flags(), "-m", module, *arguments]
        try:
            elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as error:
            reports = _reports(folder)
            rank, exitcode = _first_failure({rank: (f.timestamp, f.exitcode) for rank, f in error.failures.items()})
            last_words = f"process {rank} {_how_it_died(exitcode)}"
            if _was_killed(exitcode) and all(report.rank != rank for report in reports):
                return 1, last_words  # what the others report is that they lost it
            return _verdict(reports, nproc, max(exitcode, 1), last_words)
        except SignalException as error:
            last_words = f"stopped by {signal.Signals(error.sigval).name} before it could save"
            return _verdict(_reports(folder), nproc, 1, last_words)
        finally:
            del os.environ[REPORTS], os.environ[LAUNCHER]
    return 0, ""


def _python_flags() -> list[str]:
    return [f"-W{option}" for option in sys.warnoptions]


def _quiet_torchrun() -> None:
    """Silence torchrun's own reports: the failing process's message is what the user needs."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("torch.distributed.elastic", "torch.distributed.launcher")):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _reports(folder: str) -> list[ExitReport]:
    return [ExitReport(**json.loads(path.read_text(encoding="utf-8"))) for path in Path(folder).glob("*.json")]


def _was_killed(exitcode: int) -> bool:
    return exitcode < 0 and exitcode != -signal.SIGTERM  # SIGTERM is how torchrun stops the others


def _first_failure(failures: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """Rank and exit code of the failure that caused the others, from time (whole seconds) and exit code by rank."""

    def order(rank: int) -> tuple[int, bool, bool]:
        time, exitcode = failures[rank]
        return time, not _was_killed(exitcode), exitcode < 0

    rank = min(failures, key=order)
    return rank, failures[rank][1]


def _verdict(reports: list[ExitReport], nproc: int, code: int, message: str) -> tuple[int, str]:
    """What the processes reported, or the given code and message if they left no word."""
    failures = sorted((report for report in reports if report.code not in (0, EXIT_RESUMABLE)), key=lambda r: r.time)
    if failures:
        return failures[0].code, failures[0].message
    if reports and {report.code for report in reports} == {0} and len(reports) == nproc:
        return 0, ""  # a signal came when all was done
    resumable = [report for report in reports if report.code == EXIT_RESUMABLE]
    if resumable:  # one says so only once all have agreed and the checkpoint stands
        return EXIT_RESUMABLE, next((report.message for report in resumable if report.rank == 0), resumable[0].message)
    return code, message


def _how_it_died(exitcode: int) -> str:
    if exitcode >= 0:
        return f"ended with exit code {exitcode} and no message"
    name = signal.Signals(-exitcode).name
    hint = " (the system ends a process so when memory runs out)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"
