"""A T-maze whose rewarded arm changes sides within the episode: learning within a lifetime is needed.

Shapes: B rows, T trials.

References:
    Soltoggio, Bullinaria, Mattiussi, Duerr, Floreano (2008), Evolutionary advantages of neuromodulated plasticity in
        dynamic, reward-based scenarios, Artificial Life XI: the T-maze with reversals.
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

_BLOCKS = 4
_CORRIDOR, _JUNCTION = 0, 1  # the third step of a trial is home
_STEPS = 3


class TMaze(Task):
    """Turn left (0) or right (1) at a junction, again and again; one arm is rewarded, and which one changes.

    A trial has three steps: corridor (observation 1, 0), junction (0, 1), where the action chooses the arm, and home
    (0, 0); actions elsewhere are ignored. The choice is rewarded with 1 or punished with -1. The first rewarded side is
    drawn, and changes three times: block lengths are (a, b, T/2 - a, T/2 - b), with a and b drawn from T/4 +- T/20. The
    score is the share of rewarded choices.

    **What can solve it.** Nothing that is observed depends on the rewarded side: the reward reaches a network only as
    the modulator of its plasticity. So a network whose plasticity is off, or unmodulated, makes choices that do not
    depend on the side, with whatever working memory, and its expected score is 1/2 exactly; one that always turns the
    same way scores 1/2 in every single episode, since both sides are rewarded equally often. Others scatter around 1/2
    from episode to episode. A learner that needs k wrong choices to turn round scores about 1 - 3.5 k / T: 0.965 for
    k = 1 and T = 100.

    With `reward_observed` the reward is a third observation during the step after the choice. Then working memory
    alone can solve the task (win: stay, lose: shift, held in recurrent activity): that variant does not show that
    plasticity is needed.

    Args:
        trials: T, a multiple of 4, >= 20.
        reward_observed: whether the reward is also seen.
    """

    name = "TMaze"
    actions = Discrete(2)
    solved = 0.9
    fixed_length = True

    def __init__(self, trials: int = 100, *, reward_observed: bool = False) -> None:
        if trials < 20 or trials % _BLOCKS:
            raise ValueError(f"TMaze: trials must be a multiple of {_BLOCKS}, >= 20, got {trials}")
        self.trials, self.reward_observed = trials, reward_observed
        self.max_steps = _STEPS * trials
        self.observation_high = (1.0, 1.0, 1.0) if reward_observed else (1.0, 1.0)
        self.observation_low = tuple(-high for high in self.observation_high)

    def settings(self) -> dict[str, Any]:
        """Name and options."""
        return {"name": self.name, "trials": self.trials, "reward_observed": self.reward_observed}

    def score(self, return_B: Tensor) -> Tensor:
        """Share of rewarded choices."""
        return (return_B / self.trials + 1) / 2

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        drawn_B3 = uniform_rows(seeds, 3)
        quarter, spread = self.trials // 4, self.trials // 20
        first_B, second_B = (quarter - spread + (drawn_B3[:, k] * (2 * spread + 1)).astype(np.int64) for k in (1, 2))
        ends_B3 = np.stack([first_B, second_B, 2 * quarter - first_B], axis=1).cumsum(axis=1)
        changes_BT = (np.arange(self.trials) >= ends_B3[:, :, None]).sum(axis=1)
        side_BT = (changes_BT + (drawn_B3[:, :1] < 0.5)) % 2
        return {"side": side_BT.astype(np.int64), "last": np.zeros(len(drawn_B3))}

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        steps_B = state["steps"]
        trial_B = xp.clip(steps_B // _STEPS, 0, self.trials - 1)
        right_B = pick(state["side"], trial_B) == action
        reward_B = xp.where(steps_B % _STEPS == _JUNCTION, xp.where(right_B, 1.0, -1.0), 0.0)
        return {"last": reward_B}, reward_B, right_B

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        phase_B = state["steps"] % _STEPS
        seen = [xp.where(phase_B == _CORRIDOR, 1.0, 0.0), xp.where(phase_B == _JUNCTION, 1.0, 0.0)]
        return [*seen, state["last"]] if self.reward_observed else seen
