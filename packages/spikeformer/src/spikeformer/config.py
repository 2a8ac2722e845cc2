"""What a spikeformer is made of: one frozen description, in files and in checkpoints."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Attention = Literal["linear", "coincidence", "softmax"]
Reset = Literal["subtract", "zero", "none"]
SurrogateName = Literal["fast_sigmoid", "arctan"]

MOST_STEPS = 64


@dataclass(frozen=True, kw_only=True)
class SpikeformerConfig:
    """Sizes and options of a `Spikeformer` and of its `dense_twin`.

    Args:
        vocab_size: number of tokens V, >= 2.
        dim: width D of the residual stream, a multiple of heads.
        heads: attention heads H, >= 1.
        layers: blocks, >= 1.
        steps: micro-steps T of a token, 1 to 64. The dense twin has none.
        mlp_ratio: width of the hidden layer of the MLP over dim, >= 1.
        attention: "linear" (retention, a state of fixed size), "coincidence" (masked products of scores and values) or
            "softmax" (over the same scores). See `spikeformer.pssa`.
        phase: shift queries and keys in spike time by their position. In the dense twin: rotary positions.
        learn_delay: learn the offset of the keys of each head, by interpolation between neighbouring shifts.
        delays: tokens K that every channel of a layer hears, the current one and K - 1 before it, each with a learned
            weight, >= 1; 1 for none before. The dense twin has them too.
        memory: carry attention state and slow traces from token to token without end. False: no slow trace, and the
            attention starts afresh at every multiple of segment tokens.
        segment: tokens between two fresh starts where memory is False, >= 1.
        context: keys that "coincidence" and "softmax" look back on, the token's own included, >= 1.
        chunk: tokens that the parallel forms take at once, >= 1. Changes speed, not results.
        beta: decay of the membranes a micro-step at the start of training, in (0, 1).
        threshold: of the membranes at the start of training, > 0.
        learn_neurons: learn beta and threshold of every channel.
        reset: what a spike does to the membrane: "subtract" the threshold, set to "zero", or "none".
        surrogate: stands in for the derivative of the spike: "fast_sigmoid" or "arctan".
        surrogate_slope: slope of the fast sigmoid, or alpha of the arctan, > 0.
        rate_band: firing rates, spikes a micro-step, that cost nothing in the rate loss: 0 < low < high < 1.
        tau_range: bounds of the slow traces' time constants in tokens, 0 < low < high.
        tie_embeddings: read the logits out with the embedding's own table.
        input_dim: width of spike trains or currents that the model takes in place of tokens; None: tokens only.

    Raises:
        TypeError: a whole number, a number, a flag or a pair is of another type.
        ValueError: a value is out of its range.
    """

    vocab_size: int = 256
    dim: int = 256
    heads: int = 8
    layers: int = 6
    steps: int = 4
    mlp_ratio: int = 4
    attention: Attention = "linear"
    phase: bool = True
    learn_delay: bool = False
    delays: int = 4
    memory: bool = True
    segment: int = 256
    context: int = 512
    chunk: int = 64
    beta: float = 0.5
    threshold: float = 1.0
    learn_neurons: bool = True
    reset: Reset = "subtract"
    surrogate: SurrogateName = "fast_sigmoid"
    surrogate_slope: float = 1.0
    rate_band: tuple[float, float] = (0.02, 0.15)
    tau_range: tuple[float, float] = (20.0, 2000.0)
    tie_embeddings: bool = True
    input_dim: int | None = None

    def __post_init__(self) -> None:
        for name in ("heads", "layers", "steps", "mlp_ratio", "segment", "context", "chunk", "dim", "delays"):
            self._check_whole(name, 1)
        self._check_whole("vocab_size", 2)
        if self.input_dim is not None:
            self._check_whole("input_dim", 1)
        for name in ("phase", "learn_delay", "memory", "learn_neurons", "tie_embeddings"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"SpikeformerConfig: {name} must be True or False, got {getattr(self, name)!r}")
        for name, allowed in (("attention", Attention), ("reset", Reset), ("surrogate", SurrogateName)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"SpikeformerConfig: {name} must be one of {', '.join(get_args(allowed))}, "
                    f"got {getattr(self, name)!r}"
                )
        if self.steps > MOST_STEPS:
            raise ValueError(f"SpikeformerConfig: steps must be at most {MOST_STEPS}, got {self.steps}")
        if self.dim % self.heads:
            raise ValueError(
                f"SpikeformerConfig: dim must be a multiple of heads, got dim={self.dim}, heads={self.heads}"
            )
        if self.learn_delay and not self.phase:
            raise ValueError("SpikeformerConfig: learn_delay=True needs phase=True, got phase=False")
        self._check_number("beta", 0, 1)
        self._check_number("threshold", 0, math.inf)
        self._check_number("surrogate_slope", 0, math.inf)
        self._check_pair("rate_band", 0, 1)
        self._check_pair("tau_range", 0, math.inf)

    @property
    def head_dim(self) -> int:
        """Width d of a head."""
        return self.dim // self.heads

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SpikeformerConfig:
        """What `to_dict` gave.

        Args:
            values: by name; names that are left out keep their defaults.

        Raises:
            ValueError: a name is unknown, or a value is out of its range.
            TypeError: a value is of another type.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"SpikeformerConfig: unknown {', '.join(unknown)}")
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**plain)

    def _check_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"SpikeformerConfig: {name} must be a whole number, got {value!r}")
        if value < least:
            raise ValueError(f"SpikeformerConfig: {name} must be at least {least}, got {value}")

    def _check_number(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"SpikeformerConfig: {name} must be a number, got {value!r}")
        if not low < value < high:
            raise ValueError(f"SpikeformerConfig: {name} must be between {low} and {high}, got {value}")

    def _check_pair(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(x, (int, float)) for x in value):
            raise TypeError(f"SpikeformerConfig: {name} must be a pair of numbers, got {value!r}")
        if not low < value[0] < value[1] < high:
            raise ValueError(
                f"SpikeformerConfig: {name} must be (low, high) with {low} < low < high < {high}, got {value}"
            )
