"""What `train_language_model` is told, but for the model and its text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddp_utils import PrecisionName


@dataclass(frozen=True)
class LanguageModelConfig:
    """How to train a language model.

    Args:
        steps: optimizer steps, >= 1.
        global_batch: streams of text that are read side by side, over all processes, >= 1.
        length: tokens of each stream a step, >= 1; gradients go back no further.
        micro_batch: streams at once on one process; 0 finds the largest number that fits.
        carry: steps after which the state of the streams starts anew, >= 1; 1 carries nothing over.
        learning_rate: peak of the schedule, > 0.
        warmup: share of the steps in which the rate rises to its peak, in [0, 1).
        final_rate: share of the peak that a cosine ends at, in [0, 1].
        weight_decay: of all matrices, >= 0; per unit of the learning rate.
        clip_norm: largest gradient norm, > 0.
        rate_weight: of the loss that keeps firing rates in the model's band, >= 0, beside nats a token.
        validate_every: steps between validations.
        validation_streams: parts of the validation text that are read side by side, each from an empty state.
        validation_tokens: tokens to validate on, from the start; 0 for all.
        patience: validations without improvement before the run stops.
        checkpoint_every: steps between checkpoints.
        keep: checkpoints that stay, >= 2.
        precision: "fp32", "bf16" or "fp16".
        bad_batches: allowed share of steps with a non-finite loss or gradient.

    Raises:
        ValueError: a value is out of its range.
    """

    steps: int = 2000
    global_batch: int = 16
    length: int = 256
    micro_batch: int = 0
    carry: int = 64
    learning_rate: float = 2e-3
    warmup: float = 0.05
    final_rate: float = 0.05
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    rate_weight: float = 0.25
    validate_every: int = 200
    validation_streams: int = 8
    validation_tokens: int = 0
    patience: int = 10
    checkpoint_every: int = 200
    keep: int = 2
    precision: PrecisionName = "fp32"
    bad_batches: float = 0.001

    def __post_init__(self) -> None:
        counts = ("steps", "global_batch", "length", "carry", "validate_every", "validation_streams", "patience")
        for name in (*counts, "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("micro_batch", "validation_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("weight_decay", "rate_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or positive and finite, got {getattr(self, name)}")
        if not 0 <= self.warmup < 1 or not 0 <= self.final_rate <= 1:
            raise ValueError(
                f"expected warmup in [0, 1) and final_rate in [0, 1], got {self.warmup} and {self.final_rate}"
            )
        if self.keep < 2 or not 0 <= self.bad_batches <= 1:
            raise ValueError(
                f"expected keep >= 2 and bad_batches in [0, 1], got keep={self.keep}, bad_batches={self.bad_batches}"
            )

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step.

            r (k + 1) / w                                       for k < w = warmup * steps
            r (f + (1 - f) (1 + cos(pi (k - w) / (steps - w))) / 2)    afterwards

        Args:
            step: k, counted from 0.

        References:
            Loshchilov, Hutter (2017), SGDR, arXiv 1608.03983, equation 5.
        """
        warmup = round(self.warmup * self.steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        down = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.steps - warmup)))
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * down)
