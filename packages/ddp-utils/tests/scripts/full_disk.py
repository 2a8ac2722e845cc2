"""Write to a full disk: what stood before must still load.  python full_disk.py FOLDER LIMIT...

A limit is a number of bytes that no file may grow beyond; or 0, where FOLDER is on a small file system.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

import torch
from ddp_utils import Checkpoints, atomic_file, read_tensor_file, write_tensor_file

state = {"weights": torch.arange(4.0)}
big = torch.zeros(2**20)


def write_text(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def fill(folder: Path, limit: int) -> None:
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(1, state)
    write_tensor_file(folder / "file", state, kind="k", version=1, metadata={})
    write_text(folder / "text", "before")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    failures = 0
    for attempt in (
        lambda: checkpoints.save(2, {"weights": big}),
        lambda: checkpoints.save(1, {"weights": big}),
        lambda: checkpoints.save(2, {"text": "x" * 2**20}),
        lambda: write_tensor_file(folder / "file", {"weights": big}, kind="k", version=1, metadata={}),
        lambda: write_text(folder / "text", "x" * 2**20),
    ):
        try:
            attempt()
        except OSError as error:
            failures += 1
            print(error)
    assert failures == 5, failures
    loaded = Checkpoints(folder / "checkpoints").load()
    assert loaded is not None
    assert loaded.step == 1
    assert torch.equal(loaded.state["weights"], state["weights"])
    assert torch.equal(read_tensor_file(folder / "file", kind="k", version=1)[0]["weights"], state["weights"])
    assert (folder / "text").read_text(encoding="utf-8") == "before"
    left = sorted(path.name for path in folder.rglob("*") if "partial" in path.name or "replaced" in path.name)
    assert left == [], left
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    checkpoints.save(2, state)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in sys.argv[2:]:
    fill(Path(sys.argv[1], limit), int(limit))
