"""An evolution is the same on any number of processes, and goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "scripts"


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / "evolve_ranks.py"), str(tmp_path_factory.mktemp("runs"))],
        env=environment(), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("what", ["standing", "task"])
def test_a_population_of_101_has_one_history_on_one_two_and_three_processes(outcome: dict, what: str) -> None:
    said = {text for texts in outcome[what].values() for text in texts}
    assert len(said) == 1, outcome[what]
    assert len(said.pop()) == 64


def test_killed_at_a_generation_and_resumed_it_has_the_same_history(outcome: dict) -> None:
    assert outcome["killed"] == ["signal 9"]
    assert outcome["resumed"] == outcome["standing"]["1"]


def test_a_finished_run_that_is_resumed_is_left_as_it_is(outcome: dict) -> None:
    assert outcome["resumed_on_two"] == outcome["standing"]["2"]


def test_what_fails_in_one_process_is_heard_in_all(outcome: dict) -> None:
    assert outcome["failed"] == ["RemoteError: process 1: the maze burnt down", "ValueError: the maze burnt down"]


@pytest.mark.slow
def test_a_worker_that_dies_stops_the_run_with_its_message_and_the_run_resumes(tmp_path: Path) -> None:
    launcher = "import sys; from ddp_utils.launcher import launch; print(launch(sys.argv[1], sys.argv[2:], nproc=2))"

    def run(folder: str, call: int) -> list[str]:
        command = [sys.executable, "-W", "error", "-c", launcher, "evolve_ranks", str(tmp_path / folder), str(call)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=250, check=False)
        return done.stdout.splitlines()

    whole = run("whole", 0)
    assert whole[-1] == "(0, '')"
    (said,) = run("killed", 7)
    assert said.startswith("(1, 'process 1 was ended by SIGKILL")
    assert run("killed", 0) == whole
