"""Actions that take no notice of what is seen: what an agent that steers must beat."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from ddp_utils import keyed_numpy_generator

from evosnn.envs.steer_settings import ACTIONS

LEVELS = 3  # of each entry of an action: less, as given, more


@dataclass(frozen=True)
class ConstantAction:
    """The same action always.

    Args:
        action: one number in [-1, 1] an entry.
    """

    action: tuple[float, ...]

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The action, whatever is seen."""
        del observation
        return np.array(self.action, np.float32)


@dataclass(frozen=True)
class RandomActions:
    """Even draws of the actions that the agents have.

    Draws are keyed by what is seen, so that they depend neither on the order of evolutions nor on a break.

    Args:
        seed: keys the draws.
    """

    seed: int

    def act(self, observation: np.ndarray) -> np.ndarray:
        """An action that has nothing to do with what is seen."""
        seen = hashlib.blake2b(np.ascontiguousarray(observation, np.float32).tobytes(), digest_size=8).digest()
        rng = keyed_numpy_generator(self.seed, "random steering", int.from_bytes(seen, "little"))
        return rng.choice(np.linspace(-1, 1, LEVELS), len(ACTIONS)).astype(np.float32)
