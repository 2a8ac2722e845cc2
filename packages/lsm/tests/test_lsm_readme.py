"""What the README shows is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import lsm

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_alone_and_without_the_extras(tmp_path: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(examples) == 1
    hidden = "import sys; sys.modules |= dict.fromkeys(('matplotlib', 'PIL', 'networkx.drawing'))\n"
    command = [sys.executable, "-W", "error", "-c", hidden + examples[0]]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=280)
    assert not list(tmp_path.iterdir())


def test_the_table_names_every_module_and_public_name() -> None:
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", text[text.index("## Modules") :], re.MULTILINE)
    modules = {name for left, _ in rows for name in re.findall(r"`(\w+)`", left)}
    folder = Path(lsm.__file__).parent
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert modules == found - {"__init__"}
    names = {name for _, right in rows for name in re.findall(r"`(\w+)`", right)}
    assert names == set(lsm.__all__)
