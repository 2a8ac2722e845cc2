"""A run that is killed and resumed ends where an uninterrupted one does, on one process and on two."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest


@pytest.mark.slow
def test_killed_and_resumed_training_is_bit_equal_and_the_world_size_does_not_matter(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_script("resumed_training.py", "runs")
    assert done.returncode == 0, done.stderr[-4000:]
