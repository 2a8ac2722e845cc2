"""The benchmark scripts work, at small sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = (
    "sdquant",
    "codecs",
    "binemb",
    "binemb_quality",
    "quickstart",
    "spikecode",
    "spikeformer",
    "spikeformer_quality",
    "evosnn",
    "lsm",
)
NOT_MEASURED = {
    "evosnn": {"growth", "plasticity", "steering"},
    "lsm": {"brunel", "microcircuit", "full", "growth", "threads", "scale"},
    "spikeformer_quality": {"rates"},
}  # parts whose tables say so


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_writes_its_figures(name: str, tmp_path: Path) -> None:
    command = [sys.executable, f"benchmarks/{name}.py", "--small", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / f"{name}.json").read_text())
    published = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    assert written.keys() - published.keys() == NOT_MEASURED.get(name, set())
    assert published.keys() <= written.keys()
