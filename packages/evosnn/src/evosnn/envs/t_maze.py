"""The T-maze with reversals as a Gymnasium environment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evosnn.envs.canvas import BLUE, GREEN, LIGHT, RED, Canvas
from evosnn.envs.task_env import TaskEnv, TaskVectorEnv
from evosnn.tasks.t_maze import TMaze

_SIZE = 300
_PLACES = ((150.0, 170.0), (150.0, 60.0), (150.0, 250.0))  # corridor, junction, home


class TMazeEnv(TaskEnv):
    """
    ## Description
    An animal walks to the junction of a T-maze again and again, and turns left or right. One arm is rewarded; which
    one changes three times within the episode, and nothing that is observed tells. Only who learns from reward within
    the episode gets more than half of it: a policy that ignores rewards has an expected return of 0.

    ## Action Space
    `Discrete(2)`: turn left (0) or right (1) at the junction; without effect elsewhere.

    ## Observation Space
    `Box(2)`, float32 in [-1, 1]: (1, 0) in the corridor, (0, 1) at the junction, (0, 0) at home. With
    `reward_observed`, `Box(3)`: the last reward comes third, at home.

    ## Rewards
    1 for the rewarded arm, -1 for the other, 0 for steps elsewhere.

    ## Starting State
    In the corridor of the first trial. The seed draws the side that is rewarded first, and when it changes.

    ## Episode End
    Termination after `trials` trials of three steps.

    ## Arguments
    - `trials`: number of trials, a multiple of 4, >= 20; 100 by default.
    - `reward_observed`: whether the reward is also observed. Then memory without plasticity is enough.
    - `render_mode`: "rgb_array", "ansi" or None.

    ## Version History
    - v0: first version
    """

    def __init__(self, trials: int = 100, *, reward_observed: bool = False, render_mode: str | None = None) -> None:
        super().__init__(TMaze(trials, reward_observed=reward_observed), None, render_mode)

    def _where(self) -> tuple[int, int, int]:
        """Trial, phase, and the side that is rewarded."""
        assert isinstance(self.task, TMaze)
        trial, phase = divmod(int(self.state["steps"][0]), 3)
        return trial, phase, int(self.state["side"][0, min(trial, self.task.trials - 1)])

    def _picture(self) -> NDArray[np.uint8]:
        _, phase, side = self._where()
        canvas = Canvas(_SIZE, _SIZE)
        canvas.rectangle(130, 40, 170, 270, LIGHT)
        canvas.rectangle(30, 40, 270, 80, LIGHT)
        canvas.rectangle(30 if side == 0 else 230, 40, 70 if side == 0 else 270, 80, GREEN)
        last = float(self.state["last"][0])
        canvas.disc(_PLACES[phase], 14, BLUE if last == 0 else GREEN if last > 0 else RED)
        return canvas.pixels_HW3

    def _text(self) -> str:
        trial, phase, side = self._where()
        last = float(self.state["last"][0])
        return (
            f"trial {trial}, {('corridor', 'junction', 'home')[phase]}, rewarded {('left', 'right')[side]}, "
            f"last reward {last:+.0f}"
        )


class TMazeVectorEnv(TaskVectorEnv):
    """Many mazes at once; see `TMazeEnv`."""

    def __init__(
        self, num_envs: int = 1, trials: int = 100, *, reward_observed: bool = False, render_mode: str | None = None
    ) -> None:
        super().__init__(TMaze(trials, reward_observed=reward_observed), None, num_envs, render_mode)
