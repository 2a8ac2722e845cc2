"""Settings of `neuro spike`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from neuro.embed_settings import EvaluationSettings, VectorSettings

MethodName = Literal["ml", "bayes", "centre_of_mass", "linear"]
SAMPLE_MODEL = "samples:minilm"


@dataclass(frozen=True)
class CodeSettings:
    """A spike code.

    Args:
        neurons: neurons a dimension.
        steps: bins of a train.
        density: share of bins with a spike, in (0, 1).
        max_rate: rate at a neuron's preferred value in Hz.
        background: rate far from it in Hz.
        dt: width of a bin in ms.
        refractory: ms after a spike in which there is no other.
        scheme: how rates become spikes.
    """

    neurons: int = 100
    steps: int = 100
    density: float = 0.05
    max_rate: float = 1000.0
    background: float = 0.0
    dt: float = 1.0
    refractory: float = 0.0
    scheme: Literal["poisson", "rate", "latency", "phase", "burst"] = "poisson"

    def __post_init__(self) -> None:
        if self.neurons < 1 or self.steps < 1:
            raise ValueError(f"code.neurons and code.steps must be positive, got {self.neurons} and {self.steps}")
        if not 0 < self.density < 1:
            raise ValueError(f"code.density must lie between 0 and 1, got {self.density}")


@dataclass(frozen=True)
class TextSettings:
    """Whose tokens a text is made of.

    Args:
        model: samples:minilm, a folder of a transformers model, or a name on the hub.
        layer: 0 for the table of input embeddings, k for the output of the k-th encoder layer.
    """

    model: str = SAMPLE_MODEL
    layer: int = 0

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise ValueError(f"text.layer must be 0 or positive, got {self.layer}")


@dataclass(frozen=True)
class SpikeEncodeSettings:
    """Settings of `neuro spike encode`."""

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(source=SAMPLE_MODEL, limit=100))
    text: TextSettings = field(default_factory=TextSettings)
    code: CodeSettings = field(default_factory=CodeSettings)
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True)
class BinarySettings:
    """The binary code that spikes are put beside.

    Args:
        bits: its length; 0 leaves binary codes out.
        fitted_words: words that it is fitted to, drawn by key; 0 for all.
        rounds: rounds of its fit.
    """

    bits: int = 256
    fitted_words: int = 4000
    rounds: int = 1

    def __post_init__(self) -> None:
        if self.bits < 0 or self.fitted_words < 0 or self.rounds < 0:
            raise ValueError(f"binary settings must not be negative, got {self}")


@dataclass(frozen=True)
class SpikeEvalSettings:
    """Settings of `neuro spike eval`.

    Args:
        vectors: the vocabulary; samples:minilm is the whole table of 30,522 input embeddings.
        neurons: neurons a dimension of each code that is judged.
        steps: bins of each code that is judged, as many as there are `neurons`.
        method: the decoder.
        code: what the codes have in common; its own neurons and steps are not used.
        binary: the binary code beside them.
        evaluation: similarity sets, analogies and neighbours.
        seed: keys everything that is drawn.
        device: where to compute.
    """

    vectors: VectorSettings = field(default_factory=lambda: VectorSettings(source=SAMPLE_MODEL))
    neurons: tuple[int, ...] = (20, 50, 100)
    steps: tuple[int, ...] = (5, 20, 100)
    method: MethodName = "ml"
    code: CodeSettings = field(default_factory=CodeSettings)
    binary: BinarySettings = field(default_factory=BinarySettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.neurons or len(self.neurons) != len(self.steps):
            raise ValueError(
                f"neurons and steps must be as many, one pair a code, got {len(self.neurons)} and {len(self.steps)}"
            )
        if min(*self.neurons, *self.steps) < 1:
            raise ValueError(f"neurons and steps must be positive, got {self.neurons} and {self.steps}")


def fit_arguments(code: CodeSettings) -> dict[str, Any]:
    """A code's settings as `SpikeCodec.fit` and `TextSpikeEncoder` take them, but for neurons and steps."""
    names = ("density", "max_rate", "background", "dt", "refractory", "scheme")
    return {name: getattr(code, name) for name in names}
