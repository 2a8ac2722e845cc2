"""The dense twin: the same architecture and parameters without spikes.

Shapes: B sequences, L tokens, D channels, H heads, d channels of a head; tensors have a leading axis of one micro-step,
so that attention and state are those of the spiking model.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikeformer.attention import AttentionState
from spikeformer.block import EPS, QUIET_START, attend_segments, make_norm
from spikeformer.config import SpikeformerConfig
from spikeformer.model_state import LayerState
from spikeformer.phase import FRACTION
from spikeformer.slow_trace import SlowTrace
from spikeformer.start_values import LinearFactory, make_linear
from spikeformer.token_delays import TokenDelays
from spikeformer.token_model import TokenModel

_BASE = 10000.0


class Rotation(NamedTuple):
    """Cosines and sines of the rotary angles, each (L, d / 2)."""

    cos_LR: Tensor
    sin_LR: Tensor


def rotation(head_dim: int, length: int, *, start: int = 0, device: torch.device | str | None = None) -> Rotation:
    """Rotary angles of tokens, with frequencies in whole multiples of 2^-20 turns a token, exact at any position.

    Args:
        head_dim: d.
        length: L, tokens.
        start: position of the first token, >= 0.
        device: where they live.

    References:
        Su et al. (2021), arXiv 2104.09864, equation 15.
    """
    pairs = head_dim // 2
    turns_R = _BASE ** (-torch.arange(pairs, device=device, dtype=torch.float64) / max(pairs, 1)) / (2 * math.pi)
    position_L = (torch.arange(length, device=device) + start % FRACTION) % FRACTION
    angle_LR = (position_L[:, None] * (turns_R * FRACTION).round().long()) % FRACTION * (2 * math.pi / FRACTION)
    return Rotation(angle_LR.cos(), angle_LR.sin())


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate pairs (i, i + d / 2) of channels: (..., L, d), d even or its last channel left alone."""
    pairs = by.cos_LR.shape[-1]
    a, b, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    cos, sin = by.cos_LR.to(x.dtype), by.sin_LR.to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], -1)


class DenseBlock(nn.Module):
    """The block of the dense twin: GELU in place of the MLP's neurons, rotary positions in place of phases.

        n = delays(norm(x));   q, k, v = W_qkv n
        x = x + W_out norm_head(attention(q, k, v)) + W_trace trace(n)
        x = x + W_down gelu(W_up norm(x))

    Args:
        config: of the model.
        linear: makes the linear layers, as nn.Linear does.
        seed: of the start values.
        index: number of the block.
    """

    def __init__(self, config: SpikeformerConfig, linear: LinearFactory, *, seed: int, index: int) -> None:
        super().__init__()
        self.config = config = replace(config, attention="softmax") if config.attention == "coincidence" else config
        D, F = config.dim, config.mlp_ratio * config.dim

        def layer(name: str, inputs: int, outputs: int, std: float, *, bias: bool = False) -> nn.Module:
            std = std / math.sqrt(inputs)
            return make_linear(linear, inputs, outputs, std=std, seed=seed, name=f"{name} {index}", bias=bias)

        into_stream = 1 / math.sqrt(2 * config.layers)
        self.input_norm, self.delays = make_norm(D), TokenDelays(D, config.delays)
        self.qkv = layer("qkv", D, 3 * D, 1.0, bias=True)
        self.head_gain_D = nn.Parameter(torch.ones(D))
        self.out = layer("out", D, D, QUIET_START * into_stream)
        self.mlp_norm = make_norm(D)
        self.up = layer("up", D, F, 1.0, bias=True)
        self.down = layer("down", F, D, into_stream)
        if config.memory:
            self.trace = SlowTrace(config.heads, config.tau_range)
            self.trace_out = layer("trace", D, D, QUIET_START * into_stream)

    def forward(
        self, x_TBLD: Tensor, positions: Rotation | None, state: LayerState | None, position: int
    ) -> tuple[Tensor, LayerState, dict[str, Tensor]]:
        """Add to the residual stream; as `spikeformer.block.SpikingBlock.forward`, with T = 1 and no rates."""
        config = self.config
        normed_TBLD, delayed_TBPD = self.delays(self.input_norm(x_TBLD), state.delayed if state else None)
        o_TBLD, attention = self._attend(self.qkv(normed_TBLD), positions, state, position)
        x_TBLD = x_TBLD + self.out(o_TBLD)
        trace_BD = None
        if config.memory:
            trace_BLD, trace_BD = self.trace(normed_TBLD[0], state.trace if state else None, chunk=config.chunk)
            x_TBLD = x_TBLD + self.trace_out(trace_BLD)
        x_TBLD = x_TBLD + self.down(functional.gelu(self.up(self.mlp_norm(x_TBLD))))
        return x_TBLD, LayerState(attention, trace_BD, delayed_TBPD), {}

    def _attend(
        self, qkv_TBLE: Tensor, positions: Rotation | None, state: LayerState | None, position: int
    ) -> tuple[Tensor, AttentionState]:
        config = self.config
        T, B, L, _ = qkv_TBLE.shape
        q, k, v = qkv_TBLE.view(T, B, L, 3, config.heads, -1).permute(3, 0, 1, 4, 2, 5)
        if positions is not None:
            q, k = rotate(q, positions), rotate(k, positions)
        o_TBHLd, attention = attend_segments(
            config,
            q,
            k,
            v,
            position=position,
            state=state.attention if state else None,
            alpha=config.head_dim**-0.5,
            spikes=False,
        )
        o_TBLHd = functional.layer_norm(o_TBHLd.transpose(2, 3), (config.head_dim,), eps=EPS)
        o_TBLD = o_TBLHd.reshape(T, B, L, config.dim) * self.head_gain_D
        return o_TBLD.to(self.head_gain_D.dtype), attention


class DenseTwin(TokenModel):
    """The model without spikes; see `dense_twin`."""

    def __init__(self, config: SpikeformerConfig, *, seed: int = 0, linear: LinearFactory = nn.Linear) -> None:
        super().__init__(config, seed=seed, linear=linear)
        self.blocks = nn.ModuleList(DenseBlock(config, linear, seed=seed, index=i) for i in range(config.layers))

    def _encode(self, current: Tensor) -> Tensor:
        return current[None] if current.ndim == 3 else current.mean(0, keepdim=True)

    def _positions(self, position: int, length: int, device: torch.device) -> Rotation | None:
        return rotation(self.config.head_dim, length, start=position, device=device) if self.config.phase else None


def dense_twin(config: SpikeformerConfig, *, seed: int = 0, linear: LinearFactory = nn.Linear) -> DenseTwin:
    """The same architecture without spikes, to be trained beside a `Spikeformer` on the same data.

    Linear layers, norms, memory and readout are those of the spiking model, with the same shapes. It has no
    micro-steps, GELU in place of the MLP's neurons, nothing in place of the others, rotary positions in place of
    phases, and softmax attention in place of coincidence. It lacks the parameters of neurons (beta and threshold), of
    inhibition and of micro-steps: with `learn_neurons` (2 (6 + mlp_ratio) + 1) D a layer and 2 T D, 1% to 2% of all.

    Args:
        config: of the spiking model; steps, neurons and rate band do not matter but for the width of spike trains.
        seed: of the start values.
        linear: makes the linear layers, as for `Spikeformer`.

    Returns:
        A model with the same `forward`; its rates are empty and its rate loss is 0.
    """
    return DenseTwin(config, seed=seed, linear=linear)
