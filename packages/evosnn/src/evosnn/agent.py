"""What agents have in common: acting, learning an episode at a time, files.

Shapes: O observation values, D dimensions of an action.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

import gymnasium as gym
import numpy as np
import torch
from ddp_utils import FileFormatError, read_tensor_file, write_tensor_file
from ddp_utils.seed import key_bits
from torch import Tensor, nn

from evosnn.action_set import ActionSet

FORMAT, VERSION = "evosnn.agent", 1
T = TypeVar("T")


class Player(ABC):
    """Plays one episode of an agent with exploration and keeps what is to be learned from it.

    What it draws is keyed by the number of the episode.
    """

    @abstractmethod
    def act(self, observation: np.ndarray) -> Any:
        """The next action, as the environment takes it."""

    @abstractmethod
    def finish(self, rewards: Sequence[float]) -> Any:
        """The episode, with the rewards that followed each action."""


class Agent(ABC):
    """An agent for any environment with vectors as observations; small networks on the CPU.

    Args:
        observations: O.
        actions: the actions there are.
        config: the kind's own settings.
        seed: keys everything that is drawn.
    """

    kind: ClassVar[str]
    config_type: ClassVar[type]

    def __init__(self, observations: int, actions: ActionSet, config: Any = None, *, seed: int = 0) -> None:
        self.observations, self.actions, self.seed = observations, actions, seed
        self.config = self.config_type() if config is None else config
        self.networks = self._make_networks()

    @classmethod
    def of(cls, env: gym.Env[Any, Any], config: Any = None, *, seed: int = 0) -> Agent:
        """An agent for an environment's spaces.

        Raises:
            ValueError: a space that the agents cannot take; the message names it.
        """
        space = env.observation_space
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"{cls.__name__}: observations must be a Box of one axis, got {space}")
        config = cls.config_type() if config is None else config
        return cls(space.shape[0], ActionSet.of(env.action_space, config.levels), config, seed=seed)

    @abstractmethod
    def _make_networks(self) -> nn.Module: ...

    @abstractmethod
    def choose(self, observation_O: np.ndarray) -> np.ndarray:
        """The action's choices (D,), without exploration."""

    @abstractmethod
    def player(self, episode: int) -> Player:
        """Who plays an episode with the networks as they are."""

    @abstractmethod
    def take(self, played: Any, episode: int) -> dict[str, float]:
        """Learn from an episode, as `Player.finish` gives it.

        Returns:
            Figures of the episode, among them `return` and `steps`.
        """

    def learn(self, env: gym.Env[Any, Any], episode: int, *, seed: int | None = None) -> dict[str, float]:
        """Play one episode with exploration and learn from it.

        Args:
            env: the environment.
            episode: its number, which keys what is drawn, >= 0.
            seed: of the environment's reset; keyed by the agent's seed and the episode without it.

        Returns:
            Figures of the episode, among them `return` and `steps`.
        """
        player = self.player(episode)
        observation, _ = env.reset(seed=self.episode_seed(episode) if seed is None else seed)
        rewards, over = [], False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(player.act(observation))
            rewards.append(float(reward))
            over = terminated or truncated
        return self.take(player.finish(rewards), episode)

    def act(self, observation: np.ndarray) -> Any:
        """The best action known, as the environment takes it.

        Args:
            observation: (O,).

        Raises:
            ValueError: another shape, or values that are not finite.
        """
        observation_O = np.asarray(observation, np.float32)
        if observation_O.shape != (self.observations,) or not np.isfinite(observation_O).all():
            raise ValueError(
                f"{type(self).__name__}.act: expected {self.observations} finite values, got {observation!r}"
            )
        return self.actions.action(self.choose(observation_O))

    def episode_seed(self, episode: int) -> int:
        """Seed of an environment's reset."""
        return key_bits(self.seed, "environment", episode, n_bytes=4) >> 1

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""

    def save(self, path: str | Path) -> None:
        """Write networks and settings; what was there stays until the new file is whole.

        Raises:
            OSError: the file cannot be written.
        """
        metadata = {
            "kind": self.kind,
            "observations": self.observations,
            "actions": dataclasses.asdict(self.actions),
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
        }
        write_tensor_file(path, self.networks.state_dict(), kind=FORMAT, version=VERSION, metadata=metadata)


def load_agent(path: str | Path) -> Agent:
    """Read an agent that `Agent.save` wrote.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: damaged, of another kind, or of a newer version.
    """
    from evosnn.muzero.planner import MuZero
    from evosnn.policy_gradient import PolicyGradient

    tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
    kinds: dict[str, type[Agent]] = {kind.kind: kind for kind in (MuZero, PolicyGradient)}
    try:
        kind = kinds[metadata["kind"]]
        actions = _build(ActionSet, metadata["actions"])
        agent = kind(
            metadata["observations"], actions, _build(kind.config_type, metadata["config"]), seed=metadata["seed"]
        )
        agent.networks.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise FileFormatError(f"{path}: not a usable {FORMAT} file: {error}") from error
    _check_finite(path, tensors)
    return agent


def _check_finite(path: str | Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise FileFormatError(f"{path}: {name} holds values that are not finite")


def _build(kind: type[T], values: dict[str, Any]) -> T:
    hints = get_type_hints(kind)
    made = {}
    for name, value in values.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            value = _build(hint, value)
        made[name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)


def play(agent: Agent, env: gym.Env[Any, Any], *, seed: int) -> tuple[float, int]:
    """Play one episode without exploration.

    Returns:
        Sum of rewards, and steps.
    """
    observation, _ = env.reset(seed=seed)
    total, steps, over = 0.0, 0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(agent.act(observation))
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
    return total, steps
