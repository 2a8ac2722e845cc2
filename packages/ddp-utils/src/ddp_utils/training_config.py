"""What `train_model` is told, but for the model and its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddp_utils.precision import PrecisionName


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. A package adds what its own model needs in a subclass.

    Args:
        steps: optimizer steps, >= 0; at 0 the model stays as it was.
        global_batch: records a step over all processes; a multiple of group.
        group: records that the loss compares with one another; they stay together in one process.
        micro_batch: records at once on one process; 0 finds the largest that fits.
        learning_rate: peak of the schedule, > 0: linear warm-up over the first tenth, then a cosine to zero.
        clip_norm: largest gradient norm, > 0.
        held_out: share of the records kept for validation, in (0, 0.5].
        validate_every: steps between validations.
        patience: validations without improvement before the run stops.
        checkpoint_every: steps between checkpoints.
        keep: checkpoints that stay, >= 2.
        precision: "fp32", "bf16" or "fp16".
        bad_batches: allowed share of steps with a non-finite loss or gradient.

    Raises:
        ValueError: a value is out of its range.
    """

    steps: int = 400
    global_batch: int = 2048
    group: int = 256
    micro_batch: int = 0
    learning_rate: float = 0.01
    clip_norm: float = 10.0
    held_out: float = 0.02
    validate_every: int = 50
    patience: int = 5
    checkpoint_every: int = 100
    keep: int = 2
    precision: PrecisionName = "fp32"
    bad_batches: float = 0.001

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"steps must be at least 0, got {self.steps}")
        counts = ("global_batch", "group", "validate_every", "patience", "checkpoint_every")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.global_batch % self.group:
            raise ValueError(f"global_batch {self.global_batch} is not a multiple of group {self.group}")
        if self.micro_batch < 0 or self.micro_batch % self.group:
            raise ValueError(f"micro_batch must be 0 or a multiple of group {self.group}, got {self.micro_batch}")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if not 0 < self.held_out <= 0.5:
            raise ValueError(f"held_out must lie in (0, 0.5], got {self.held_out}")
        if self.keep < 2 or not 0 <= self.bad_batches <= 1:
            raise ValueError(
                f"expected keep >= 2 and bad_batches in [0, 1], got keep={self.keep}, bad_batches={self.bad_batches}"
            )


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Learning rate of a step, counted from 0: linear warm-up over a tenth of them, then half a cosine down to zero."""
    warmup = max(1, config.steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))
