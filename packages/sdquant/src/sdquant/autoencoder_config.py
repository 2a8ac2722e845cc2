"""How a `BinaryAutoencoder` is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ddp_utils.training_config import TrainingConfig


@dataclass(frozen=True)
class AutoencoderLossWeights:
    """Weight of each loss, >= 0; 0 leaves it out.

    Args:
        reconstruction: squared error of decoded vectors, over the variance.
        distances: squared error of squared distances between decoded vectors, within a group.
        identity: how well a decoded vector tells its own from the others of its group.

    Raises:
        ValueError: a weight is negative or not finite, or all are 0.
    """

    reconstruction: float = 1.0
    distances: float = 0.1
    identity: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.reconstruction, self.distances, self.identity)
        if not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
            raise ValueError(f"loss weights must be >= 0, finite and not all 0, got {self}")


@dataclass(frozen=True)
class AutoencoderConfig(TrainingConfig):
    """How to train: what every training run is told, and the loss.

    Args:
        learning_rate: in units of a layer's weights.
        loss_weights: weight of each loss.
    """

    steps: int = 1000
    learning_rate: float = 0.1
    loss_weights: AutoencoderLossWeights = field(default_factory=AutoencoderLossWeights)
