"""Pendulum-v1: swing a pendulum up and hold it with a weak motor; equal to Gymnasium's.

Shapes: B rows.

References:
    Gymnasium, envs/classic_control/pendulum.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evosnn.tasks.libm import square_of_libm
from evosnn.tasks.numpy_streams import uniform_rows
from evosnn.tasks.task import Arrays, Box, Task, uniform_between

SPEED_LIMIT, TORQUE_LIMIT, STEP_SECONDS, GRAVITY = 8.0, 2.0, 0.05, 10.0


class Pendulum(Task):
    """Turn a pendulum by a torque in [-2, 2] N m.

    Observation: cosine and sine of the angle (0 is up), angular velocity. Reward, each step:
    -(angle^2 + 0.1 velocity^2 + 0.001 torque^2). 200 steps.
    """

    name = "Pendulum-v1"
    observation_low = (-1.0, -1.0, -SPEED_LIMIT)
    observation_high = (1.0, 1.0, SPEED_LIMIT)
    actions = Box((-TORQUE_LIMIT,), (TORQUE_LIMIT,))
    max_steps = 200
    solved = -200.0
    reward_scale = 1.0 / 16.2736044

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        unit_B2 = uniform_rows(seeds, 2)
        return {
            "theta": uniform_between(unit_B2[:, 0], -math.pi, math.pi),
            "theta_dot": uniform_between(unit_B2[:, 1], -1.0, 1.0),
        }

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        theta_B, theta_dot_B = state["theta"], state["theta_dot"]
        torque_B = xp.clip(action[:, 0], -TORQUE_LIMIT, TORQUE_LIMIT)
        angle_B = (theta_B + math.pi) % (2 * math.pi) - math.pi
        cost_B = square_of_libm(angle_B) + 0.1 * square_of_libm(theta_dot_B)
        cost_B = cost_B + 0.001 * square_of_libm(torque_B)
        turn_B = 3 * GRAVITY / 2.0 * xp.sin(theta_B) + 3.0 * torque_B
        theta_dot_B = xp.clip(theta_dot_B + turn_B * STEP_SECONDS, -SPEED_LIMIT, SPEED_LIMIT)
        new = {"theta": theta_B + theta_dot_B * STEP_SECONDS, "theta_dot": theta_dot_B}
        return new, -cost_B, xp.zeros_like(theta_B) > 0

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        return [xp.cos(state["theta"]), xp.sin(state["theta"]), state["theta_dot"]]
