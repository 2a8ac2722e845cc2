"""Sharded state goes through torch.distributed.checkpoint, behind the manifest."""

from __future__ import annotations

import subprocess
from collections.abc import Callable


def test_shards_of_two_processes_are_saved_loaded_and_refused_when_damaged(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_script("sharded_checkpoint.py", "run")
    assert done.returncode == 0, done.stderr[-4000:]
