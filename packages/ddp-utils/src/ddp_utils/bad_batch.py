"""A budget for batches that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ddp_utils.distributed import any_true, gather_objects

log = logging.getLogger("ddp_utils")


class TooManyBadBatchesError(RuntimeError):
    """More batches were unusable than the budget allows."""


class BadBatchBudget:
    """Skip the odd bad batch by agreement of all processes, and stop when they are no longer odd.

    Args:
        fraction: allowed share of bad steps, 0 to 1. At least one bad step is always allowed.

    Raises:
        ValueError: the fraction is out of range.
    """

    def __init__(self, fraction: float = 0.001) -> None:
        if not 0 <= fraction <= 1:
            raise ValueError(f"BadBatchBudget: fraction must lie in [0, 1], got {fraction}")
        self.fraction = fraction
        self.steps = 0
        self.skipped = 0

    def should_skip(self, bad: bool, *, ids: Sequence[int | str] = (), reason: str = "non-finite loss") -> bool:
        """Count a step; every process calls it once a step, before gradients are exchanged.

        Args:
            bad: this process's batch cannot be used.
            ids: which records this process's batch holds; logged if it is bad.
            reason: what is wrong with it.

        Returns:
            True in every process if the batch of any is bad: none takes the step.

        Raises:
            TooManyBadBatchesError: the budget is spent.
        """
        self.steps += 1
        if not any_true(bad):
            return False
        self.skipped += 1
        culprits = [entry for entry in gather_objects((reason, list(ids)[:16]) if bad else None) if entry]
        log.warning("step skipped (%d of %d so far): %s", self.skipped, self.steps, _describe(culprits))
        if self.skipped > max(1, self.fraction * self.steps):
            raise TooManyBadBatchesError(
                f"{self.skipped} of {self.steps} steps had a bad batch, more than the budget of {self.fraction:.2%}; "
                f"last: {_describe(culprits)}. Check the data, lower the learning rate or raise the budget"
            )
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {"steps": self.steps, "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.steps, self.skipped = state["steps"], state["skipped"]


def _describe(culprits: Sequence[tuple[str, list[int | str]]]) -> str:
    return "; ".join(f"{reason}, records {ids}" if ids else reason for reason, ids in culprits)
