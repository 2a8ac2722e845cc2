"""Simulators in processes of their own: one line of JSON in, one out, so that each has its own memory and threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GIB, ANSWER = 2**30, "answer: "


class Worker:
    """A simulator that waits between its turns; a context, at whose end it ends.

    Args:
        command: of the process.
        threads: that it may use.
    """

    def __init__(self, command: list[str], threads: int) -> None:
        counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "NUMBA", "OPENBLAS", "MKL")}
        environment = {**os.environ, **counts, "PYNEST_QUIET": "1"}
        self.command = command
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Let it do something and wait for what it says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the answer is missing too
        for line in self.process.stdout:
            if line.startswith(ANSWER):  # what libraries print when they are imported is no answer
                return json.loads(line.removeprefix(ANSWER))
        raise RuntimeError(f"{' '.join(self.command)}: ended with {self.process.wait()} at {do!r}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def serve(handlers: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer the requests of a `Worker`; what libraries print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = handlers[request.pop("do")](**request)
        replies.write(f"{ANSWER}{json.dumps(answer)}\n")
        replies.flush()


class Memory:
    """What this process has come to hold at most since this object was made, in bytes."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # begin the peak anew
        self.before = self._read("VmRSS")

    def peak(self) -> int:
        """Bytes above those at the start, at most."""
        return self._read("VmHWM") - self.before

    @staticmethod
    def _read(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def interval_cv(times: NDArray[np.floating], ids: NDArray[np.integer], *, least: int = 10) -> float:
    """Mean over neurons of the coefficient of variation of their intervals; of those with that many spikes."""
    order = np.lexsort((times, ids))
    times, ids = times[order], ids[order]
    ends = np.flatnonzero(np.diff(ids)) + 1
    found = [np.diff(part) for part in np.split(times, ends) if len(part) >= least]
    return float(np.mean([intervals.std() / intervals.mean() for intervals in found])) if found else float("nan")
