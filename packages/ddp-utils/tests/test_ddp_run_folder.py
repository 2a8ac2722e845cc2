"""One process writes to a run folder at a time."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ddp_utils import RunFolderInUseError, lock_run_folder, write_environment


def test_a_second_writer_is_refused_until_the_first_is_gone_however_it_ends(tmp_path: Path, scripts: Path) -> None:
    command = [sys.executable, str(scripts / "hold_run_folder.py"), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderInUseError, match="another process"), lock_run_folder(tmp_path / "run"):
            pass
        holder.kill()
        holder.wait()
        with lock_run_folder(tmp_path / "run"):
            pass


def test_the_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), lock_run_folder(tmp_path):
        raise RuntimeError("inside")
    with (
        lock_run_folder(tmp_path),
        pytest.raises(RunFolderInUseError),
        lock_run_folder(tmp_path),
    ):
        pass


def test_the_environment_names_what_is_installed(tmp_path: Path) -> None:
    write_environment(tmp_path)
    written = json.loads((tmp_path / "env.json").read_text(encoding="utf-8"))
    assert written["packages"]["torch"] == importlib.metadata.version("torch")
    assert written["packages"]["neuro-ddp-utils"]
    assert written["cpus"] >= 1
    assert len(written["devices"]) == torch.cuda.device_count()
