"""Exclusive or, asked of a network that lives on from question to question.

Shapes: B rows, Q questions.
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

_PATTERNS = 4


class Xor(Task):
    """Answer 1 where two inputs differ, 0 where they agree.

    Each question takes two steps: inputs of -1 or 1, where the action is the answer, and a rest of zeros, where it is
    ignored. All four questions come in each of `rounds` rounds, in an order drawn by the seed. Reward is 1 for a right
    answer and -1 for a wrong one; the score is the share of right answers.

    Args:
        rounds: how often each question is asked, >= 1.
    """

    name = "XOR"
    observation_low = (-1.0, -1.0)
    observation_high = (1.0, 1.0)
    actions = Discrete(2)
    solved = 1.0
    fixed_length = True

    def __init__(self, rounds: int = 2) -> None:
        if rounds < 1:
            raise ValueError(f"XOR: rounds must be >= 1, got {rounds}")
        self.rounds = rounds
        self.max_steps = 2 * _PATTERNS * rounds

    def settings(self) -> dict[str, Any]:
        """Name and options."""
        return {"name": self.name, "rounds": self.rounds}

    def score(self, return_B: Tensor) -> Tensor:
        """Share of right answers."""
        return (return_B / (_PATTERNS * self.rounds) + 1) / 2

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        drawn_BRP = uniform_rows(seeds, _PATTERNS * self.rounds).reshape(-1, self.rounds, _PATTERNS)
        order_BQ = drawn_BRP.argsort(axis=2, kind="stable").reshape(len(drawn_BRP), -1).astype(np.int64)
        return {"order": order_BQ}

    def _inputs(self, xp: ModuleType, state: Arrays) -> tuple[Any, Any]:
        """The two inputs, -1 or 1, or 0 while resting: float64 (B,)."""
        steps_B, order_BQ = state["steps"], state["order"]
        question_B = xp.clip(steps_B // 2, 0, order_BQ.shape[1] - 1)
        pattern_B = pick(order_BQ, question_B)
        asked_B = (steps_B % 2 == 0) & (steps_B < self.max_steps)
        first_B = xp.where(asked_B, (pattern_B % 2) * 2.0 - 1.0, 0.0)
        return first_B, xp.where(asked_B, (pattern_B // 2) * 2.0 - 1.0, 0.0)

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        first_B, second_B = self._inputs(xp, state)
        right_B = (first_B != second_B) == (action == 1)
        return {}, xp.where(first_B == 0, 0.0, xp.where(right_B, 1.0, -1.0)), first_B > 2

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        return list(self._inputs(xp, state))
