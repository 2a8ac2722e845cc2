"""The main job: `neuro quickstart` as a user runs it; its table and its time.

uv run --group bench python benchmarks/quickstart.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import json
import shutil
import subprocess
import tempfile

from benchmarks.common import arguments, write_results

ASSETS = Path(__file__).parents[1] / "docs" / "assets"


def main() -> None:
    """Run the command in a fresh folder and write `results/quickstart.json`."""
    options = arguments(__doc__ or "")
    command = [sys.executable, "-m", "neuro", "quickstart", "--json", "--quiet"]
    if options.small:
        command += ["--limit", "6000", "--set", "train.rounds=2"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)
        answer = json.loads(done.stdout)
        if not options.small:  # the picture of the README
            shutil.copy(Path(folder, answer["run"], "plots", "quality.png"), ASSETS / "quickstart.png")
    searches = {
        query: {space: [hit["word"] for hit in hits] for space, hits in found.items()}
        for query, found in answer["searches"].items()
    }
    figures = {"words": answer["words"], "seconds": answer["seconds"], "scores": answer["scores"], "searches": searches}
    write_results("quickstart", figures, options)


if __name__ == "__main__":
    main()
