"""MountainCar-v0: a car too weak for the slope has to swing up; equal to Gymnasium's.

Shapes: B rows.

References:
    Moore (1990), Efficient memory-based learning for robot control, PhD thesis, University of Cambridge.
    Gymnasium, envs/classic_control/mountain_car.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evosnn.tasks.libm import cos_of_libm
from evosnn.tasks.numpy_streams import uniform_rows
from evosnn.tasks.task import Arrays, Discrete, Task, uniform_between

POSITION_LOW, POSITION_HIGH, SPEED_LIMIT, GOAL, FORCE, GRAVITY = -1.2, 0.6, 0.07, 0.5, 0.001, 0.0025


class MountainCar(Task):
    """Push left (0), not (1) or right (2) until the car reaches the flag.

    Observation: position, velocity. Reward -1 a step, at most 200 steps.
    """

    name = "MountainCar-v0"
    observation_low = (POSITION_LOW, -SPEED_LIMIT)
    observation_high = (POSITION_HIGH, SPEED_LIMIT)
    actions = Discrete(3)
    max_steps = 200
    solved = -110.0

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        position_B = uniform_between(uniform_rows(seeds, 1)[:, 0], -0.6, -0.4)
        return {"position": position_B, "velocity": np.zeros_like(position_B)}

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        velocity_B = state["velocity"] + ((action - 1) * FORCE + cos_of_libm(3 * state["position"]) * (-GRAVITY))
        velocity_B = xp.clip(velocity_B, -SPEED_LIMIT, SPEED_LIMIT)
        position_B = xp.clip(state["position"] + velocity_B, POSITION_LOW, POSITION_HIGH)
        velocity_B = xp.where((position_B == POSITION_LOW) & (velocity_B < 0), 0.0, velocity_B)
        terminated_B = (position_B >= GOAL) & (velocity_B >= 0)
        return {"position": position_B, "velocity": velocity_B}, -xp.ones_like(position_B), terminated_B

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:  # noqa: ARG002
        return [state["position"], state["velocity"]]
