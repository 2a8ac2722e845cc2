"""How a `MatryoshkaBinarizer` is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ddp_utils.training_config import TrainingConfig


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss, >= 0; 0 leaves it out.

    Args:
        reconstruction: direction and distance of the decoded vectors, per level.
        similarity: the codes' similarities against the vectors', per level.
    """

    reconstruction: float = 1.0
    similarity: float = 10.0

    def __post_init__(self) -> None:
        lowest, total = min(self.reconstruction, self.similarity), self.reconstruction + self.similarity
        if not (lowest >= 0 and 0 < total < math.inf):
            raise ValueError(f"loss weights must be >= 0, finite and not all 0, got {self}")


@dataclass(frozen=True)
class TrainConfig(TrainingConfig):
    """How to train: what every training run is told, and two settings more.

    Args:
        components: principal components dropped in the preparation, >= 0.
        weights: weight of each loss.
    """

    components: int = 2
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.components < 0:
            raise ValueError(f"components must be >= 0, got {self.components}")
