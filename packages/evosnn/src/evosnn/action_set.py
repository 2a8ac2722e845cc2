"""Gymnasium's action spaces as a product of categorical choices.

Shapes: D dimensions of an action, M choices a dimension, K candidates; B rows.

A `Discrete` space is one dimension of M choices. A `Box` has its D dimensions discretised into M levels each; there are
M^D actions, so a search looks at K sampled ones (Hubert et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ActionSet:
    """A finite set of actions with a factored distribution over it.

    Args:
        dimensions: D.
        choices: M.
        low: least value of each dimension, of a Box; empty for Discrete.
        high: greatest value of each.
        start: the first action of Discrete.
    """

    dimensions: int
    choices: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    start: int = 0

    @classmethod
    def of(cls, space: gym.Space[Any], levels: int = 5) -> ActionSet:
        """The set of a space.

        Args:
            space: Discrete, or Box with finite bounds and one axis.
            levels: choices a dimension of a Box, >= 2, the bounds among them; odd, and the middle is one.

        Raises:
            ValueError: another kind of space, or bounds that are not finite.
        """
        if isinstance(space, gym.spaces.Discrete):
            return cls(1, int(space.n), start=int(space.start))
        if isinstance(space, gym.spaces.Box) and len(space.shape) == 1 and space.is_bounded("both"):
            if levels < 2:
                raise ValueError(f"ActionSet: levels must be at least 2, got {levels}")
            return cls(space.shape[0], levels, tuple(map(float, space.low)), tuple(map(float, space.high)))
        raise ValueError(f"ActionSet: expected a Discrete space, or a Box of one axis with finite bounds, got {space}")

    @property
    def is_discrete(self) -> bool:
        """True for a Discrete space."""
        return not self.low

    @property
    def features(self) -> int:
        """Width of `encode`'s result: M for Discrete, D for a Box."""
        return self.choices if self.is_discrete else self.dimensions

    def encode(self, index_D: Tensor) -> Tensor:
        """Actions as a network takes them: one-hot, or values from -1 to 1.

        Args:
            index_D: choices, integer, (..., D).

        Returns:
            Float32, (..., features).
        """
        if self.is_discrete:
            return torch.nn.functional.one_hot(index_D.squeeze(-1).long(), self.choices).float()
        return index_D.float() * (2 / (self.choices - 1)) - 1

    def action(self, index_D: NDArray[np.int64]) -> Any:
        """The action of some choices (D,), as the environment takes it."""
        if self.is_discrete:
            return int(index_D[0]) + self.start
        low, high = np.asarray(self.low), np.asarray(self.high)
        return (low + (high - low) * np.asarray(index_D) / (self.choices - 1)).astype(np.float32)

    def log_probability(self, logits_DM: Tensor, index_D: Tensor) -> Tensor:
        """Log probability of actions: the sum over the dimensions.

        Args:
            logits_DM: (..., D, M).
            index_D: choices, int64, (..., D); an axis of the logits may be 1 where this one's is longer.

        Returns:
            (...).
        """
        log_p_DM = logits_DM.log_softmax(-1).expand(*index_D.shape, self.choices)
        return log_p_DM.gather(-1, index_D.long().unsqueeze(-1)).squeeze(-1).sum(-1)

    def entropy(self, logits_DM: Tensor) -> Tensor:
        """Entropy in nats, (...) of (..., D, M)."""
        log_p = logits_DM.log_softmax(-1)
        return -(log_p.exp() * log_p).sum((-1, -2))

    def sample(self, logits_DM: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw n actions: (n, D)."""
        cumulative_DM = np.cumsum(_softmax(logits_DM), axis=-1)
        draws_nD = rng.random((n, self.dimensions))
        below_nDM = draws_nD[:, :, None] > cumulative_DM[None]
        return np.minimum(below_nDM.sum(-1), self.choices - 1)

    def candidates(
        self, logits_DM: NDArray[np.float64], n: int, rng: np.random.Generator, *, uniform: float = 0.0
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The actions that a node of the search considers, with their prior.

        Discrete: all of them, with the policy's probabilities. Box: the distinct ones of n drawn from
        beta = (1 - uniform) pi + uniform / M^D, with prior beta_hat pi / beta, beta_hat being the share of the draws.

        Args:
            logits_DM: the policy, (D, M).
            n: draws, >= 1.
            rng: draws them.
            uniform: share of draws that do not heed the policy, 0 to 1.

        Returns:
            Choices, int64, (K, D), and their prior, float64, (K,), sum 1.

        References:
            Hubert et al. (2021), arXiv 2104.06303, section 4.
        """
        if self.is_discrete:
            return np.arange(self.choices)[:, None], _softmax(logits_DM)[0]
        drawn_nD = self.sample(logits_DM, n, rng)
        blind_n = rng.random(n) < uniform
        drawn_nD[blind_n] = rng.integers(0, self.choices, (int(blind_n.sum()), self.dimensions))
        index_KD, counts_K = np.unique(drawn_nD, axis=0, return_counts=True)
        log_p_DM = np.log(_softmax(logits_DM) + 1e-30)
        log_pi_K = np.take_along_axis(log_p_DM[None], index_KD[:, :, None], axis=-1).sum((1, 2))
        pi_K = np.exp(log_pi_K)
        beta_K = (1 - uniform) * pi_K + uniform * float(self.choices) ** -self.dimensions
        prior_K = counts_K * pi_K / beta_K
        return index_KD, prior_K / prior_K.sum()


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)
