"""Any Gymnasium environment as a task, through the vector interface.

Shapes: B rows, O observation values, A action values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from evosnn.tasks.numpy_streams import as_seeds
from evosnn.tasks.task import Arrays, Box, Discrete, State, Task, check_observations, check_rewards

_MODES = ("sync", "async", "vector_entry_point")
_UNBOUNDED = 1e6  # bounds beyond this say nothing about the values


def _observation_scale(
    name: str, space: spaces.Space[Any], scale: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Finite low and high of each observation value."""
    if isinstance(space, spaces.Discrete):
        return (-1.0,) * int(space.n), (1.0,) * int(space.n)
    if not isinstance(space, spaces.Box):
        raise ValueError(f"{name}: cannot encode the observation space {space}; only Box and Discrete can be")
    pairs = []
    for low, high in zip(space.low.ravel().tolist(), space.high.ravel().tolist(), strict=True):
        if not (math.isfinite(low) and math.isfinite(high) and -_UNBOUNDED < low < high < _UNBOUNDED):
            low, high = -scale, scale
        pairs.append((float(low), float(high)))
    if not pairs:
        raise ValueError(f"{name}: the observation space {space} holds no values")
    return tuple(low for low, _ in pairs), tuple(high for _, high in pairs)


def _actions(name: str, space: spaces.Space[Any]) -> Discrete | Box:
    try:
        if isinstance(space, spaces.Discrete):
            return Discrete(int(space.n))
        if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
            return Box(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())))
    except ValueError as error:
        raise ValueError(f"{name}: the action space {space} cannot be acted in: {error}") from None
    raise ValueError(f"{name}: cannot act in the action space {space}; only Discrete and Box of floats can be")


