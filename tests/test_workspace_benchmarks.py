"""The benchmark scripts work, at small sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
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
    "lsm_tasks",
    "lsm_million",
)
NOT_MEASURED = {
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


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nest") is None, reason="NEST is not installed: uv sync --group bench")
def test_neurons_and_synapses_are_those_of_nest(tmp_path: Path) -> None:
    """Equal rasters in float64; factors and weights that learn to 1e-6 and far below."""
    command = [sys.executable, "benchmarks/lsm_nest_synapses.py", "--small", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "lsm_nest_synapses.json").read_text())
    for name, raster in figures["rasters"].items():
        assert raster["differ"] == 0, name
        assert raster["spikes"] > 300, name
    assert figures["short_term"]["worst_relative_difference"] < 1e-6
    for name, weights in figures["learning"].items():
        assert weights["worst_difference_by_start"] < 1e-6, name
        assert weights["spread_of_weights"] > 1e-3 * weights["start"], name
