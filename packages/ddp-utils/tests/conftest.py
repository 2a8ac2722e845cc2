"""Settings and helpers of this package's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# examples share function-scoped temporary folders, and the machines that run this are slow at times
settings.register_profile("ddp", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("ddp")

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script of `scripts/` in a fresh interpreter, in the test's temporary folder."""

    def run(name: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", str(SCRIPTS / name), *arguments],
            cwd=tmp_path,
            env=script_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


def script_environment() -> dict[str, str]:
    """One thread a process: the tests run many processes, and fork them."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)}


@pytest.fixture(scope="session")
def scripts() -> Path:
    """Folder of the scripts that tests run in processes of their own."""
    return SCRIPTS
