"""CartPole-v1: balance a pole on a cart; equal to Gymnasium's, and a variant that hides the velocities.

Shapes: B rows.

References:
    Barto, Sutton, Anderson (1983), Neuronlike adaptive elements that can solve difficult learning control problems.
    Gymnasium, envs/classic_control/cartpole.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evosnn.tasks.numpy_streams import uniform_rows
from evosnn.tasks.task import Arrays, Discrete, Task, uniform_between

GRAVITY, MASS_POLE, TOTAL_MASS, LENGTH, FORCE, STEP_SECONDS = 9.8, 0.1, 0.1 + 1.0, 0.5, 10.0, 0.02
POLE_MASS_LENGTH = MASS_POLE * LENGTH
ANGLE_LIMIT, POSITION_LIMIT = 12 * 2 * math.pi / 360, 2.4


class CartPole(Task):
    """Push a cart left (0) or right (1) so that the pole on it stays up.

    Observation: position (m), velocity (m/s), angle (rad), angular velocity (rad/s). Reward 1 a step. The episode ends
    when the pole leans more than 12 degrees or the cart leaves +-2.4 m, and after 500 steps.
    """

    name = "CartPole-v1"
    observation_low = (-2.4, -2.0, -0.21, -2.0)
    observation_high = (2.4, 2.0, 0.21, 2.0)
    actions = Discrete(2)
    max_steps = 500
    solved = 475.0

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        start_4B = np.ascontiguousarray(uniform_between(uniform_rows(seeds, 4), -0.05, 0.05).T)
        return dict(zip(("x", "x_dot", "theta", "theta_dot"), start_4B, strict=True))

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        x_B, x_dot_B, theta_B, theta_dot_B = state["x"], state["x_dot"], state["theta"], state["theta_dot"]
        force_B = xp.where(action == 1, FORCE, -FORCE)
        cos_B, sin_B = xp.cos(theta_B), xp.sin(theta_B)
        temp_B = (force_B + POLE_MASS_LENGTH * xp.square(theta_dot_B) * sin_B) / TOTAL_MASS
        theta_acc_B = (GRAVITY * sin_B - cos_B * temp_B) / (
            LENGTH * (4.0 / 3.0 - MASS_POLE * xp.square(cos_B) / TOTAL_MASS)
        )
        x_acc_B = temp_B - POLE_MASS_LENGTH * theta_acc_B * cos_B / TOTAL_MASS
        x_B, x_dot_B = x_B + STEP_SECONDS * x_dot_B, x_dot_B + STEP_SECONDS * x_acc_B
        theta_B, theta_dot_B = theta_B + STEP_SECONDS * theta_dot_B, theta_dot_B + STEP_SECONDS * theta_acc_B
        terminated_B = (abs(x_B) > POSITION_LIMIT) | (abs(theta_B) > ANGLE_LIMIT)
        new = {"x": x_B, "x_dot": x_dot_B, "theta": theta_B, "theta_dot": theta_dot_B}
        return new, xp.ones_like(x_B), terminated_B

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:  # noqa: ARG002
        return [state["x"], state["x_dot"], state["theta"], state["theta_dot"]]


class HiddenCartPole(CartPole):
    """CartPole-v1 of which only position and angle are seen: velocities must be found from what was seen before."""

    name = "HiddenCartPole"
    observation_low = (-2.4, -0.21)
    observation_high = (2.4, 0.21)

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:  # noqa: ARG002
        return [state["x"], state["theta"]]
