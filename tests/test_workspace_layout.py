"""What every member has, and who may import whom."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MEMBERS = [*sorted((ROOT / "packages").iterdir()), ROOT / "apps"]
LINE_LIMIT = 320


def pyproject(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def import_folder(folder: Path) -> Path:
    return folder / "src" / pyproject(folder)["tool"]["uv"]["build-backend"]["module-name"]


@pytest.mark.parametrize("folder", MEMBERS, ids=lambda folder: folder.name)
def test_a_member_is_complete(folder: Path) -> None:
    project = pyproject(folder)["project"]
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.11"
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / "README.md").read_text().startswith("# ")
    assert f"## {project['version']}" in (folder / "CHANGELOG.md").read_text()
    assert (import_folder(folder) / "py.typed").exists()
    assert ast.get_docstring(ast.parse((import_folder(folder) / "__init__.py").read_text()))


@pytest.mark.parametrize("folder", MEMBERS, ids=lambda folder: folder.name)
def test_a_member_imports_only_what_it_declares(folder: Path) -> None:
    project = pyproject(folder)["project"]
    extras = itertools.chain.from_iterable(project.get("optional-dependencies", {}).values())
    texts = [*project.get("dependencies", []), *extras]
    declared = {canonicalize_name(Requirement(text).name) for text in texts} | {canonicalize_name(project["name"])}
    homes = dict(importlib.metadata.packages_distributions())  # of installed wheels; members are installed in place
    for member in MEMBERS:
        homes[import_folder(member).name] = [pyproject(member)["project"]["name"]]
    for path in import_folder(folder).rglob("*.py"):
        for name in imported_modules(path) - sys.stdlib_module_names:
            distributions = {canonicalize_name(home) for home in homes.get(name, [])}
            assert distributions & declared, f"{path.relative_to(ROOT)} imports {name}, undeclared by {folder.name}"


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("folder", MEMBERS, ids=lambda folder: folder.name)
def test_no_public_name_is_hidden_by_a_file(folder: Path) -> None:
    """Importing `package.name` the module replaces `package.name` the function: no file may be called like one."""
    stub = import_folder(folder) / "__init__.pyi"
    names = re.findall(r'^    "(\w+)",$', stub.read_text(), re.MULTILINE) if stub.exists() else []
    files = {path.stem for path in import_folder(folder).glob("*.py")}
    assert not files & set(names)


def test_layers() -> None:
    """The import contracts of the root pyproject hold."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ranges_between_members_admit_their_versions() -> None:
    """A published range is a real range, and the workspace's own version lies in it."""
    versions = {pyproject(folder)["project"]["name"]: pyproject(folder)["project"]["version"] for folder in MEMBERS}
    for folder in MEMBERS:
        for text in pyproject(folder)["project"].get("dependencies", []):
            requirement = Requirement(text)
            if requirement.name in versions:
                assert {spec.operator for spec in requirement.specifier} == {">=", "<"}, f"{folder.name}: {text}"
                assert requirement.specifier.contains(versions[requirement.name]), f"{folder.name}: {text}"


def test_no_environment_has_both_builds_of_faiss() -> None:
    """faiss-cpu and faiss-gpu are both `import faiss`: in the lock each use of one excludes the other's platform."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    markers = {"faiss-cpu": set(), "faiss-gpu": set()}
    for package in lock["package"]:
        groups = [package.get("dependencies", []), *package.get("optional-dependencies", {}).values()]
        groups += package.get("dev-dependencies", {}).values()
        for dependency in itertools.chain.from_iterable(groups):
            if dependency["name"] in markers:
                markers[dependency["name"]].add(dependency.get("marker"))
    assert markers["faiss-cpu"] == {"platform_machine != 'x86_64' or sys_platform != 'linux'"}
    assert markers["faiss-gpu"] == {"platform_machine == 'x86_64' and sys_platform == 'linux'"}


def test_files_stay_short() -> None:
    """One concept a file."""
    sources = [path for folder in MEMBERS for path in (folder / "src").rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): n for path in sources if (n := len(path.read_text().splitlines())) > LINE_LIMIT
    }
    assert not long


def test_readme_needs_two_commands() -> None:
    """Set-up is these two lines and nothing else."""
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)
    assert blocks[0].split("\n")[:2] == ["python3 -m pip install uv && uv run neuro quickstart", "uv run pytest"]
    ci = (ROOT / ".ci" / "run").read_text()
    assert "\nuv run pytest\n" in ci


def test_figures_on_the_pages_are_those_of_the_result_files() -> None:
    """Every table is what `benchmarks/tables.py` makes of `benchmarks/results`."""
    done = subprocess.run([sys.executable, "benchmarks/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
