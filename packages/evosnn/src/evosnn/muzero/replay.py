"""Episodes kept for training, and the targets made of them.

Shapes: T steps of an episode, O observation values, D dimensions of an action, K candidates of a search, U unrolled
steps, B rows of a batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Episode:
    """One episode as it was played.

    Args:
        observation_TO: float32, before each action.
        action_TD: choices taken, int64.
        reward_T: rewards that followed, float64.
        value_T: values that the search found, float64.
        candidate_TKD: actions that the search considered, int64; padded with the first.
        policy_TK: their shares of the visits, float64; 0 for padding.
    """

    observation_TO: NDArray[np.float32]
    action_TD: NDArray[np.int64]
    reward_T: NDArray[np.float64]
    value_T: NDArray[np.float64]
    candidate_TKD: NDArray[np.int64]
    policy_TK: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.reward_T)


def n_step_target(
    reward_T: Sequence[float] | NDArray[np.float64],
    value_T: Sequence[float] | NDArray[np.float64],
    t: int,
    *,
    n: int,
    discount: float,
) -> float:
    """Target of the value before step t.

        z_t = sum_{i < n} discount^i r_{t+i} + discount^n v_{t+n}

    Rewards and values after the end are zero.

    Args:
        reward_T: reward that followed each step.
        value_T: value found before each step.
        t: which step, >= 0.
        n: steps until the value found takes over, >= 1.
        discount: in (0, 1].

    Returns:
        The target.

    References:
        Schrittwieser et al. (2020), arXiv 1911.08265, section 3.
    """
    last = min(t + n, len(reward_T))
    target = sum(discount ** (i - t) * reward_T[i] for i in range(t, last))
    return float(target + (discount**n * value_T[t + n] if t + n < len(value_T) else 0.0))


@dataclass(frozen=True)
class Batch:
    """Positions with what U unrolled steps from each should give.

    Args:
        observation_BO: float32.
        action_BUD: int64; after an episode's end drawn at random, as any action keeps what has ended.
        reward_BU: float32.
        value_BU: float32, U + 1 columns.
        candidate_BUKD: int64, U + 1.
        policy_BUK: float32, U + 1; all zero after an episode's end: there is no policy to learn.
    """

    observation_BO: Tensor
    action_BUD: Tensor
    reward_BU: Tensor
    value_BU: Tensor
    candidate_BUKD: Tensor
    policy_BUK: Tensor


class Replay:
    """The newest episodes.

    Args:
        capacity: steps kept, about: whole episodes, the oldest dropped first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.episodes: deque[Episode] = deque()

    @property
    def steps(self) -> int:
        """Steps kept."""
        return sum(map(len, self.episodes))

    def add(self, episode: Episode) -> None:
        """Keep an episode; the oldest go while the rest still fill the capacity."""
        self.episodes.append(episode)
        while len(self.episodes) > 1 and self.steps - len(self.episodes[0]) >= self.capacity:
            self.episodes.popleft()

    def sample(
        self, rows: int, rng: np.random.Generator, *, unroll: int, n: int, discount: float, choices: int
    ) -> Batch:
        """Draw positions, all steps alike.

        Args:
            rows: B.
            rng: draws them.
            unroll: U.
            n: as for `n_step_target`.
            discount: of rewards.
            choices: M, for actions after the end.
        """
        lengths = np.array([len(episode) for episode in self.episodes])
        ends = lengths.cumsum()
        at = rng.integers(0, ends[-1], rows)
        which = np.searchsorted(ends, at, side="right")
        samples = [
            _position(self.episodes[e], int(p - ends[e] + lengths[e]), rng, unroll, n, discount, choices)
            for e, p in zip(which, at, strict=True)
        ]
        return Batch(*(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores."""
        return {
            "episodes": [
                {name.name: torch.from_numpy(getattr(episode, name.name).copy()) for name in fields(Episode)}
                for episode in self.episodes
            ]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.episodes = deque(
            Episode(**{name: tensor.numpy() for name, tensor in episode.items()}) for episode in state["episodes"]
        )


def _position(
    episode: Episode, t: int, rng: np.random.Generator, unroll: int, n: int, discount: float, choices: int
) -> tuple[NDArray[Any], ...]:
    length, dimensions = episode.action_TD.shape
    inside = min(unroll, length - t)
    action_UD = rng.integers(0, choices, (unroll, dimensions))
    action_UD[:inside] = episode.action_TD[t : t + inside]
    reward_U = np.zeros(unroll, np.float32)
    reward_U[:inside] = episode.reward_T[t : t + inside]
    value_U = np.array(
        [
            n_step_target(episode.reward_T, episode.value_T, t + k, n=n, discount=discount) if t + k < length else 0.0
            for k in range(unroll + 1)
        ],
        np.float32,
    )
    known = min(unroll + 1, length - t)
    candidate_UKD = np.zeros((unroll + 1, *episode.candidate_TKD.shape[1:]), np.int64)
    candidate_UKD[:known] = episode.candidate_TKD[t : t + known]
    policy_UK = np.zeros((unroll + 1, episode.policy_TK.shape[1]), np.float32)
    policy_UK[:known] = episode.policy_TK[t : t + known]
    return episode.observation_TO[t], action_UD, reward_U, value_U, candidate_UKD, policy_UK
