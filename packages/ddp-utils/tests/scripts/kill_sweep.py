"""Kill a run at one point after another of its writing; each time a fresh process must bring it to the same end.

    python kill_sweep.py FOLDER STRIDE:OFFSET[:damage]...

A point lies before and after every fsync, rename, unlink, mkdir and file that is written, and in the middle of files.
Every STRIDE-th point is tried, from OFFSET on, until a run gets through. Processes are forked from this one, which
has imported torch already. With "damage" it is killed a second time, and a bit of the newest checkpoint flipped.
Prints the number of kills of each sweep.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from ddp_utils import tensor_file
from ddp_utils.checkpoint import Checkpoints, verify_checkpoint

STEPS = 5


def arm(countdown: int) -> None:
    """Make this process kill itself at the given point."""

    def point() -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            point()
            result = function(*args, **kwargs)
            point()
            return result

        return wrapped

    def torn(function: Callable[..., Any], path_of: Callable[..., Path]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            point()
            result = function(*args, **kwargs)
            path = path_of(*args)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            point()
            path.write_bytes(whole)
            point()
            return result

        return wrapped

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir"):
        setattr(os, name, around(getattr(os, name)))
    Path.write_text = torn(Path.write_text, lambda path, *_: path)
    setattr(tensor_file, "save_file", torn(safetensors.torch.save_file, lambda _, path: path))  # noqa: B010


def next_state(state: dict[str, Any]) -> dict[str, Any]:
    weights = torch.sin(state["weights"] * 3 + 1)
    return {"weights": weights, "history": (*state["history"], float(weights.sum())), "seen": {1: state["seen"][1] + 1}}


def train(folder: Path, say: Callable[[Any], None]) -> dict[str, Any]:
    """Do the steps that are left, saving each; the third twice, as a run does that is stopped right after a save."""
    checkpoints = Checkpoints(folder, keep=2)
    loaded = checkpoints.load()
    state = loaded.state if loaded else {"weights": torch.arange(4.0), "history": (), "seen": {1: 0}}
    start = loaded.step if loaded else 0
    say(start)
    for step in range(start + 1, STEPS + 1):
        state = next_state(state)
        for _ in range(2 if step == 3 else 1):
            checkpoints.save(step, state, rank_state=step)
            say(step)
    return state


def in_child(work: Callable[[Callable[[Any], None]], None]) -> tuple[int, list[Any]]:
    """Run work in a fork; its wait status and what it said."""
    read, write = os.pipe()

    def say(message: Any) -> None:
        os.write(write, json.dumps(message).encode() + b"\n")

    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            work(say)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = [json.loads(line) for line in pipe]
    return os.waitpid(child, 0)[1], said


def killed_run(folder: Path, countdown: int) -> tuple[bool, int]:
    """Train, killed at the point; whether it got through, and the last step that `save` returned from."""

    def work(say: Callable[[Any], None]) -> None:
        arm(countdown)
        train(folder, say)

    status, said = in_child(work)
    assert status == 0 or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL), status
    return status == 0, said[-1] if said else 0


def resumed_run(folder: Path) -> tuple[int, list[float]]:
    """Train to the end, unharmed; the step it began after and the final state."""

    def work(say: Callable[[Any], None]) -> None:
        state = train(folder, say)
        say([*state["weights"].tolist(), *state["history"], state["seen"][1]])

    status, said = in_child(work)
    assert status == 0, f"the run after the kill failed: {status}"
    return said[0], said[-1]


def flip_a_bit(folder: Path) -> None:
    """Damage the newest checkpoint, if there is an older one to go back to."""
    standing = Checkpoints(folder).steps()
    if len(standing) > 1:
        path = Checkpoints(folder).path(standing[-1]) / "state.safetensors"
        if path.exists():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)


def sweep(root: Path, expected: list[float], stride: int, offset: int, damage: bool) -> int:
    for kills, countdown in enumerate(range(offset, 10_000, stride)):
        folder = root / f"run-{countdown}"
        through, saved = killed_run(folder, countdown)
        if damage:
            killed_run(folder, countdown // 2 + 1)
            flip_a_bit(folder)
        began, end = resumed_run(folder)
        assert damage or began >= saved, f"point {countdown}: step {saved} was saved, the run resumed from {began}"
        assert end == expected, f"point {countdown}: {end} is not {expected}"
        left = sorted(path.name for path in folder.iterdir() if not path.name.startswith("step-") or path.suffix)
        latest = (folder / "latest").read_text(encoding="utf-8").strip()
        if began < STEPS:  # a run that had saved its last step before the kill writes no more
            assert left == ["latest"], f"point {countdown}: left behind {left}"
            assert latest == f"step-{STEPS:08d}", f"point {countdown}: latest is {latest}"
        verify_checkpoint(folder / latest)
        for step in (STEPS - 1, STEPS):
            if not damage:
                verify_checkpoint(Checkpoints(folder).path(step))
        shutil.rmtree(folder)
        if through:
            return kills
    raise AssertionError("no run got through")


root = Path(sys.argv[1])
_, final_state = resumed_run(root / "whole")
for text in sys.argv[2:]:
    every, first, *damaged = text.split(":")
    print(sweep(root, final_state, int(every), int(first), bool(damaged)))
