"""A launched run ends with the code and the words of the process that failed first, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from ddp_utils import Checkpoints, process_group
from ddp_utils.launcher import LAUNCHER, ExitReport, _first_failure, _verdict, launch


@contextlib.contextmanager
def launched(mode: str, folder: Path, scripts: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(scripts / "launched_run.py"), mode, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(scripts)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=120)
    assert out, err
    code, message = json.loads(out)
    return code, message


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def worker_pids(folder: Path) -> list[int]:
    return [int((folder / f"pid-{i}").read_text(encoding="utf-8")) for i in range(2)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


Runs = dict[str, tuple[Path, "subprocess.Popen[str]"]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, scripts: Path) -> Iterator[Runs]:
    """Three launched runs, started together: they wait for one another's imports anyway."""
    with contextlib.ExitStack() as stack:
        started: Runs = {}
        for mode in ("error", "stopped", "lost"):
            folder = tmp_path_factory.mktemp(mode)
            started[mode] = folder, stack.enter_context(launched(mode, folder, scripts))
        yield started


def test_the_first_failure_gives_code_and_message(runs: Runs) -> None:
    folder, process = runs["error"]
    assert ended(process) == (2, "vectors.txt, line 7: expected 50 numbers")
    assert not any(map(is_alive, worker_pids(folder)))


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_named_with_its_signal(tmp_path: Path, scripts: Path) -> None:
    with launched("killed", tmp_path, scripts) as process:
        code, message = ended(process)
    assert (code, message.partition(" (")[0]) == (1, "process 1 was ended by SIGKILL")
    assert "memory runs out" in message
    assert not any(map(is_alive, worker_pids(tmp_path)))


@pytest.mark.slow
def test_a_launcher_that_is_killed_takes_its_processes_along(runs: Runs) -> None:
    folder, process = runs["lost"]
    assert wait_for((folder / "running").exists, 90)
    process.kill()
    assert wait_for(lambda: not any(map(is_alive, worker_pids(folder))), 5), "the launcher's processes live on"


def test_a_run_that_is_stopped_saves_and_can_go_on(runs: Runs) -> None:
    folder, process = runs["stopped"]
    assert wait_for((folder / "running").exists, 90)
    process.send_signal(signal.SIGTERM)
    code, message = ended(process)
    assert code == 75
    loaded = Checkpoints(folder / "checkpoints").load()
    assert loaded is not None
    assert message == f"stopped after step {loaded.step}; go on with --resume"
    ranks = (loaded.folder / "ranks.json").read_text(encoding="utf-8")
    assert "saved by 0" in ranks
    assert "saved by 1" in ranks


def test_a_process_whose_launcher_is_gone_does_not_wait_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", MagicMock())  # or the test process itself would ask to die with its parent
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", LAUNCHER: str(os.getppid() + 1)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="launcher has ended"), process_group("cpu"):
        pass


def report(rank: int, code: int, at: float) -> ExitReport:
    return ExitReport(rank, code, f"process {rank} says {code}", at)


def test_the_earliest_failure_is_the_cause() -> None:
    reports = [report(0, 1, 9.0), report(1, 2, 8.0), report(2, 75, 7.0), report(3, 0, 6.0)]
    assert _verdict(reports, 2, 1, "none") == (2, "process 1 says 2")
    assert _verdict([report(1, 75, 2.0), report(0, 75, 3.0)], 2, 1, "none") == (75, "process 0 says 75")
    assert _verdict([], 2, 3, "none") == (3, "none")


def test_a_signal_after_all_is_done_is_no_failure() -> None:
    assert _verdict([report(0, 0, 1.0), report(1, 0, 2.0)], 2, 1, "stopped") == (0, "")
    assert _verdict([report(0, 0, 1.0)], 2, 1, "stopped") == (1, "stopped")


def test_a_process_that_was_killed_is_the_cause_of_what_fails_in_the_same_second() -> None:
    assert _first_failure({0: (5, 1), 1: (5, -signal.SIGKILL), 2: (5, -signal.SIGTERM)}) == (1, -signal.SIGKILL)
    assert _first_failure({0: (5, -signal.SIGTERM), 1: (5, 4)}) == (1, 4)
    assert _first_failure({0: (4, 1), 1: (5, -signal.SIGKILL)}) == (0, 1)


def test_no_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        launch("module", [], nproc=0)
