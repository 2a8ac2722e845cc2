"""What the README shows is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import ddp_utils

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_alone(tmp_path: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(examples) == 1
    subprocess.run([sys.executable, "-W", "error", "-c", examples[0]], cwd=tmp_path, check=True, timeout=60)


def test_the_table_names_every_module_and_only_what_exists() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for modules, _ in rows for name in re.findall(r"`(\w+)`", modules)}
    modules = {path.stem for path in Path(ddp_utils.__file__).parent.glob("*.py")} - {"__init__", "state_tree"}
    assert named == modules
    for _, text in rows:
        for name in re.findall(r"`([A-Za-z_]+)`", text):
            assert name in ddp_utils.__all__, name
