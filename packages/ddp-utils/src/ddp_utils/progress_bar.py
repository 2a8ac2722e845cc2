"""Progress on stderr: a bar on a terminal, a plain line now and then in a pipe, nothing from the other ranks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ddp_utils.distributed import is_main
from ddp_utils.log import console

SECONDS_BETWEEN_LINES = 5.0


class ProgressBar:
    """What `progress` yields.

    Args:
        description: what is being done.
        total: how many units there are; None where nobody knows.
        unit: what one is called, for example "steps".
        done: how many were done before (a resumed run).
        bar: the rich bar to drive, or None for plain lines.
        shown: False for a bar that nobody sees.
    """

    def __init__(
        self, description: str, total: int | None, unit: str, done: int, bar: Progress | None, shown: bool
    ) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = self._first = done
        self._bar, self._shown = bar, shown
        self._start = self._last_line = time.monotonic()
        self._task = bar.add_task(description, total=total, completed=done, rate="", figures="") if bar else None

    def advance(self, amount: int = 1, **figures: float) -> None:
        """Count units as done and show figures beside the bar.

        Args:
            amount: how many units.
            figures: name to value, shown with four digits.
        """
        self._done += amount
        if not self._shown:
            return
        now = time.monotonic()
        whole = self._total is not None and self._done >= self._total
        rate = (self._done - self._first) / max(now - self._start, 1e-9)
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, rate=f"{rate:,.1f} {self._unit}/s", figures=text)
        elif now - self._last_line >= SECONDS_BETWEEN_LINES or whole:
            self._last_line = now
            counted = f"{self._done} {self._unit}, {rate:,.1f}/s"
            if self._total is not None:
                left = (self._total - self._done) / max(rate, 1e-9)
                counted = f"{self._done}/{self._total} {self._unit}, {rate:,.1f}/s, {left:.0f} s left"
            sys.stderr.write(f"{self._description}: {counted}  {text}".rstrip() + "\n")
            sys.stderr.flush()


@contextlib.contextmanager
def progress(
    description: str, total: int | None, *, unit: str = "steps", done: int = 0, quiet: bool = False
) -> Iterator[ProgressBar]:
    """Show how far a loop is, with its rate and the time left.

    Args:
        description: what is being done.
        total: how many units there are; None where nobody knows.
        unit: what one is called.
        done: how many were done before this call (a resumed run).
        quiet: show nothing.

    Yields:
        A `ProgressBar` to `advance`.
    """
    shown = is_main() and not quiet
    if not (shown and console.is_terminal):
        yield ProgressBar(description, total, unit, done, None, shown)
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", style="dim"),
    ]
    with Progress(*columns, console=console) as bar:
        yield ProgressBar(description, total, unit, done, bar, shown)
