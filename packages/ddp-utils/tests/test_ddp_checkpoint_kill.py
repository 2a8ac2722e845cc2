"""A run that is killed at any moment of its writing goes on to the same end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


def kills(run_script: RunScript, *sweeps: str) -> list[int]:
    """How many kills each sweep STRIDE:OFFSET[:damage] made; every run went on from each to the same end."""
    done = run_script("kill_sweep.py", "runs", *sweeps, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(line) for line in done.stdout.splitlines()]


def test_a_run_killed_at_many_points_of_its_writing_goes_on(run_script: RunScript) -> None:
    plain, damaged = kills(run_script, "29:1", "61:3:damage")
    assert plain > 5
    assert damaged > 2


@pytest.mark.slow
def test_a_run_killed_at_any_point_of_its_writing_goes_on(run_script: RunScript) -> None:
    assert kills(run_script, "1:1")[0] > 200


@pytest.mark.slow
def test_a_run_killed_twice_at_many_points_with_a_flipped_bit_on_top_goes_on(run_script: RunScript) -> None:
    assert kills(run_script, "3:1:damage")[0] > 70
