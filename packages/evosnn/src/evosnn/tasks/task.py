"""What a task is: B episodes at once, each row on its own.

On the CPU a task computes with numpy's functions on the memory of the tensors, on other devices with torch's. Numpy's
are the ones that Gymnasium's environments call, and give a number the same result wherever it stands in an array;
torch's `sin` and `cos` differ from them in the last bit, which Acrobot turns into another episode.

Shapes: B rows, O observation values, A action values.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

State = dict[str, Tensor]
Arrays = dict[str, Any]  # numpy arrays on the CPU, tensors elsewhere


class TaskError(RuntimeError):
    """A task gave what no network can live with, such as a reward that is not a number.

    Args:
        task: name of the task.
        what: what came.
        row: number of the row.
        step: number of the step, from 1; 0 for what `reset` gave.
    """

    def __init__(self, task: str, what: str, row: int, step: int) -> None:
        super().__init__(f"{task}: {what} in row {row} at step {step}")
        self.task, self.what, self.row, self.step = task, what, row, step


@dataclasses.dataclass(frozen=True)
class Discrete:
    """One of n actions, numbered from 0."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"Discrete: a task needs at least 2 actions to choose from, got {self.n}")


@dataclasses.dataclass(frozen=True)
class Box:
    """A real values, each between its bounds."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.low or len(self.low) != len(self.high):
            raise ValueError(f"Box: needs as many low as high bounds, at least one, got {self.low} and {self.high}")
        for low, high in zip(self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise ValueError(f"Box: bounds must be finite with low < high, got {low} and {high}")

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.low)


class Task(ABC):
    """A batched task. Subclasses give the dynamics; this class counts time and keeps ended rows as they are.

    Attributes:
        name: what `make_task` finds it by.
        observation_low, observation_high: finite scales of each observation value, used by encoders (a value may pass
            them), O numbers each.
        actions: `Discrete` or `Box`.
        max_steps: an episode is truncated after so many steps.
        fixed_length: every episode has max_steps steps and ends there of itself: terminated, not truncated.
        solved: mean score that counts as solved.
        keeps_rows: a state keeps all its rows until the last of them is over; `rows_of` cannot take some out.
        reward_scale: factor that brings rewards to about [-1, 1], for what modulates plasticity.
    """

    name: ClassVar[str]
    observation_low: tuple[float, ...]
    observation_high: tuple[float, ...]
    actions: Discrete | Box
    max_steps: int
    solved: float
    fixed_length: bool = False
    keeps_rows: ClassVar[bool] = False
    reward_scale: float = 1.0

    @property
    def n_observations(self) -> int:
        """Number of observation values, O."""
        return len(self.observation_low)

    def settings(self) -> dict[str, Any]:
        """Name and options from which `make_task` makes this task again, as plain JSON values."""
        return {"name": self.name}

    def reset(
        self, seeds: Sequence[int] | NDArray[np.integer], *, device: torch.device | str = "cpu"
    ) -> tuple[State, Tensor]:
        """Begin one episode a seed.

        Args:
            seeds: B whole numbers in [0, 2^64); a row depends on its own seed alone.
            device: where the episodes live.

        Returns:
            The state, a dictionary of tensors (B,) or (B, ...), and the first observations, float32, (B, O).
        """
        device = torch.device(device)
        arrays = {"steps": np.zeros(len(seeds), np.int32), "over": np.zeros(len(seeds), bool), **self._begin(seeds)}
        state = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        return state, self.observe(state)

    def observe(self, state: State) -> Tensor:
        """What the rows see in a state: float32, (B, O)."""
        xp, arrays = _open(state)
        return _stack_float32(xp, self._observation(xp, arrays), state["over"].device)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor, Tensor, Tensor]:
        """Take one step with every row.

        Args:
            state: as `reset` or `step` gave it; it is left as it is.
            action: int64 (B,) for `Discrete`, floats (B, A) for `Box` (beyond the bounds: cut to them).

        Returns:
            State, observations float32 (B, O), rewards float64 (B,), terminated and truncated bool (B,). Rows whose
            episode was over before stay as they are, with reward 0 and both flags false.

        Raises:
            ValueError: the actions have the wrong shape or lie outside the task's actions.
            TaskError: a reward is not finite.
        """
        self.check_action(action, len(state["over"]))
        xp, arrays = _open(state)
        over_B, steps_B = arrays["over"], arrays["steps"]
        if isinstance(self.actions, Box):
            action = action.float()
        new, reward_B, terminated_B = self._advance(xp, arrays, action.numpy() if xp is np else action)
        steps_B = steps_B + 1
        ended_B = steps_B >= self.max_steps
        if self.fixed_length:
            terminated_B, truncated_B = ended_B, ended_B & False
        else:
            truncated_B = ended_B
        if bool(over_B.any()):
            new = {name: _where_rows(xp, over_B, arrays[name], value) for name, value in new.items()}
            steps_B = xp.where(over_B, steps_B - 1, steps_B)
            reward_B = xp.where(over_B, 0.0, reward_B)
            terminated_B, truncated_B = terminated_B & ~over_B, truncated_B & ~over_B
        new = {**arrays, **new}
        new["steps"], new["over"] = steps_B, over_B | terminated_B | truncated_B
        obs_BO = _stack_float32(xp, self._observation(xp, new), action.device)
        if xp is np:
            state = {name: torch.from_numpy(value) for name, value in new.items()}
            reward_B, terminated_B, truncated_B = map(torch.from_numpy, (reward_B, terminated_B, truncated_B))
        else:
            state, reward_B = new, reward_B.double()
        check_rewards(self.name, reward_B, state["steps"])
        return state, obs_BO, reward_B, terminated_B, truncated_B

    def score(self, return_B: Tensor) -> Tensor:
        """Score of an episode from the sum of its rewards, which it is unless the task says otherwise."""
        return return_B

    def check_action(self, action: Tensor, n_rows: int) -> None:
        """Raise ValueError unless there is one possible action a row."""
        if isinstance(self.actions, Discrete):
            if action.shape != (n_rows,) or action.dtype.is_floating_point:
                raise ValueError(
                    f"{self.name}: actions must be {n_rows} whole numbers, got {action.dtype} {tuple(action.shape)}"
                )
            if n_rows and not 0 <= int(action.min()) <= int(action.max()) < self.actions.n:
                raise ValueError(f"{self.name}: actions must be in [0, {self.actions.n}), got {action.tolist()[:8]}")
        elif action.shape != (n_rows, self.actions.size) or not action.dtype.is_floating_point:
            raise ValueError(
                f"{self.name}: actions must be floats ({n_rows}, {self.actions.size}), "
                f"got {action.dtype} {tuple(action.shape)}"
            )

    @abstractmethod
    def _begin(self, seeds: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        """First state, numpy arrays (B, ...)."""

    @abstractmethod
    def _advance(self, xp: ModuleType, state: Arrays, action: Any) -> tuple[Arrays, Any, Any]:
        """New state, reward float64 (B,), terminated bool (B,); `xp` is numpy or torch.

        The state given holds `steps` too, the number of steps taken before; entries left out of the new one stay.
        """

    @abstractmethod
    def _observation(self, xp: ModuleType, state: Arrays) -> list[Any]:
        """Observation values, O arrays (B,)."""


def check_rewards(name: str, reward_B: Tensor, steps_B: Tensor) -> None:
    """Raise TaskError naming the row and step of the first reward that is not finite."""
    finite_B = torch.isfinite(reward_B)
    if not bool(finite_B.all()):
        row = int((~finite_B).nonzero()[0, 0])
        raise TaskError(name, f"a reward of {float(reward_B[row])}", row, int(steps_B[row]))


def check_observations(name: str, obs_BO: Tensor, steps_B: Tensor) -> None:
    """Raise TaskError naming the row and step of the first observation that is not finite."""
    finite_B = torch.isfinite(obs_BO).all(1)
    if not bool(finite_B.all()):
        row = int((~finite_B).nonzero()[0, 0])
        raise TaskError(name, f"an observation of {obs_BO[row].tolist()}", row, int(steps_B[row]))


def rows_of(state: State, index: Tensor) -> State:
    """The rows of a state that an index names, in its order."""
    return {name: value[index] for name, value in state.items()}


def pick(table_BT: Any, column_B: Any) -> Any:
    """One entry of each row: (B, T) and column numbers (B,) to (B,)."""
    if isinstance(table_BT, np.ndarray):
        return table_BT[np.arange(len(table_BT)), column_B]
    return table_BT.gather(1, column_B[:, None].long())[:, 0]


def uniform_between(unit: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Numbers of [0, 1) brought to [low, high) as numpy's `Generator.uniform` does it."""
    return low + (high - low) * unit


def _open(state: State) -> tuple[ModuleType, Arrays]:
    if state["over"].device.type == "cpu":
        return np, {name: value.numpy() for name, value in state.items()}
    return torch, dict(state)


def _where_rows(xp: ModuleType, condition_B: Any, a: Any, b: Any) -> Any:
    return xp.where(condition_B.reshape(-1, *([1] * (a.ndim - 1))), a, b)


def _stack_float32(xp: ModuleType, columns: list[Any], device: torch.device) -> Tensor:
    stacked_BO = torch.empty((len(columns[0]), len(columns)), dtype=torch.float32, device=device)
    into_BO = stacked_BO.numpy() if xp is np else stacked_BO
    for k, column_B in enumerate(columns):
        into_BO[:, k] = column_B
    return stacked_BO
