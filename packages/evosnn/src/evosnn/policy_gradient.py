"""A small policy-gradient baseline: proximal policy optimisation.

Shapes: T steps, O observation values, D dimensions of an action, M choices a dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from ddp_utils import keyed_generator, keyed_numpy_generator
from ddp_utils.seed import key_bits
from torch import Tensor, nn

from evosnn.action_set import ActionSet
from evosnn.agent import Agent, Player
from evosnn.muzero.networks import ObservationScale, linear


@dataclass(frozen=True)
class PolicyGradientConfig:
    """Settings of the baseline.

    Args:
        levels: choices a dimension of a Box action.
        hidden: width of the hidden layers.
        episodes: episodes an update, >= 1, a multiple of the group.
        group: so many episodes in a row begin alike (same environment and seed), >= 1. With more than one, what an
            action was worth is the reward that followed less what followed in the rest of its group, not less a learned
            value: for environments whose starts differ more than what actions can do.
        epochs: passes over them, >= 1.
        clip: of the ratio of probabilities, > 0.
        discount: of rewards, in (0, 1].
        trace: lambda of the advantages, in [0, 1].
        entropy: weight of the entropy, >= 0.
        learning_rate: of Adam, > 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    levels: int = 5
    hidden: int = 64
    episodes: int = 8
    group: int = 1
    epochs: int = 6
    clip: float = 0.2
    discount: float = 0.99
    trace: float = 0.95
    entropy: float = 0.01
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.episodes < 1 or self.epochs < 1 or self.entropy < 0:
            raise ValueError(f"PolicyGradientConfig: out of range: {self}")
        if self.group < 1 or self.episodes % self.group:
            raise ValueError(f"PolicyGradientConfig: episodes must be a multiple of group, got {self}")
        if self.clip <= 0 or self.learning_rate <= 0 or not 0 < self.discount <= 1 or not 0 <= self.trace <= 1:
            raise ValueError(f"PolicyGradientConfig: out of range: {self}")


