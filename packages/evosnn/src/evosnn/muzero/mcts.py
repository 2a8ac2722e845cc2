"""Monte Carlo tree search in a learned model.

Shapes: B trees, searched side by side with one call of the model a simulation; K actions of a node, D dimensions of an
action, M choices a dimension, L latent values, O observation values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evosnn.action_set import ActionSet


@dataclass(frozen=True)
class SearchConfig:
    """How to search.

    Args:
        simulations: nodes added to a tree, >= 1.
        samples: draws of candidate actions at a node of a Box space, >= 1.
        c1: exploration in pUCT.
        c2: how slowly exploration grows with visits.
        discount: of rewards, in (0, 1].
        dirichlet: concentration of the noise at the root, > 0.
        noise: share of the noise in the root's prior, 0 to 1; for a Box also the share of blind draws there.

    Raises:
        ValueError: an argument is out of its range.
    """

    simulations: int = 24
    samples: int = 12
    c1: float = 1.25
    c2: float = 19652.0
    discount: float = 0.99
    dirichlet: float = 0.3
    noise: float = 0.25

    def __post_init__(self) -> None:
        if self.simulations < 1 or self.samples < 1:
            raise ValueError(
                f"SearchConfig: expected >= 1 simulations and samples, got {self.simulations, self.samples}"
            )
        if not 0 < self.discount <= 1 or not 0 <= self.noise <= 1 or self.dirichlet <= 0:
            raise ValueError(
                "SearchConfig: expected discount in (0, 1], noise in [0, 1] and dirichlet > 0, got "
                f"{self.discount}, {self.noise} and {self.dirichlet}"
            )


@dataclass(frozen=True)
class Step:
    """What a model says of B states.

    Args:
        latent_BL: the states as the model holds them.
        reward_B: reward of the step that led there; zero at a root.
        logits_BDM: policy.
        value_B: value.
    """

    latent_BL: Tensor
    reward_B: Tensor
    logits_BDM: Tensor
    value_B: Tensor


class Model(Protocol):
    """What a search needs of a model."""

    def initial(self, observation_BO: Tensor) -> Step:
        """The states of B observations."""
        ...

    def recurrent(self, latent_BL: Tensor, action_BF: Tensor) -> Step:
        """The states after B actions, as `ActionSet.encode` writes them."""
        ...


@dataclass
class ValueBounds:
    """Least and greatest value seen in a tree: values are put between 0 and 1 by these, whatever the task's scale."""

    low: float = math.inf
    high: float = -math.inf

    def update(self, value: float) -> None:
        """Take in a value."""
        self.low, self.high = min(self.low, value), max(self.high, value)

    def normalise(self, value_K: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values between 0 and 1; as they are while there is but one."""
        return (value_K - self.low) / (self.high - self.low) if self.high > self.low else value_K


@dataclass
class Node:
    """A state in the tree, with the statistics of its actions.

    Args:
        latent_L: the state.
        action_KD: the actions considered.
        prior_K: their prior.
        value: what the model says the state is worth.
        reward: of the step that led here.

    Attributes:
        visits_K: how often each was taken.
        total_K: sum of the returns found behind each.
        child_K: its node, or -1.
    """

    latent_L: Tensor
    action_KD: NDArray[np.int64]
    prior_K: NDArray[np.float64]
    value: float = 0.0
    reward: float = 0.0
    visits_K: NDArray[np.int64] = field(init=False)
    total_K: NDArray[np.float64] = field(init=False)
    child_K: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.prior_K)
        self.visits_K, self.total_K = np.zeros(n, np.int64), np.zeros(n)
        self.child_K = np.full(n, -1, np.int64)


def puct(node: Node, bounds: ValueBounds, config: SearchConfig) -> NDArray[np.float64]:
    """Score of every action.

        Q(a) + P(a) sqrt(sum_b N(b)) / (1 + N(a)) (c1 + ln((sum_b N(b) + c2 + 1) / c2))

    Q is the mean return behind the action, between 0 and 1 by the tree's bounds. An action not taken yet has the mean
    of the model's value of the node and all returns found behind it, so that few simulations look at many actions;
    the first one goes to the greatest prior.

    Returns:
        Float64, (K,).

    Departs from the reference: there an action not taken yet has Q = 0, the least of the tree, and the first
    simulation breaks a tie.

    References:
        Schrittwieser et al. (2020), arXiv 1911.08265, appendix B, equations 2 and 5.
    """
    visits = int(node.visits_K.sum())
    taken_K = node.visits_K > 0
    so_far = (node.value + node.total_K.sum()) / (1 + visits)
    mean_K = np.where(taken_K, node.total_K / np.maximum(node.visits_K, 1), so_far)
    value_K = bounds.normalise(mean_K).clip(0, 1)
    explore = config.c1 + math.log((visits + config.c2 + 1) / config.c2)
    return value_K + node.prior_K * math.sqrt(max(visits, 1)) / (1 + node.visits_K) * explore


@dataclass(frozen=True)
class SearchResult:
    """What a search found of one state.

    Args:
        action_KD: the actions considered.
        visits_K: how often each was taken.
        value: mean return over all simulations.
    """

    action_KD: NDArray[np.int64]
    visits_K: NDArray[np.int64]
    value: float

    @property
    def policy_K(self) -> NDArray[np.float64]:
        """Shares of the visits."""
        return self.visits_K / self.visits_K.sum()

    def choose(self, rng: np.random.Generator | None = None, temperature: float = 1.0) -> NDArray[np.int64]:
        """An action (D,): the most visited, or one drawn by visits^(1 / temperature)."""
        if rng is None or temperature <= 0:
            return self.action_KD[int(np.argmax(self.visits_K))]
        weight_K = (self.visits_K / self.visits_K.max()) ** (1 / temperature)
        return self.action_KD[int(rng.choice(len(weight_K), p=weight_K / weight_K.sum()))]


class Tree:
    """The tree over one root."""

    def __init__(self, root: Node) -> None:
        self.nodes, self.bounds = [root], ValueBounds()
        self.path: list[tuple[Node, int]] = []
        self.returns = 0.0

    def descend(self, config: SearchConfig) -> tuple[Node, int]:
        """Follow pUCT to an action that was not taken yet: its node, and which one."""
        self.path, node = [], self.nodes[0]
        while True:
            k = int(np.argmax(puct(node, self.bounds, config)))
            self.path.append((node, k))
            if node.child_K[k] < 0:
                return node, k
            node = self.nodes[node.child_K[k]]

    def add(self, node: Node, discount: float) -> None:
        """Hang a node at the end of the path and carry its value back to the root.

        G_k = r_{k+1} + discount G_{k+1} down from the new node, where G is the model's value.
        """
        parent, k = self.path[-1]
        parent.child_K[k] = len(self.nodes)
        self.nodes.append(node)
        back = node.value
        for parent, k in reversed(self.path):
            reward = self.nodes[parent.child_K[k]].reward
            back = reward + discount * back
            parent.total_K[k] += back
            parent.visits_K[k] += 1
            self.bounds.update(parent.total_K[k] / parent.visits_K[k])
        self.returns += back


def search(
    model: Model,
    observation_BO: Tensor,
    actions: ActionSet,
    config: SearchConfig,
    rngs: Sequence[np.random.Generator],
    *,
    explore: bool = True,
) -> list[SearchResult]:
    """Search from B observations.

    Args:
        model: says what follows an action.
        observation_BO: float32, (B, O).
        actions: the actions there are.
        config: how to search.
        rngs: one a row; draws noise and candidates.
        explore: noise at the roots; off when an agent is judged.

    Returns:
        One result a row.
    """
    noise = config.noise if explore else 0.0
    with torch.inference_mode():
        first = model.initial(observation_BO)
        roots = _nodes(first, actions, config, rngs, uniform=noise)
        for root, rng in zip(roots, rngs, strict=True):
            if noise:
                drawn_K = rng.dirichlet(np.full(len(root.prior_K), config.dirichlet))
                root.prior_K = (1 - noise) * root.prior_K + noise * drawn_K
        trees = [Tree(root) for root in roots]
        for _ in range(config.simulations):
            leaves = [tree.descend(config) for tree in trees]
            index_BD = torch.from_numpy(np.stack([node.action_KD[k] for node, k in leaves]))
            latent_BL = torch.stack([node.latent_L for node, _ in leaves])
            step = model.recurrent(latent_BL, actions.encode(index_BD))
            for tree, node in zip(trees, _nodes(step, actions, config, rngs), strict=True):
                tree.add(node, config.discount)
    return [
        SearchResult(tree.nodes[0].action_KD, tree.nodes[0].visits_K, tree.returns / config.simulations)
        for tree in trees
    ]


def _nodes(
    step: Step,
    actions: ActionSet,
    config: SearchConfig,
    rngs: Sequence[np.random.Generator],
    *,
    uniform: float = 0.0,
) -> list[Node]:
    logits_BDM = step.logits_BDM.double().numpy()
    nodes = []
    values, rewards = step.value_B.tolist(), step.reward_B.tolist()
    for row, rng in enumerate(rngs):
        action_KD, prior_K = actions.candidates(logits_BDM[row], config.samples, rng, uniform=uniform)
        nodes.append(Node(step.latent_BL[row], action_KD, prior_K, values[row], rewards[row]))
    return nodes
