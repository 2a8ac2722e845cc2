"""Figures of a run: means over all processes, and the file they are written to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from ddp_utils.atomic import atomic_file
from ddp_utils.distributed import run_on_main


class WeightedMeans:
    """Running weighted means of named figures, reduced over all processes.

        mean_k = sum_r sum_i w_i x_i / sum_r sum_i w_i

    A batch of 3 and a batch of 100 do not count the same, so every figure comes with its weight (its number of
    records). Sums are float64.
    """

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def update(self, figures: dict[str, float], weight: float = 1.0) -> None:
        """Add one observation of each figure.

        Args:
            figures: name to value.
            weight: how many records the values stand for, >= 0.
        """
        for name, value in figures.items():
            total = self._sums.setdefault(name, [0.0, 0.0])
            if weight:  # the mean over no records is NaN, and counts for nothing
                total[0] += weight * float(value)
            total[1] += weight

    def reduce(self) -> dict[str, float]:
        """The means over all processes, in every process; starts anew afterwards.

        Every process must have seen the same names.

        Raises:
            ValueError: processes saw different names (in every process, before any waits for another).
        """
        names = sorted(self._sums)
        sums = torch.tensor([self._sums[name] for name in names], dtype=torch.float64).reshape(-1, 2)
        if dist.is_initialized():
            seen: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(seen, names)
            if any(other != names for other in seen):
                raise ValueError(f"WeightedMeans: processes saw different figures: {seen}")
            dist.all_reduce(sums)
        self._sums = {}
        return {name: (float(s) / float(w) if w else math.nan) for name, (s, w) in zip(names, sums, strict=True)}


class MetricsLog:
    """`metrics.jsonl`: one JSON object a line, each with its step; TensorBoard scalars beside it if asked for.

    All processes make one together.

    Args:
        folder: the run folder.
        resume_step: a run that goes on from this step drops the lines after it, so that the file is the one an
            uninterrupted run would have written.
        tensorboard: also write event files under `tensorboard/`.

    Raises:
        ImportError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, resume_step: int = 0, tensorboard: bool = False) -> None:
        self.path = folder / "metrics.jsonl"
        self._writer = None
        run_on_main(self._open, folder, resume_step, tensorboard)

    def _open(self, folder: Path, resume_step: int, tensorboard: bool) -> None:
        kept = [line for line in read_metrics(folder) if line.get("step", 0) <= resume_step] if resume_step else []
        with atomic_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError("tensorboard is not installed: pip install 'neuro-ddp-utils[tensorboard]'") from error
            self._writer = SummaryWriter(
                str(folder / "tensorboard"), purge_step=resume_step + 1 if resume_step else None
            )

    def write(self, step: int, **figures: float | str) -> None:
        """Append one line and flush it to the operating system.

        All processes call it; the main one writes, and if it cannot, all raise.

        Args:
            step: the step that the figures belong to, >= 0.
            figures: name to value.
        """
        run_on_main(self._append, step, figures)

    def _append(self, step: int, figures: dict[str, float | str]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        if self._writer is not None:
            for name, value in figures.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(name.replace("_", "/", 1), value, step)

    def close(self) -> None:
        """Flush the event files."""
        if self._writer is not None:
            self._writer.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`, in order, up to the first that is not whole; empty if there is none."""
    path = folder / "metrics.jsonl"
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break  # a kill in the middle of a write leaves half a last line
        if isinstance(line, dict):
            lines.append(line)
    return lines
