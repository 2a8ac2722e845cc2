"""When a run ends early: no more gain, or a signal."""

from __future__ import annotations

import math
import signal
from types import FrameType
from typing import Any, Literal

from ddp_utils.distributed import any_true


class EarlyStopping:
    """Stop when a figure has not improved for a while.

    Args:
        patience: how many updates without improvement are allowed, >= 1.
        min_delta: least change that counts as improvement, >= 0, in the figure's unit.
        mode: "min" if less is better, "max" if more is.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, patience: int, *, min_delta: float = 0.0, mode: Literal["min", "max"] = "min") -> None:
        if patience < 1 or min_delta < 0 or mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: got patience={patience}, min_delta={min_delta}, mode={mode!r}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best = math.inf if mode == "min" else -math.inf
        self.best_step = -1
        self.misses = 0

    def update(self, figure: float, step: int) -> bool:
        """Take in one figure (the same in every process).

        Args:
            figure: the validation figure; NaN counts as no improvement.
            step: the step it was measured at.

        Returns:
            True if this is the best so far.
        """
        gain = self.best - figure if self.mode == "min" else figure - self.best
        if gain > self.min_delta:
            self.best, self.best_step, self.misses = figure, step, 0
            return True
        self.misses += 1
        return False

    @property
    def should_stop(self) -> bool:
        """True once patience is exhausted."""
        return self.misses >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"best": self.best, "best_step": self.best_step, "misses": self.misses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.best_step, self.misses = state["best"], state["best_step"], state["misses"]


class SignalStop:
    """Turn SIGTERM and SIGINT into a request to stop after the current step.

    A context: inside it a signal only sets a flag; on leaving, the former handlers are back. A second SIGINT
    interrupts at once, for whoever presses Ctrl-C twice.

        with SignalStop() as stop:
            for step in range(steps):
                ...
                if stop.agreed():
                    checkpoint; exit 75
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> SignalStop:
        self._former = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)

    def agreed(self) -> bool:
        """True in every process once any of them has received a signal. Every process calls it at the same step."""
        return any_true(self.received is not None)


class Stopped(Exception):  # noqa: N818 - not an error, the run can go on
    """A run was stopped by a signal after it saved its state. The command line exits with code 75."""
