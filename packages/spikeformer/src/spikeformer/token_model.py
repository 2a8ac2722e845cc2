"""What a spikeformer and its dense twin have in common: tokens in, logits, state and rates out.

Shapes: T micro-steps (1 in the dense twin), B sequences, L tokens, D channels, V tokens of the vocabulary, I channels
of spike trains that come in, C neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn
from torch.nn import functional

from spikeformer.config import SpikeformerConfig
from spikeformer.membrane_control import rate_loss
from spikeformer.model_state import LayerState, SpikeformerState
from spikeformer.phase import phase_period
from spikeformer.start_values import LinearFactory, make_linear

_STATE_AXES = {
    "memory": ("micro-steps", "sequences", "heads", "head_dim", "head_dim"),
    "keys": ("micro-steps", "sequences", "heads", "keys", "head_dim"),
    "values": ("micro-steps", "sequences", "heads", "keys", "head_dim"),
    "trace": ("sequences", "channels"),
    "delayed": ("micro-steps", "sequences", "delayed tokens", "channels"),
}


@dataclass(frozen=True)
class SpikeformerOutput:
    """What a model makes of tokens.

    Args:
        logits: of the next token, (B, L, V).
        hidden: what the logits are read from, (B, L, D).
        state: after the last token.
        rates: spikes a neuron and micro-step, by "layers.I.NAME", scalars without gradient; empty in a dense twin.
        channel_rates: the same of every neuron, (C,), with gradient.
        rate_loss: how far the rates are outside config.rate_band, a scalar: the mean over the layers of
            `spikeformer.rate_loss`; 0 in a dense twin.
    """

    logits: Tensor
    hidden: Tensor
    state: SpikeformerState
    rates: dict[str, Tensor]
    channel_rates: dict[str, Tensor]
    rate_loss: Tensor


@dataclass(frozen=True)
class Features:
    """What a model reads its logits from.

    Args:
        hidden: (B, L, D).
        state: after the last token.
        channel_rates: spikes of every neuron a micro-step, (C,) by layer, with gradient.
    """

    hidden: Tensor
    state: SpikeformerState
    channel_rates: dict[str, Tensor]


def position_period(config: SpikeformerConfig) -> int:
    """Tokens after which positions come again: phases, rotary angles and segments are the same modulo this number."""
    return phase_period(config.steps) * config.segment


class TokenModel(nn.Module):
    """Embedding, blocks, readout. Subclasses give `blocks`, `_encode` and `_positions`.

    Args:
        config: sizes and options.
        seed: of the start values.
        linear: makes the linear layers between spikes, and the one that takes spike trains in.
    """

    blocks: nn.ModuleList

    def __init__(self, config: SpikeformerConfig, *, seed: int, linear: LinearFactory) -> None:
        super().__init__()
        self.config = config
        std = config.dim**-0.5  # logits of unit variance; _encode brings the currents to unit variance
        generator = keyed_generator(seed, "weights embedding")
        self.embedding_VD = nn.Parameter(std * torch.randn(config.vocab_size, config.dim, generator=generator))
        if config.input_dim is not None:
            std = config.input_dim**-0.5
            self.input = make_linear(linear, config.input_dim, config.dim, std=std, seed=seed, name="input", bias=True)
        self.final_norm = nn.LayerNorm(config.dim, eps=1e-5)
        if not config.tie_embeddings:
            std = config.dim**-0.5
            self.readout = make_linear(nn.Linear, config.dim, config.vocab_size, std=std, seed=seed, name="readout")

    def forward(self, x: Tensor, state: SpikeformerState | None = None) -> SpikeformerOutput:
        """Read tokens, or spike trains in their place.

        Args:
            x: tokens, int64 (or int32), in [0, V), (B, L); or spike trains or currents, floating point, (T, B, L, I).
            state: what an earlier call gave, to go on after its last token; None: at the start of a text.

        Returns:
            Logits, hidden values, state and firing rates.

        Raises:
            TypeError: x is neither of whole numbers nor floating point.
            ValueError: the shape of x, a token or the state does not fit. Under torch.compile tokens go unchecked.
        """
        features = self.features(x, state)
        return SpikeformerOutput(
            logits=self._read_out(features.hidden),
            hidden=features.hidden,
            state=features.state,
            rates={name: rate_C.detach().mean() for name, rate_C in features.channel_rates.items()},
            channel_rates=features.channel_rates,
            rate_loss=self.rate_loss(features.channel_rates),
        )

    def features(self, x: Tensor, state: SpikeformerState | None = None) -> Features:
        """What the logits are read from, without them; arguments and errors as for `forward`."""
        current = self._currents(x)
        x_TBLD = self._encode(current)
        self._check_state(state, x_TBLD)
        position, length = state.position if state else 0, x_TBLD.shape[2]
        positions = self._positions(position, length, x_TBLD.device)
        layers: list[LayerState] = []
        channel_rates: dict[str, Tensor] = {}
        for i, block in enumerate(self.blocks):
            x_TBLD, layer, rates = block(x_TBLD, positions, state.layers[i] if state else None, position)
            layers.append(layer)
            channel_rates |= {f"layers.{i}.{name}": rate_C for name, rate_C in rates.items()}
        hidden_BLD = self.final_norm(x_TBLD).mean(0)
        after = SpikeformerState(tuple(layers), (position + length) % position_period(self.config))
        return Features(hidden_BLD, after, channel_rates)

    def rate_loss(self, channel_rates: Mapping[str, Tensor]) -> Tensor:
        """Mean over the layers of how far their rates are outside the band; 0 without spiking layers.

        Args:
            channel_rates: of every layer, (C,) each.
        """
        if not channel_rates:
            return self.embedding_VD.new_zeros(())
        return torch.stack([rate_loss(rate_C, self.config.rate_band) for rate_C in channel_rates.values()]).mean()

    def _currents(self, x: Tensor) -> Tensor:
        """Embeddings of tokens, (B, L, D), or currents of spike trains, (T, B, L, D)."""
        config, name = self.config, type(self).__name__
        if not x.is_floating_point():
            if x.dtype not in (torch.int64, torch.int32):
                raise TypeError(f"{name}: expected tokens of int64 or spikes in floating point, got {x.dtype}")
            if x.ndim != 2 or not x.numel():
                raise ValueError(f"{name}: expected tokens of (B, L), at least one, got {tuple(x.shape)}")
            if not (torch.compiler.is_compiling() or x.is_meta):
                low, high = torch.stack(torch.aminmax(x)).tolist()
                if not 0 <= low <= high < config.vocab_size:
                    raise ValueError(f"{name}: tokens must be from 0 to {config.vocab_size - 1}, got {low} to {high}")
            return functional.embedding(x, self.embedding_VD) * math.sqrt(config.dim)
        if config.input_dim is None:
            raise ValueError(f"{name}: takes tokens; set input_dim in its configuration for spike trains")
        if x.ndim != 4 or x.shape[0] != config.steps or x.shape[3] != config.input_dim or not x.numel():
            raise ValueError(
                f"{name}: expected spike trains of ({config.steps}, B, L, {config.input_dim}), got {tuple(x.shape)}"
            )
        return self.input(x)

    def _check_state(self, state: SpikeformerState | None, x_TBLD: Tensor) -> None:
        if state is None:
            return
        config, (T, B, _, D), refusal = self.config, x_TBLD.shape, f"{type(self).__name__}: a state of"
        if len(state.layers) != config.layers:
            raise ValueError(f"{refusal} {len(state.layers)} layers does not fit {config.layers} layers")
        wanted = {"delayed"} | ({"memory"} if config.attention == "linear" else {"keys", "values"})
        wanted |= {"trace"} if config.memory else set()
        sizes = {"micro-steps": T, "sequences": B, "heads": config.heads, "head_dim": config.head_dim, "channels": D}
        sizes["delayed tokens"] = config.delays - 1
        for layer in state.layers:
            kept = {"memory": layer.attention.memory, "keys": layer.attention.keys, "values": layer.attention.values}
            kept |= {"trace": layer.trace, "delayed": layer.delayed}
            kept = {name: x for name, x in kept.items() if x is not None and x.ndim == len(_STATE_AXES[name])}
            if set(kept) != wanted:
                raise ValueError(
                    f"{refusal} {', '.join(kept)} does not fit attention={config.attention!r}, memory={config.memory}"
                )
            for name, tensor in kept.items():
                for axis, size in zip(_STATE_AXES[name], tensor.shape, strict=True):
                    if size != sizes.get(axis, size):
                        raise ValueError(f"{refusal} {size} {axis} does not fit {sizes[axis]} {axis}")

    def _read_out(self, hidden_BLD: Tensor) -> Tensor:
        if self.config.tie_embeddings:
            return functional.linear(hidden_BLD, self.embedding_VD)
        return self.readout(hidden_BLD)

    def _encode(self, current: Tensor) -> Tensor:
        """Residual currents at the start, (T, B, L, D)."""
        raise NotImplementedError

    def _positions(self, position: int, length: int, device: torch.device) -> Any:
        """What the blocks take as the positions of the tokens."""
        raise NotImplementedError
