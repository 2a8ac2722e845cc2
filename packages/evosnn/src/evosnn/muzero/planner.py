"""The planner: plays by search, learns from what the search found.

Shapes: T steps of an episode, O observation values, D dimensions of an action, K candidates, U unrolled steps, B rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from ddp_utils import keyed_numpy_generator
from ddp_utils.seed import key_bits
from torch import Tensor
from torch.nn.functional import cross_entropy

from evosnn.agent import Agent, Player
from evosnn.muzero.mcts import SearchConfig, SearchResult, search
from evosnn.muzero.networks import Networks, scale_gradient
from evosnn.muzero.replay import Batch, Episode, Replay
from evosnn.muzero.value_transform import Support


@dataclass(frozen=True)
class MuZeroConfig:
    """Settings of the planner.

    Args:
        search: how to search.
        support: categorical form of rewards and values.
        levels: choices a dimension of a Box action.
        hidden: width of hidden layers.
        latent: latent values.
        unroll: steps unrolled in training, >= 1.
        n_step: steps until a target takes the value found, >= 1.
        batch: positions a gradient step, >= 1.
        updates: gradient steps a step played, > 0.
        warm_up: steps played before training begins, >= 0.
        capacity: steps kept for replay, >= 1.
        learning_rate: of Adam, > 0.
        weight_decay: decoupled, >= 0.
        value_weight: of the value's loss beside policy and reward, > 0.
        temperature: of the visits that actions are drawn by at the start of training, > 0; it falls to a quarter.
        cooling: episodes in which it falls, >= 1.
        reanalyse: episodes after which all replayed positions are searched anew with the networks as they are then,
            >= 0; 0 for never. Where steps are dear and searches cheap, policy targets keep up with the model so.

    Raises:
        ValueError: an argument is out of its range.
    """

    search: SearchConfig = field(default_factory=SearchConfig)
    support: Support = field(default_factory=Support)
    levels: int = 5
    hidden: int = 64
    latent: int = 32
    unroll: int = 5
    n_step: int = 5
    batch: int = 64
    updates: float = 2.0
    warm_up: int = 64
    capacity: int = 20_000
    learning_rate: float = 5e-3
    weight_decay: float = 1e-4
    value_weight: float = 0.25
    temperature: float = 1.0
    cooling: int = 100
    reanalyse: int = 0

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("hidden", "latent", "unroll", "n_step", "batch", "capacity")}
        counts["cooling"] = self.cooling
        wrong = {name: value for name, value in counts.items() if value < 1}
        rates = ("updates", "learning_rate", "value_weight", "temperature")
        wrong |= {name: getattr(self, name) for name in rates if getattr(self, name) <= 0}
        wrong |= {
            name: getattr(self, name) for name in ("warm_up", "weight_decay", "reanalyse") if getattr(self, name) < 0
        }
        if wrong:
            raise ValueError(f"MuZeroConfig: out of range: {wrong}")


class _Player(Player):
    """Searches with noise, and draws actions by the visits."""

    def __init__(self, agent: MuZero, episode: int) -> None:
        self.agent = agent
        self.rng = keyed_numpy_generator(agent.seed, "muzero episode", episode)
        self.temperature = agent.config.temperature * max(0.25, 1 - 0.75 * episode / agent.config.cooling)
        self.rows: list[tuple[Any, ...]] = []

    def act(self, observation: np.ndarray) -> Any:
        """See `Player`."""
        observation_O = np.asarray(observation, np.float32)
        found = self.agent.look(observation_O, self.rng, explore=True)
        choice_D = found.choose(self.rng, self.temperature)
        self.rows.append((observation_O, choice_D, found.value, *self.agent.padded(found)))
        return self.agent.actions.action(choice_D)

    def finish(self, rewards: Sequence[float]) -> Episode:
        """See `Player`."""
        observation_TO, action_TD, value_T, candidate_TKD, policy_TK = map(np.array, zip(*self.rows, strict=True))
        return Episode(observation_TO, action_TD, np.array(rewards), value_T, candidate_TKD, policy_TK)


class MuZero(Agent):
    """A planner for vectors as observations and Discrete or bounded Box actions.

    Every step of an episode searches in the learned model; the replayed search is what the networks learn: the policy
    from the shares of the visits, the value from n-step targets, the reward from what came, all unrolled U steps
    through the learned dynamics. Gradients of unrolled losses count 1 / U, and half of a gradient passes a dynamics
    step.

    Departs from the reference: observations are scaled by running statistics, positions are drawn evenly, the
    networks are perceptrons of two layers, and the end of an episode, terminated or truncated, has value zero: for
    tasks whose time limit is part of what is observed.

    References:
        Schrittwieser et al. (2020), arXiv 1911.08265; Hubert et al. (2021), arXiv 2104.06303; Schrittwieser et al.
        (2021), arXiv 2104.06294 (reanalyse).
    """

    kind: ClassVar[str] = "muzero"
    config_type: ClassVar[type] = MuZeroConfig
    config: MuZeroConfig
    networks: Networks

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.replay = Replay(self.config.capacity)
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        self.updates = 0.0  # gradient steps owed
        self.steps = 0  # steps played
        self.trained = 0  # gradient steps done

    def _make_networks(self) -> Networks:
        start = key_bits(self.seed, "muzero networks") >> 1
        sizes = {"hidden": self.config.hidden, "latent": self.config.latent}
        return Networks(self.observations, self.actions, self.config.support, **sizes, seed=start)

    @property
    def candidates(self) -> int:
        """K: candidates of a node at most."""
        return self.actions.choices if self.actions.is_discrete else self.config.search.samples

    def look(self, observation_O: np.ndarray, rng: np.random.Generator, *, explore: bool) -> SearchResult:
        """Search from one observation."""
        observation_BO = torch.from_numpy(np.asarray(observation_O, np.float32)).unsqueeze(0)
        return search(self.networks, observation_BO, self.actions, self.config.search, [rng], explore=explore)[0]

    def choose(self, observation_O: np.ndarray) -> np.ndarray:
        """The most visited action of a search without noise, the same for the same observation."""
        rng = keyed_numpy_generator(self.seed, "muzero act")
        return self.look(observation_O, rng, explore=False).choose()

    def player(self, episode: int) -> Player:
        """Who plays by searches with noise."""
        return _Player(self, episode)

    def take(self, played: Episode, episode: int) -> dict[str, float]:
        """Keep an episode and take the gradient steps that it owes."""
        self.replay.add(played)
        self.networks.scale.update(torch.from_numpy(played.observation_TO))
        self.steps += len(played)
        figures = {"return": float(played.reward_T.sum()), "steps": float(len(played))}
        if self.steps < self.config.warm_up:
            return figures
        self.updates += self.config.updates * len(played)
        losses = []
        while self.updates >= 1:
            self.updates -= 1
            losses.append(self.update())
        if self.config.reanalyse and (episode + 1) % self.config.reanalyse == 0:
            self.reanalyse()
        return figures | ({"loss": float(np.mean(losses))} if losses else {})

    def padded(self, found: SearchResult) -> tuple[np.ndarray, np.ndarray]:
        """Actions considered and their shares, K of each."""
        padding = self.candidates - len(found.visits_K)
        candidate_KD = np.concatenate([found.action_KD, np.repeat(found.action_KD[:1], padding, axis=0)])
        return candidate_KD, np.concatenate([found.policy_K, np.zeros(padding)])

    def reanalyse(self) -> None:
        """Search all replayed positions anew; what came of the actions taken stays."""
        for number, episode in enumerate(self.replay.episodes):
            rngs = [
                keyed_numpy_generator(self.seed, f"muzero reanalyse.{self.trained}.{number}", t)
                for t in range(len(episode))
            ]
            observation_TO = torch.from_numpy(episode.observation_TO)
            found_T = search(self.networks, observation_TO, self.actions, self.config.search, rngs)
            candidates, policies = (np.array(part) for part in zip(*map(self.padded, found_T), strict=True))
            values = np.array([found.value for found in found_T])
            self.replay.episodes[number] = replace(
                episode, value_T=values, candidate_TKD=candidates, policy_TK=policies
            )

    def update(self) -> float:
        """One gradient step on replayed positions; returns the loss."""
        config = self.config
        rng = keyed_numpy_generator(self.seed, "muzero replay", self.trained)
        batch = self.replay.sample(
            config.batch,
            rng,
            unroll=config.unroll,
            n=config.n_step,
            discount=config.search.discount,
            choices=self.actions.choices,
        )
        loss = unrolled_loss(self.networks, batch, value_weight=config.value_weight)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.networks.parameters(), 5.0)
        self.optimizer.step()
        self.trained += 1
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimizer, replay and counters."""
        return {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "replay": self.replay.state_dict(),
            "updates": self.updates,
            "steps": self.steps,
            "trained": self.trained,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.replay.load_state_dict(state["replay"])
        self.updates, self.steps, self.trained = state["updates"], state["steps"], state["trained"]


def unrolled_loss(networks: Networks, batch: Batch, *, value_weight: float) -> Tensor:
    """Mean loss over a batch of positions.

        l = sum_{k=0..U} w_k (l_policy + value_weight l_value + l_reward [k > 0]),    w_0 = 1, w_k = 1 / U

    Each part is a cross-entropy; the policy's is over the search's candidates, -sum_a N(a) / N log pi(a).

    Args:
        networks: the three networks.
        batch: positions.
        value_weight: of the value's loss.

    Returns:
        A scalar.
    """
    support, actions = networks.support, networks.actions
    unroll = batch.action_BUD.shape[1]
    latent_BL = networks.represent(batch.observation_BO)
    loss_B = torch.zeros(len(latent_BL))
    for k in range(unroll + 1):
        weight = 1.0 if k == 0 else 1.0 / unroll
        if k:
            latent_BL, reward_BV = networks.dynamics(latent_BL, actions.encode(batch.action_BUD[:, k - 1]))
            loss_B = loss_B + weight * _cross_entropy(reward_BV, support.encode(batch.reward_BU[:, k - 1]))
            latent_BL = scale_gradient(latent_BL, 0.5)
        logits_BDM, value_BV = networks.predict(latent_BL)
        log_p_BK = actions.log_probability(logits_BDM.unsqueeze(1), batch.candidate_BUKD[:, k])
        policy_B = -(batch.policy_BUK[:, k] * log_p_BK).sum(-1)
        value_B = _cross_entropy(value_BV, support.encode(batch.value_BU[:, k]))
        loss_B = loss_B + weight * (policy_B + value_weight * value_B)
    return loss_B.mean()


def _cross_entropy(logits_BV: Tensor, target_BV: Tensor) -> Tensor:
    return cross_entropy(logits_BV, target_BV, reduction="none")
