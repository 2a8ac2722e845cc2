"""Delayed match to sample: remember a stimulus over a delay.

Shapes: B rows, T trials.

References:
    Fuster, Alexander (1971), Neuron activity related to short-term memory, Science 173.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evosnn.tasks.numpy_streams import uniform_rows
from evosnn.tasks.task import Arrays, Discrete, Task, pick


class DelayedMatch(Task):
    """Tell whether a test stimulus matches (1) the sample seen some steps before, or not (0).

    A trial: the sample (-1 or 1 in the first observation), a delay of 1 to `longest_delay` steps without input, the
    test (-1 or 1 in the second observation), where the action is the answer, and rest. Reward 1 for a right answer, -1
    for a wrong one, 0 elsewhere; the score is the share of right answers. The four pairs of sample and test are equally
    likely, so neither alone tells the answer: without memory the expected score is 1/2.

    Args:
        trials: T, >= 1.
        longest_delay: in steps, >= 1.
    """

    name = "DelayedMatch"
    observation_low = (-1.0, -1.0)
    observation_high = (1.0, 1.0)
    actions = Discrete(2)
    solved = 0.9
    fixed_length = True

    def __init__(self, trials: int = 20, longest_delay: int = 3) -> None:
        if trials < 1 or longest_delay < 1:
            raise ValueError(f"DelayedMatch: trials and longest_delay must be >= 1, got {trials} and {longest_delay}")
        self.trials, self.longest_delay = trials, longest_delay
        self._slot = longest_delay + 3
        self.max_steps = trials * self._slot

    def settings(self) -> dict[str, Any]:
        """Name and options."""
        return {"name": self.name, "trials": self.trials, "longest_delay": self.longest_delay}

    def score(self, return_B: Tensor) -> Tensor:
        """Share of right answers."""
        return (return_B / self.trials + 1) / 2

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        drawn_BT3 = uniform_rows(seeds, 3 * self.trials).reshape(-1, self.trials, 3)
        sign_BT2 = np.where(drawn_BT3[:, :, :2] < 0.5, -1.0, 1.0)
        delay_BT = 1 + (drawn_BT3[:, :, 2] * self.longest_delay).astype(np.int64)
        return {"sample": sign_BT2[:, :, 0].copy(), "test": sign_BT2[:, :, 1].copy(), "delay": delay_BT}

    def _trial(self, xp: ModuleType, state: Arrays) -> tuple[Any, Any, Any, Any]:
        """Step within the trial, the step of its test, its sample and its test, (B,) each."""
        steps_B = state["steps"]
        trial_B = xp.clip(steps_B // self._slot, 0, self.trials - 1)
        sample_B, test_B, delay_B = (pick(state[name], trial_B) for name in ("sample", "test", "delay"))
        return steps_B % self._slot, 1 + delay_B, sample_B, test_B

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        within_B, tested_B, sample_B, test_B = self._trial(xp, state)
        right_B = (sample_B == test_B) == (action == 1)
        return {}, xp.where(within_B == tested_B, xp.where(right_B, 1.0, -1.0), 0.0), right_B

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        within_B, tested_B, sample_B, test_B = self._trial(xp, state)
        going_B = state["steps"] < self.max_steps
        sample_B = xp.where(going_B & (within_B == 0), sample_B, 0.0)
        return [sample_B, xp.where(going_B & (within_B == tested_B), test_B, 0.0)]