class GymnasiumTask(Task):
    """A registered Gymnasium environment whose rows run through `gymnasium.make_vec`.

    The episodes live in the environments, not in the state: one batch at a time, on the CPU, and steps are taken in
    order. An environment whose episode has ended begins another one, of which nothing is given: its row stays over. So
    ended rows are not dropped from a rollout, and all run until the last one has ended.

    Args:
        env_id: a registered id, such as "LunarLander-v3".
        vectorization_mode: "sync" (default), "async" or "vector_entry_point".
        observation_scale: scale of observation values that have no finite bounds, > 0.
        max_steps: a limit for environments that have none; required for those.
        solved: score that counts as solved; the environment's reward threshold by default, infinity without one.
        reward_scale: factor on rewards that modulate plasticity.
        options: for `gymnasium.make_vec`.

    Raises:
        ValueError: the environment's spaces cannot be encoded or acted in, it has no limit of steps, or an argument is
            out of its range.
    """

    name = "Gymnasium"
    keeps_rows = True

    def __init__(
        self,
        env_id: str,
        *,
        vectorization_mode: str = "sync",
        observation_scale: float = 5.0,
        max_steps: int | None = None,
        solved: float | None = None,
        reward_scale: float = 1.0,
        **options: Any,
    ) -> None:
        if not 0 < observation_scale < math.inf:
            raise ValueError(f"{env_id}: observation_scale must be > 0 and finite, got {observation_scale}")
        if vectorization_mode not in _MODES:
            raise ValueError(f"{env_id}: vectorization_mode must be one of {_MODES}, got {vectorization_mode!r}")
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"{env_id}: max_steps must be >= 1, got {max_steps}")
        if not math.isfinite(reward_scale):
            raise ValueError(f"{env_id}: reward_scale must be finite, got {reward_scale}")
        self.env_id, self._mode, self._options = env_id, vectorization_mode, options
        self._settings = {
            "vectorization_mode": vectorization_mode,
            "observation_scale": observation_scale,
            "max_steps": max_steps,
            "solved": solved,
            "reward_scale": reward_scale,
        }
        self._envs: Any | None = None
        env = gymnasium.make(env_id, **options)
        try:
            self._observation_space, self._action_space = env.observation_space, env.action_space
            self.observation_low, self.observation_high = _observation_scale(
                env_id, env.observation_space, observation_scale
            )
            self.actions = _actions(env_id, env.action_space)
            spec = env.spec
        finally:
            env.close()
        limit = max_steps or (spec.max_episode_steps if spec is not None else None)
        if limit is None:
            raise ValueError(f"{env_id}: the environment has no limit of steps, give max_steps")
        threshold = spec.reward_threshold if spec is not None else None
        self.max_steps, self.reward_scale = int(limit), reward_scale
        self.solved = float(solved if solved is not None else threshold if threshold is not None else math.inf)

    def settings(self) -> dict[str, Any]:
        """Id and options."""
        return {"name": self.env_id, **self._settings, **self._options}

    def reset(
        self, seeds: Sequence[int] | NDArray[np.integer], *, device: torch.device | str = "cpu"
    ) -> tuple[State, Tensor]:
        """Begin one episode a seed; what runs before is given up."""
        seeds_B = as_seeds(seeds)
        if self._envs is None or self._envs.num_envs != len(seeds_B):
            self.close()
            self._envs = gymnasium.make_vec(
                self.env_id, num_envs=len(seeds_B), vectorization_mode=self._mode, **self._options
            )
        observation, _ = self._envs.reset(seed=seeds_B.tolist())
        state = {
            "steps": torch.zeros(len(seeds_B), dtype=torch.int32),
            "over": torch.zeros(len(seeds_B), dtype=torch.bool),
            "observation": self._flat(observation),
        }
        check_observations(self.env_id, state["observation"], state["steps"])
        state = {name: value.to(device) for name, value in state.items()}
        return state, state["observation"]

    def observe(self, state: State) -> Tensor:
        """The last observations."""
        return state["observation"]

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor, Tensor, Tensor]:
        """Take one step with every row; see `Task.step`. Only the state given last can be stepped from."""
        assert self._envs is not None, "reset before step"
        device, over_B = state["over"].device, state["over"].cpu()
        if len(over_B) != self._envs.num_envs:
            raise ValueError(f"{self.env_id}: {self._envs.num_envs} environments run, the state has {len(over_B)} rows")
        self.check_action(action, len(over_B))
        observation, reward, terminated, truncated, _ = self._envs.step(self._native(action.cpu()))
        steps_B = state["steps"].cpu() + (~over_B).int()
        reward_B = torch.as_tensor(np.asarray(reward, dtype=np.float64)).masked_fill(over_B, 0.0)
        terminated_B = torch.as_tensor(np.asarray(terminated)) & ~over_B
        truncated_B = (torch.as_tensor(np.asarray(truncated)) | (steps_B >= self.max_steps)) & ~over_B
        check_rewards(self.env_id, reward_B, steps_B)
        observation_BO = torch.where(over_B[:, None], state["observation"].cpu(), self._flat(observation))
        check_observations(self.env_id, observation_BO, steps_B)
        new = {"steps": steps_B, "over": over_B | terminated_B | truncated_B, "observation": observation_BO}
        new = {name: value.to(device) for name, value in new.items()}
        results = (reward_B, terminated_B, truncated_B)
        return new, new["observation"], *(value.to(device) for value in results)  # pyright: ignore[reportReturnType]

    def close(self) -> None:
        """Close the environments."""
        if self._envs is not None:
            self._envs.close()
            self._envs = None

    def _flat(self, observation: Any) -> Tensor:
        array = np.asarray(observation)
        if isinstance(self._observation_space, spaces.Discrete):
            array = array[:, None] - int(self._observation_space.start) == np.arange(self.n_observations)
        return torch.from_numpy(array.reshape(len(array), -1).astype(np.float32))

    def _native(self, action: Tensor) -> NDArray[Any]:
        if isinstance(self._action_space, spaces.Discrete):
            return action.numpy().astype(self._action_space.dtype) + self._action_space.start
        assert isinstance(self._action_space, spaces.Box)
        shape = (len(action), *self._action_space.shape)
        array = action.numpy().astype(self._action_space.dtype).reshape(shape)
        return np.clip(array, self._action_space.low, self._action_space.high)

    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        raise NotImplementedError

    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        raise NotImplementedError