class PolicyNetwork(nn.Module):
    """Policy and value over a common body.

    Args:
        observations: O.
        actions: the actions there are.
        hidden: width.
        seed: draws the start values.
    """

    def __init__(self, observations: int, actions: ActionSet, hidden: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.actions, self.scale = actions, ObservationScale(observations)
        self.body = nn.Sequential(
            linear(observations, hidden, draw), nn.Tanh(), linear(hidden, hidden, draw), nn.Tanh()
        )
        self.policy = linear(hidden, actions.dimensions * actions.choices, draw, gain=0.01)
        self.value = linear(hidden, 1, draw)

    def forward(self, observation_TO: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, (T, D, M), and values, (T,)."""
        body = self.body(self.scale(observation_TO))
        shape = (self.actions.dimensions, self.actions.choices)
        return self.policy(body).unflatten(-1, shape), self.value(body).squeeze(-1)


def advantages(reward_T: Tensor, value_T: Tensor, *, discount: float, trace: float) -> Tensor:
    """Generalised advantages of one whole episode.

        A_t = sum_i (discount trace)^i (r_{t+i} + discount V_{t+i+1} - V_{t+i}),    V = 0 after the end

    Args:
        reward_T: rewards.
        value_T: values before each step.
        discount: of rewards.
        trace: lambda.

    Returns:
        (T,).

    References:
        Schulman et al. (2016), arXiv 1506.02438.
    """
    next_T = torch.cat([value_T[1:], torch.zeros(1)])
    error_T = reward_T + discount * next_T - value_T
    found, ahead = torch.zeros_like(error_T), 0.0
    for t in range(len(error_T) - 1, -1, -1):
        ahead = error_T[t] + discount * trace * ahead
        found[t] = ahead
    return found


def advantages_in_group(rewards: Sequence[Tensor], *, discount: float) -> list[Tensor]:
    """Advantages of episodes that began alike, without a learned value.

        A^i_t = G^i_t - mean_{j != i} G^j_t,    G^i_t = sum_{k >= t} discount^(k-t) r^i_k, 0 after the end

    Args:
        rewards: of each of the n >= 2 episodes, (T_i,).
        discount: of rewards.

    Returns:
        One tensor an episode, (T_i,).

    References:
        Kool, van Hoof, Welling (2019), Buy 4 REINFORCE samples, get a baseline for free; Shao et al. (2024), arXiv
        2402.03300 (group-relative baselines).
    """
    returns_NT = torch.zeros(len(rewards), max(map(len, rewards)))
    for row, reward_T in enumerate(rewards):
        returns_NT[row, : len(reward_T)] = advantages(
            reward_T, torch.zeros(len(reward_T)), discount=discount, trace=1.0
        )
    others_NT = (returns_NT.sum(0) - returns_NT) / (len(rewards) - 1)
    return [(own - others)[: len(r)] for own, others, r in zip(returns_NT, others_NT, rewards, strict=True)]


class _Player(Player):
    """Draws actions from the policy."""

    def __init__(self, agent: PolicyGradient, episode: int) -> None:
        self.agent = agent
        self.rng = keyed_numpy_generator(agent.seed, "policy gradient episode", episode)
        self.rows: list[tuple[np.ndarray, np.ndarray]] = []

    def act(self, observation: np.ndarray) -> Any:
        """See `Player`."""
        observation_O, actions = np.asarray(observation, np.float32), self.agent.actions
        with torch.inference_mode():
            logits_TDM, _ = self.agent.networks(torch.from_numpy(observation_O).unsqueeze(0))
        choice_D = actions.sample(logits_TDM[0].double().numpy(), 1, self.rng)[0]
        self.rows.append((observation_O, choice_D))
        return actions.action(choice_D)

    def finish(self, rewards: Sequence[float]) -> dict[str, Tensor]:
        """See `Player`."""
        observations, choices = zip(*self.rows, strict=True)
        parts = (np.array(observations), np.array(choices), np.array(rewards, np.float32))
        return dict(zip(("observation_TO", "action_TD", "reward_T"), map(torch.from_numpy, parts), strict=True))


class PolicyGradient(Agent):
    """PPO with a factored categorical policy; the end of an episode has value zero.

    References:
        Schulman et al. (2017), arXiv 1707.06347.
    """

    kind: ClassVar[str] = "policy_gradient"
    config_type: ClassVar[type] = PolicyGradientConfig
    config: PolicyGradientConfig
    networks: PolicyNetwork

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimizer = torch.optim.Adam(self.networks.parameters(), lr=self.config.learning_rate)
        self.waiting: list[dict[str, Tensor]] = []

    def _make_networks(self) -> PolicyNetwork:
        start = key_bits(self.seed, "policy gradient networks") >> 1
        return PolicyNetwork(self.observations, self.actions, self.config.hidden, start)

    def choose(self, observation_O: np.ndarray) -> np.ndarray:
        """The likeliest action."""
        with torch.inference_mode():
            logits_TDM, _ = self.networks(torch.from_numpy(observation_O).unsqueeze(0))
        return logits_TDM[0].argmax(-1).numpy()

    def player(self, episode: int) -> Player:
        """Who plays by draws from the policy."""
        return _Player(self, episode)

    def take(self, played: dict[str, Tensor], episode: int) -> dict[str, float]:
        """Keep an episode; update when as many as an update takes are there."""
        self.waiting.append(played)
        figures = {"return": float(played["reward_T"].sum()), "steps": float(len(played["reward_T"]))}
        if len(self.waiting) < self.config.episodes:
            return figures
        for each in self.waiting:
            self.networks.scale.update(each["observation_TO"])
        loss = self._update(episode)
        self.waiting = []
        return figures | {"loss": loss}

    def _update(self, episode: int) -> float:
        config = self.config
        observation_TO = torch.cat([each["observation_TO"] for each in self.waiting])
        action_TD = torch.cat([each["action_TD"] for each in self.waiting])
        with torch.no_grad():
            logits_TDM, value_T = self.networks(observation_TO)
            old_T = self.actions.log_probability(logits_TDM, action_TD)
        lengths = [len(each["reward_T"]) for each in self.waiting]
        rewards = [each["reward_T"] for each in self.waiting]
        gains = [
            advantages(reward_T, values, discount=config.discount, trace=config.trace)
            for reward_T, values in zip(rewards, value_T.split(lengths), strict=True)
        ]
        target_T = torch.cat(gains) + value_T
        if config.group > 1:
            starts = range(0, len(rewards), config.group)
            groups = [rewards[first : first + config.group] for first in starts]
            gains = [gain for group in groups for gain in advantages_in_group(group, discount=config.discount)]
        gain_T = torch.cat(gains)
        gain_T = (gain_T - gain_T.mean()) / gain_T.std(correction=0).clamp_min(1e-6)
        draw = keyed_generator(self.seed, "policy gradient shuffle", episode)
        total = 0.0
        for _ in range(config.epochs):
            for part in torch.randperm(len(gain_T), generator=draw).split(64):
                logits_TDM, value_T = self.networks(observation_TO[part])
                ratio_T = (self.actions.log_probability(logits_TDM, action_TD[part]) - old_T[part]).exp()
                limited_T = ratio_T.clamp(1 - config.clip, 1 + config.clip)
                policy = -torch.minimum(ratio_T * gain_T[part], limited_T * gain_T[part]).mean()
                value = (value_T - target_T[part]).square().mean()
                loss = policy + 0.5 * value - config.entropy * self.actions.entropy(logits_TDM).mean()
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 0.5)
                self.optimizer.step()
                total = loss.item()
        return total

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimizer, and the episodes of the next update."""
        return {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "waiting": self.waiting,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.waiting = list(state["waiting"])
