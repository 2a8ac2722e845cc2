"""CartPole without velocities as a Gymnasium environment."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evosnn.envs.canvas import BLACK, BLUE, GREY, ORANGE, Canvas
from evosnn.envs.task_env import TaskEnv, TaskVectorEnv
from evosnn.tasks.cart_pole import ANGLE_LIMIT, POSITION_LIMIT, HiddenCartPole

_BOUNDS = (2 * POSITION_LIMIT, 2 * ANGLE_LIMIT)
_WIDTH, _HEIGHT = 600, 400


class HiddenCartPoleEnv(TaskEnv):
    """
    ## Description
    The cart and pole of `CartPole-v1`, step for step, of which only position and angle are seen. The velocities that
    balancing needs must be found from what was seen before.

    ## Action Space
    `Discrete(2)`: push left (0) or right (1) with 10 N.

    ## Observation Space
    `Box(2)`, float32: position of the cart (m, +-4.8), angle of the pole (rad, +-0.418).

    ## Rewards
    1 for every step.

    ## Starting State
    All four hidden values uniform in [-0.05, 0.05]; the same as `CartPole-v1` for the same seed.

    ## Episode End
    Termination: the pole leans more than 12 degrees, or the cart leaves +-2.4 m. Truncation: after 500 steps.

    ## Arguments
    `render_mode`: "rgb_array", "ansi" or None.

    ## Version History
    - v0: first version
    """

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(HiddenCartPole(), _BOUNDS, render_mode)

    def _picture(self) -> NDArray[np.uint8]:
        x, theta = float(self.state["x"][0]), float(self.state["theta"][0])
        canvas = Canvas(_WIDTH, _HEIGHT)
        scale, floor = _WIDTH / (2 * POSITION_LIMIT), 0.75 * _HEIGHT
        cart = _WIDTH / 2 + x * scale
        canvas.line((0, floor), (_WIDTH, floor), GREY)
        canvas.rectangle(cart - 25, floor - 15, cart + 25, floor + 15, BLACK)
        tip = (cart + scale * math.sin(theta), floor - scale * math.cos(theta))
        canvas.line((cart, floor), tip, ORANGE, 10)
        canvas.disc((cart, floor), 5, BLUE)
        return canvas.pixels_HW3

    def _text(self) -> str:
        x, theta = float(self.state["x"][0]), float(self.state["theta"][0])
        place = int(np.clip(round((x / POSITION_LIMIT + 1) * 20), 0, 40))
        track = "." * place + "#" + "." * (40 - place)
        return f"[{track}] x {x:+.3f} m, angle {math.degrees(theta):+.2f} degrees"


class HiddenCartPoleVectorEnv(TaskVectorEnv):
    """Many carts at once; see `HiddenCartPoleEnv`."""

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> None:
        options.pop("max_episode_steps", None)  # make_vec hands it on; the task has the same limit
        super().__init__(HiddenCartPole(**options), _BOUNDS, num_envs, render_mode)
