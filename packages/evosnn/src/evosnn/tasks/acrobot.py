"""Acrobot-v1: swing a double pendulum above a line with a motor at its elbow; equal to Gymnasium's.

The motion is chaotic, so sums and products keep the order that Gymnasium's have.

Shapes: B rows.

References:
    Sutton (1996), Generalization in reinforcement learning: successful examples using sparse coarse coding.
    Sutton, Barto (2018), Reinforcement Learning, section 11.3 of the first edition ("book" dynamics).
    Gymnasium, envs/classic_control/acrobot.py.
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
from evosnn.tasks.task import Arrays, Discrete, Task, uniform_between

STEP_SECONDS, GRAVITY, LENGTH, MASS, CENTRE, INERTIA = 0.2, 9.8, 1.0, 1.0, 0.5, 1.0
SPEED_LIMIT_1, SPEED_LIMIT_2 = 4 * math.pi, 9 * math.pi
_NAMES = ("theta1", "theta2", "theta1_dot", "theta2_dot")


def _derivatives(xp: ModuleType, state: list[Any], torque_B: Any) -> list[Any]:
    theta1_B, theta2_B, dtheta1_B, dtheta2_B = state
    cos2_B, sin2_B = xp.cos(theta2_B), xp.sin(theta2_B)
    inertia = MASS * CENTRE**2
    d1_B = inertia + MASS * (LENGTH**2 + CENTRE**2 + 2 * LENGTH * CENTRE * cos2_B) + INERTIA + INERTIA
    d2_B = MASS * (CENTRE**2 + LENGTH * CENTRE * cos2_B) + INERTIA
    phi2_B = MASS * CENTRE * GRAVITY * xp.cos(theta1_B + theta2_B - math.pi / 2.0)
    phi1_B = (
        -MASS * LENGTH * CENTRE * square_of_libm(dtheta2_B) * sin2_B
        - 2 * MASS * LENGTH * CENTRE * dtheta2_B * dtheta1_B * sin2_B
        + (MASS * CENTRE + MASS * LENGTH) * GRAVITY * xp.cos(theta1_B - math.pi / 2)
        + phi2_B
    )
    ddtheta2_B = (
        torque_B + d2_B / d1_B * phi1_B - MASS * LENGTH * CENTRE * square_of_libm(dtheta1_B) * sin2_B - phi2_B
    ) / (inertia + INERTIA - square_of_libm(d2_B) / d1_B)
    ddtheta1_B = -(d2_B * ddtheta2_B + phi1_B) / d1_B
    return [dtheta1_B, dtheta2_B, ddtheta1_B, ddtheta2_B]


def _wrap(xp: ModuleType, angle_B: Any) -> Any:
    """Bring angles to [-pi, pi] by whole turns, one turn at a time."""
    while bool((high_B := angle_B > math.pi).any()):
        angle_B = xp.where(high_B, angle_B - 2 * math.pi, angle_B)
    while bool((low_B := angle_B < -math.pi).any()):
        angle_B = xp.where(low_B, angle_B + 2 * math.pi, angle_B)
    return angle_B


class Acrobot(Task):
    """Apply a torque of -1 (0), 0 (1) or 1 (2) N m at the elbow until the tip is a length above the shoulder.

    Observation: cosine and sine of both angles, both angular velocities. Reward -1 a step and 0 at the end, at most
    500 steps.
    """

    name = "Acrobot-v1"
    observation_low = (-1.0, -1.0, -1.0, -1.0, -5.0, -8.0)
    observation_high = (1.0, 1.0, 1.0, 1.0, 5.0, 8.0)
    actions = Discrete(3)
    max_steps = 500
    solved = -85.0

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        start_B4 = uniform_between(uniform_rows(seeds, 4), -0.1, 0.1).astype(np.float32).astype(np.float64)
        return dict(zip(_NAMES, np.ascontiguousarray(start_B4.T), strict=True))

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        torque_B = action - 1.0
        y = [state[name] for name in _NAMES]
        half = STEP_SECONDS / 2.0
        k1 = _derivatives(xp, y, torque_B)
        k2 = _derivatives(xp, [a + half * b for a, b in zip(y, k1, strict=True)], torque_B)
        k3 = _derivatives(xp, [a + half * b for a, b in zip(y, k2, strict=True)], torque_B)
        k4 = _derivatives(xp, [a + STEP_SECONDS * b for a, b in zip(y, k3, strict=True)], torque_B)
        y = [
            a + STEP_SECONDS / 6.0 * (b1 + 2 * b2 + 2 * b3 + b4)
            for a, b1, b2, b3, b4 in zip(y, k1, k2, k3, k4, strict=True)
        ]
        y[0], y[1] = _wrap(xp, y[0]), _wrap(xp, y[1])
        y[2] = xp.clip(y[2], -SPEED_LIMIT_1, SPEED_LIMIT_1)
        y[3] = xp.clip(y[3], -SPEED_LIMIT_2, SPEED_LIMIT_2)
        terminated_B = -xp.cos(y[0]) - xp.cos(y[1] + y[0]) > 1.0
        return dict(zip(_NAMES, y, strict=True)), xp.where(terminated_B, 0.0, -1.0), terminated_B

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        theta1_B, theta2_B = state["theta1"], state["theta2"]
        turns = [xp.cos(theta1_B), xp.sin(theta1_B), xp.cos(theta2_B), xp.sin(theta2_B)]
        return [*turns, state["theta1_dot"], state["theta2_dot"]]
