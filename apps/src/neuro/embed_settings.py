"""Settings of `neuro embed` and `neuro quickstart`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from binemb.train_config import TrainConfig
from sdquant import CodecConfig


@dataclass(frozen=True)
class VectorSettings:
    """Which vectors.

    Args:
        source: sample name, file, or several joined by +.
        limit: words to read, from the start; 0 for all.
        duplicates: "drop" or "error".
        non_finite: "error" or "drop" rows with NaN or infinity.
    """

    source: str = "samples:glove-50d"
    limit: int = 0
    duplicates: Literal["drop", "error"] = "drop"
    non_finite: Literal["error", "drop"] = "error"

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"vectors.limit must be 0 (all) or positive, got {self.limit}")


@dataclass(frozen=True)
class EvaluationSettings:
    """How codes are judged.

    Args:
        pairs: word similarity sets, by name or path.
        analogies: analogy set, by name or path; "" for none.
        method: "add" (3CosAdd) or "mul" (3CosMul).
        k: neighbours a query of the recall.
        queries: words asked for in the recall.
    """

    pairs: tuple[str, ...] = ("wordsim353", "simlex999")
    analogies: str = "google"
    method: Literal["add", "mul"] = "add"
    k: int = 10
    queries: int = 1000

    def __post_init__(self) -> None:
        if self.k < 1 or self.queries < 1:
            raise ValueError(f"evaluation.k and evaluation.queries must be positive, got {self.k} and {self.queries}")


@dataclass(frozen=True)
class EmbedTrainSettings:
    """Settings of `neuro embed train`."""

    vectors: VectorSettings = field(default_factory=VectorSettings)
    bits: tuple[int, ...] = (256, 512, 1024)
    seed: int = 0
    device: str = "auto"
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        from binemb.matryoshka import check_levels

        check_levels(self.bits)


@dataclass(frozen=True)
class EmbedFitSettings:
    """Settings of `neuro embed fit`.

    Args:
        vectors: which; sources joined by + are parts of one codec, each decoded by itself.
        compression: bytes of the vectors in float32 over bytes of codec and codes, at least.
        held_out: words to keep out of the fit and to judge it by.
        seed: keys the fit and the choice of the held-out words.
        device: where to fit.
        codec: how to fit.
    """

    vectors: VectorSettings = field(default_factory=VectorSettings)
    compression: float = 50.0
    held_out: int = 0
    seed: int = 0
    device: str = "auto"
    codec: CodecConfig = field(default_factory=CodecConfig)

    def __post_init__(self) -> None:
        if self.held_out < 0:
            raise ValueError(f"held_out must not be negative, got {self.held_out}")
        if not 1 <= self.compression < float("inf"):
            raise ValueError(f"compression must be at least 1, got {self.compression}")


@dataclass(frozen=True)
class TrainedSettings:
    """Settings of what works on a trained model; empty vectors.source means those the model was trained on."""

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(source=""))


@dataclass(frozen=True)
class EmbedEvalSettings(TrainedSettings):
    """Settings of `neuro embed eval`."""

    seed: int = 0
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)


@dataclass(frozen=True)
class QuickstartSettings:
    """Settings of `neuro quickstart`."""

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(limit=50_000))
    bits: tuple[int, ...] = (256, 512, 1024)
    seed: int = 0
    device: str = "auto"
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    queries: tuple[str, ...] = ("paris", "guitar", "king - man + woman", "tokyo - japan + france")

    def __post_init__(self) -> None:
        from binemb.expression import parse_expression
        from binemb.matryoshka import check_levels

        check_levels(self.bits)
        for query in self.queries:
            parse_expression(query)
