"""Settings of the spiking language models: `neuro spike train`, `generate` and `eval --model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from spikeformer import LanguageModelConfig, SpikeformerConfig

SAMPLE_TEXT = "samples:lee"


@dataclass(frozen=True)
class TextDataSettings:
    """What a language model is trained on.

    Args:
        source: a folder of `neuro data tokenize`, or a text that is read as bytes: whatever that command takes, or
            samples:lee, 0.3 MB of news that come with gensim.
        validation: share of a text, its end, that is kept out; a folder has its own.
        verify: compare the checksums of a folder's files first.
    """

    source: str = SAMPLE_TEXT
    validation: float = 0.05
    verify: bool = True

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("data.source must name a text, got ''")
        if not 0 < self.validation <= 0.5:
            raise ValueError(f"data.validation must lie in (0, 0.5], got {self.validation}")


@dataclass(frozen=True)
class SpikeTrainSettings:
    """Settings of `neuro spike train`.

    Args:
        data: the text.
        kind: "spiking", "dense" for its twin, or "both", one after the other.
        model: sizes and options.
        train: how to train.
        seed: keys start values and where the streams begin.
        device: where to compute.
    """

    data: TextDataSettings = field(default_factory=TextDataSettings)
    kind: Literal["spiking", "dense", "both"] = "spiking"
    # small: some minutes on two cores
    model: SpikeformerConfig = field(
        default_factory=lambda: SpikeformerConfig(vocab_size=257, dim=128, heads=4, layers=2)
    )
    train: LanguageModelConfig = field(default_factory=lambda: LanguageModelConfig(steps=600, validate_every=100))
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class GenerateSettings:
    """Settings of `neuro spike generate`.

    Args:
        tokens: how many to make.
        temperature: less is safer; 0 takes the likeliest token.
        top_k: draw among the k likeliest tokens; 0: among all.
        seed: keys the draws.
        device: where to compute.
    """

    tokens: int = 400
    temperature: float = 0.8
    top_k: int = 0
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if not (self.tokens >= 0 and self.temperature >= 0 and self.top_k >= 0):
            raise ValueError(
                "tokens, temperature and top_k must not be negative, got "
                f"{self.tokens}, {self.temperature} and {self.top_k}"
            )


@dataclass(frozen=True)
class LanguageEvalSettings:
    """Settings of `neuro spike eval --model`.

    Args:
        streams: parts of the text that are read side by side, each from an empty state.
        length: tokens of each part at once.
        tokens: tokens of the text to use, from its start; 0 for all.
        sentence: what the raster shows.
        device: where to compute.
    """

    streams: int = 8
    length: int = 256
    tokens: int = 0
    sentence: str = "The spikes of a neuron carry meaning."
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.streams < 1 or self.length < 1 or self.tokens < 0 or not self.sentence:
            raise ValueError(
                f"expected streams >= 1, length >= 1, tokens >= 0 and a sentence, got {self.streams}, {self.length}, "
                f"{self.tokens} and {self.sentence!r}"
            )
