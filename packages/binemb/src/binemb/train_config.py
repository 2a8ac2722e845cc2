"""How a `MatryoshkaBinarizer` is trained."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field

from ddp_utils.training_config import TrainingConfig


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss, >= 0; 0 leaves it out.

    Args:
        reconstruction: direction and distance of the decoded vectors, per level.
        similarity: the codes' similarities against the vectors', per level.
        contrastive: a vector's code against that of the nearest vector of its group, among all others, per level.
        balance: every bit set in half of the records.
        decorrelation: no two bits alike.
        uniformity: codes spread over all there are, per level.
    """

    reconstruction: float = 1.0
    similarity: float = 10.0
    contrastive: float = 0.0
    balance: float = 0.0
    decorrelation: float = 0.0
    uniformity: float = 0.0

    def __post_init__(self) -> None:
        weights = astuple(self)
        if not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
            raise ValueError(f"loss weights must be >= 0, finite and not all 0, got {self}")


@dataclass(frozen=True)
class TrainConfig(TrainingConfig):
    """How to train: first `steps` of gradient descent on the projection, then `rounds` of signs and decoders in turn.

    Args:
        steps: gradient steps, >= 0; the start by ITQ leaves them little to gain, and 0 is the default.
        rounds: rounds of signs and decoders in turn, >= 0, at most: they end after `patience` of them without gain on
            held-out vectors. 0 keeps the signs of the projection, whose decoders are
            those of the gradient steps (or of least squares where there are none).
        pull: of every bit towards the sign of its projection, >= 0. The default serves Hamming distances and decoding
            at once. At 0 all bits serve decoding: decoded vectors come closest, levels refine one another, and Hamming
            distances of more than the first level mean little.
        fitted_rows: rows that a round is fitted to at least, >= 1; eight a bit where that is more.
        components: principal components dropped in the preparation, >= 0.
        weights: weight of each loss of the gradient steps and of the validation.
    """

    steps: int = 0
    rounds: int = 8
    pull: float = 0.5
    fitted_rows: int = 32_768
    components: int = 2
    weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rounds", "components"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not 0 <= self.pull < math.inf:
            raise ValueError(f"pull must be >= 0 and finite, got {self.pull}")
        if self.pull == 0 and self.steps and self.rounds:
            raise ValueError("steps move the projection, which rounds with pull=0 leave out: set steps=0 or rounds=0")
        if self.fitted_rows < 1:
            raise ValueError(f"fitted_rows must be at least 1, got {self.fitted_rows}")
