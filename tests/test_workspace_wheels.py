"""Every distribution stands alone: built, installed without the workspace, imported, its README example run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = [*sorted((ROOT / "packages").iterdir()), ROOT / "apps"]
UV = os.environ.get("UV") or shutil.which("uv")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PROBE = """
import importlib, importlib.metadata, json, sys
ours = {}
for name in ("ddp_utils", "sdquant", "binemb", "spikecode", "spikeformer", "evosnn", "lsm", "neuro"):
    try:
        ours[name] = importlib.import_module(name).__file__
    except ModuleNotFoundError:
        pass
installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
print(json.dumps([ours, installed]))
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    parts = [str(part) for part in command]
    done = subprocess.run(parts, capture_output=True, text=True, env=environment, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if UV is None:
        pytest.skip("uv is not on the path: wheels are built and installed with it")
    folder = tmp_path_factory.mktemp("wheels")
    run(UV, "build", "--all-packages", "--wheel", "--out-dir", folder, cwd=ROOT)
    return folder


def test_one_wheel_a_member(wheels: Path) -> None:
    names = {path.name.split("-")[0] for path in wheels.glob("*.whl")}
    assert names >= {pyproject["name"].replace("-", "_") for pyproject in map(project, MEMBERS)}


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("folder", MEMBERS, ids=lambda folder: folder.name)
def test_installs_and_runs_alone(folder: Path, wheels: Path, tmp_path: Path) -> None:
    assert UV is not None
    name = project(folder)["name"]
    run(UV, "venv", "--python", "3.11", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "pip", "install", "--python", python, "--find-links", wheels, name, cwd=tmp_path)
    imported, installed = json.loads(run(python, "-c", PROBE, cwd=tmp_path))
    module = (next((folder / "src").iterdir())).name
    assert module in imported
    versions = {project(member)["name"]: project(member)["version"] for member in MEMBERS}
    for other, path in imported.items():
        assert Path(path).is_relative_to(tmp_path), f"{other} comes from {path}, not from a built wheel"
    for taken in ("ddp-utils", "ddp_utils", "lsm"):
        assert taken not in installed, f"a stranger's {taken} was installed"
    assert all(installed[dist] == version for dist, version in versions.items() if dist in installed)
    if module == "neuro":
        assert "quickstart" in run(tmp_path / "venv" / "bin" / "neuro", "--help", cwd=tmp_path)
        return
    (example,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    run(python, "-W", "error::DeprecationWarning:__main__", "example.py", cwd=tmp_path)
