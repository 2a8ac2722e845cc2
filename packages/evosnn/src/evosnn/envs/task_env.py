"""A batched task as a Gymnasium environment, alone and as a vector.

Shapes: B environments, O observation values.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.utils.seeding import np_random
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from evosnn.envs.arguments import check_render_mode
from evosnn.tasks.task import Discrete, State, Task


def _next_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**63))


def _action_space(task: Task) -> spaces.Discrete:
    assert isinstance(task.actions, Discrete)
    return spaces.Discrete(task.actions.n)


def _observation_space(task: Task, bounds: tuple[float, ...] | None) -> spaces.Box:
    high_O = np.array(bounds or task.observation_high, np.float32)
    return spaces.Box(-high_O, high_O, dtype=np.float32)


class TaskEnv(gymnasium.Env[Any, Any]):
    """One row of a task with Discrete actions.

    Args:
        task: the task.
        bounds: greatest magnitude of each observation value; the task's scales by default.
        render_mode: "rgb_array", "ansi" or None.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, task: Task, bounds: tuple[float, ...] | None, render_mode: str | None) -> None:
        check_render_mode(self.metadata, render_mode)
        self.task, self.render_mode = task, render_mode
        self.observation_space, self.action_space = _observation_space(task, bounds), _action_space(task)
        self.state: State = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; without a seed, with the next one of the environment's own generator."""
        super().reset(seed=seed, options=options)
        self.state, obs_BO = self.task.reset([_next_seed(self.np_random) if seed is None else seed])
        return obs_BO[0].numpy(), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one step.

        Raises:
            ResetNeeded: there is no episode, or it has ended.
        """
        if not self.state:
            raise gymnasium.error.ResetNeeded(f"{self.task.name}: call reset before step")
        if bool(self.state["over"][0]):
            raise gymnasium.error.ResetNeeded(f"{self.task.name}: the episode has ended, call reset before step")
        self.state, obs_BO, reward_B, terminated_B, truncated_B = self.task.step(
            self.state, torch.tensor([int(action)])
        )
        return obs_BO[0].numpy(), float(reward_B[0]), bool(terminated_B[0]), bool(truncated_B[0]), {}

    def render(self) -> Any:
        """A picture, uint8 (H, W, 3), or a line of text."""
        if not self.state:
            raise gymnasium.error.ResetNeeded(f"{self.task.name}: call reset before render")
        if self.render_mode == "rgb_array":
            return self._picture()
        return self._text() if self.render_mode == "ansi" else None

    def _picture(self) -> NDArray[np.uint8]:
        raise NotImplementedError

    def _text(self) -> str:
        raise NotImplementedError


class TaskVectorEnv(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Many rows of a task as one vector environment: each row as a `TaskEnv` of its own, computed together.

    After the step in which a row ended, its next step begins a new episode (autoreset mode "next step").

    Args:
        task: the task.
        bounds: as for `TaskEnv`.
        num_envs: B, >= 1.
        render_mode: None; a vector draws nothing.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": [],
        "render_fps": 30,
        **(
            {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}
            if hasattr(gymnasium.vector, "AutoresetMode")
            else {}
        ),
    }

    def __init__(
        self, task: Task, bounds: tuple[float, ...] | None, num_envs: int, render_mode: str | None = None
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"{task.name}: num_envs must be >= 1, got {num_envs}")
        check_render_mode(self.metadata, render_mode)
        self.task, self.num_envs, self.render_mode = task, num_envs, render_mode
        self.single_observation_space = _observation_space(task, bounds)
        self.single_action_space = _action_space(task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs = [np_random(None)[0] for _ in range(num_envs)]
        self.state: State = {}

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin B episodes; from one seed, row i takes seed + i.

        Raises:
            ValueError: not one seed a row, or unknown options.
        """
        if options:
            raise ValueError(f"{self.task.name}: takes no reset options, got {sorted(options)}")
        if seed is None:
            seeds: list[int | None] = [None] * self.num_envs
        else:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{self.task.name}: expected {self.num_envs} seeds, got {len(seeds)}")
        for i, given in enumerate(seeds):
            if given is not None:
                self._rngs[i] = np_random(given)[0]
        drawn = [_next_seed(self._rngs[i]) if given is None else given for i, given in enumerate(seeds)]
        self.state, obs_BO = self.task.reset(drawn)
        return obs_BO.numpy(), {}

    def step(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take one step with every row, or begin its next episode where it is over."""
        if not self.state:
            raise gymnasium.error.ResetNeeded(f"{self.task.name}: call reset before step")
        over_B = self.state["over"]
        self.state, obs_BO, reward_B, terminated_B, truncated_B = self.task.step(
            self.state, torch.from_numpy(np.asarray(actions, np.int64))
        )
        if bool(over_B.any()):
            rows = over_B.nonzero()[:, 0]
            fresh, fresh_obs_BO = self.task.reset([_next_seed(self._rngs[i]) for i in rows.tolist()])
            for name, value in self.state.items():
                value[rows] = fresh[name]
            obs_BO[rows] = fresh_obs_BO
        return obs_BO.numpy(), reward_B.numpy(), terminated_B.numpy(), truncated_B.numpy(), {}
