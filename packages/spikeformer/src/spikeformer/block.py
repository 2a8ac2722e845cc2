"""One spiking block: attention, working memory and MLP around a residual stream of membrane currents.

Shapes: T micro-steps, B sequences, L tokens, D channels, E = 3 D, F hidden channels of the MLP, H heads, d = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikeformer.attention import AttentionState, attend, inhibited, mix_neighbours
from spikeformer.config import SpikeformerConfig
from spikeformer.lif import LIF
from spikeformer.model_state import LayerState
from spikeformer.phase import PhaseShifts, split_heads
from spikeformer.slow_trace import SlowTrace
from spikeformer.start_values import TARGET_RATE, LinearFactory, gain_of, make_linear
from spikeformer.surrogate import Arctan, FastSigmoid
from spikeformer.token_delays import TokenDelays

EPS = 1e-5
# variance below which a head's currents are taken as silence: that of few coincidences, or of means for softmax
HEAD_EPS = {"linear": 0.3, "coincidence": 0.3, "softmax": 1e-4}
QUIET_START = 0.1  # share of its weight with which what comes of other tokens starts: before training it is noise
SPARSE = math.sqrt(TARGET_RATE)  # root mean square of spikes at the target rate


def make_lif(config: SpikeformerConfig, channels: int, *, scale: float = 1.0) -> LIF:
    """The neurons of a layer as the configuration wants them.

    Args:
        config: of the model.
        channels: how many.
        scale: of the currents that they get, > 0; threshold and width of the surrogate are as much smaller.
    """
    kind = FastSigmoid if config.surrogate == "fast_sigmoid" else Arctan
    return LIF(
        channels,
        beta=config.beta,
        threshold=config.threshold * scale,
        reset=config.reset,
        surrogate=kind(config.surrogate_slope / scale),
        learn=config.learn_neurons,
    )


def make_norm(channels: int, gain: float = 1.0) -> nn.LayerNorm:
    """Norm over the channels with a learned gain each, all the same at the start, and a learned offset."""
    norm = nn.LayerNorm(channels, eps=EPS)
    nn.init.constant_(norm.weight, gain)
    return norm


def fresh_starts(config: SpikeformerConfig, position: int, length: int) -> Iterator[tuple[int, int, bool]]:
    """Cut tokens where attention starts afresh.

    Args:
        config: has a working memory (then there is one piece) or segments.
        position: of the first token.
        length: number of tokens.

    Yields:
        First token and end of each piece, counted from the first token, and whether the state before it is cleared.
    """
    if config.memory or not length:
        yield 0, length, False
        return
    start = 0
    while start < length:
        stop = min(length, start + config.segment - (position + start) % config.segment)
        yield start, stop, (position + start) % config.segment == 0
        start = stop


def attend_segments(
    config: SpikeformerConfig,
    q_TBHLd: Tensor,
    k_TBHLd: Tensor,
    v_TBHLd: Tensor,
    *,
    position: int,
    state: AttentionState | None,
    alpha: float | Tensor,
    spikes: bool,
) -> tuple[Tensor, AttentionState]:
    """`spikeformer.attention.attend`, afresh at every segment where the model has no working memory."""
    outputs = []
    for start, stop, fresh in fresh_starts(config, position, q_TBHLd.shape[3]):
        output, state = attend(
            q_TBHLd[:, :, :, start:stop],
            k_TBHLd[:, :, :, start:stop],
            v_TBHLd[:, :, :, start:stop],
            mode=config.attention,
            alpha=alpha,
            context=config.context,
            state=None if fresh else state,
            chunk=config.chunk,
            spikes=spikes,
        )
        outputs.append(output)
    assert state is not None
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 3), state


class SpikingBlock(nn.Module):
    """A block whose linear layers get spikes, all but W_trace, which gets averages of them, and give currents.

        s = LIF(delays(norm(x)));         q, k, v = LIF(W_qkv s)
        x = x + W_out LIF(norm_head(PSSA(q - c, k, v))) + W_trace trace(mean_T s)
        x = x + W_down LIF(W_up LIF(norm(x)))

    Membranes start at zero for every token, so the tokens are computed at once. c is learned and starts at the rate at
    which queries fire: what coincides by chance is taken off, see `pssa`.

    Args:
        config: of the model.
        linear: makes the linear layers, as nn.Linear does.
        seed: of the start values.
        index: number of the block.
    """

    def __init__(self, config: SpikeformerConfig, linear: LinearFactory, *, seed: int, index: int) -> None:
        super().__init__()
        self.config = config
        D, F, gain = config.dim, config.mlp_ratio * config.dim, gain_of(config)

        def layer(name: str, inputs: int, outputs: int, std: float, *, bias: bool = False) -> nn.Module:
            std = std / math.sqrt(inputs)  # currents of standard deviation SPARSE * std from spikes at the target rate
            return make_linear(linear, inputs, outputs, std=std, seed=seed, name=f"{name} {index}", bias=bias)

        into_stream = 1 / math.sqrt(2 * config.layers)
        self.input_norm, self.input_lif = make_norm(D, gain), make_lif(config, D)
        self.delays = TokenDelays(D, config.delays)
        self.qkv, self.qkv_lif = layer("qkv", D, 3 * D, gain, bias=True), make_lif(config, 3 * D, scale=SPARSE)
        self.inhibition_Hd = nn.Parameter(torch.full((config.heads, config.head_dim), TARGET_RATE))
        self.head_gain_D, self.attention_lif = nn.Parameter(torch.full((D,), gain)), make_lif(config, D)
        self.out = layer("out", D, D, QUIET_START * into_stream)
        self.mlp_norm, self.mlp_input_lif = make_norm(D, gain), make_lif(config, D)
        self.up, self.mlp_lif = layer("up", D, F, gain, bias=True), make_lif(config, F, scale=SPARSE)
        self.down = layer("down", F, D, into_stream)
        if config.attention == "softmax":
            self.alpha_H = nn.Parameter(torch.full((config.heads,), config.head_dim**-0.5))
        if config.learn_delay:
            spread_H = torch.arange(config.heads, dtype=torch.float32) * config.steps / config.heads
            self.delay_H = nn.Parameter(spread_H)
        if config.memory:
            self.trace = SlowTrace(config.heads, config.tau_range)
            std = QUIET_START * into_stream / math.sqrt(D)
            self.trace_out = make_linear(linear, D, D, std=std, seed=seed, name=f"trace {index}")

    def forward(
        self, x_TBLD: Tensor, phases: PhaseShifts | None, state: LayerState | None, position: int
    ) -> tuple[Tensor, LayerState, dict[str, Tensor]]:
        """Add to the residual stream.

        Args:
            x_TBLD: residual currents, (T, B, L, D).
            phases: shifts of the tokens' heads.
            state: after the tokens before these.
            position: of the first token.

        Returns:
            Residual currents, (T, B, L, D); the state after the last token; spikes of every channel a micro-step, by
            the name of the neurons, (C,).
        """
        config = self.config
        current_TBLD, delayed_TBPD = self.delays(self.input_norm(x_TBLD), state.delayed if state else None)
        spikes_TBLD, input_D = fire(self.input_lif, current_TBLD)
        qkv_TBLE, qkv_E = fire(self.qkv_lif, self.qkv(spikes_TBLD))
        o_TBLD, attention = self._attend(qkv_TBLE, phases, state, position)
        attended_TBLD, attended_D = fire(self.attention_lif, o_TBLD)
        x_TBLD = torch.add(x_TBLD, self.out(attended_TBLD), alpha=1 / SPARSE)
        trace_BD = None
        if config.memory:
            rates_BLD, before_BD = mean_over_steps(spikes_TBLD), state.trace if state else None
            trace_BLD, trace_BD = self.trace(rates_BLD, before_BD, chunk=config.chunk)
            x_TBLD = x_TBLD + self.trace_out(trace_BLD)
        mlp_input_TBLD, mlp_input_D = fire(self.mlp_input_lif, self.mlp_norm(x_TBLD))
        mlp_TBLF, mlp_F = fire(self.mlp_lif, self.up(mlp_input_TBLD))
        x_TBLD = torch.add(x_TBLD, self.down(mlp_TBLF), alpha=1 / SPARSE)

        query_D, key_D, value_D = qkv_E.chunk(3)
        rates = {"input": input_D, "query": query_D, "key": key_D, "value": value_D}
        rates |= {"attention": attended_D, "mlp_input": mlp_input_D, "mlp": mlp_F}
        return x_TBLD, LayerState(attention, trace_BD, delayed_TBPD), rates

    def _attend(
        self, qkv_TBLE: Tensor, phases: PhaseShifts | None, state: LayerState | None, position: int
    ) -> tuple[Tensor, AttentionState]:
        """Currents of the attention, normalised by head, (T, B, L, D)."""
        config = self.config
        if config.learn_delay and phases is not None:
            whole_H = self.delay_H.detach().floor().long()
            phases = PhaseShifts(phases.query_LH, (phases.query_LH + whole_H) % config.steps, config.steps)
        q, k, v = split_heads(qkv_TBLE, phases, config.heads)
        q = inhibited(q, self.inhibition_Hd)
        if config.learn_delay:
            k = mix_neighbours(k, self.delay_H)
        o_TBHLd, attention = attend_segments(
            config,
            q,
            k,
            v,
            position=position,
            state=state.attention if state else None,
            alpha=self.alpha_H if config.attention == "softmax" else 1.0,
            spikes=not config.learn_delay,
        )
        o_TBLHd = functional.layer_norm(o_TBHLd.transpose(2, 3), (config.head_dim,), eps=HEAD_EPS[config.attention])
        o_TBLD = o_TBLHd.reshape(*qkv_TBLE.shape[:3], config.dim) * self.head_gain_D
        return o_TBLD.to(self.head_gain_D.dtype), attention


def fire(lif: LIF, current: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of neurons whose membranes start at zero, and their firing rates.

    Args:
        lif: the neurons.
        current: (T, ..., C).

    Returns:
        Spikes, (T, ..., C), and spikes of every channel a micro-step, (C,), at least float32.
    """
    spikes, rate_C = _WithRates.apply(lif(current)[0])
    return spikes, rate_C


class _WithRates(torch.autograd.Function):
    """Spikes as they are and their mean; both gradients go back in one pass over the spikes."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.n, ctx.shape, ctx.dtype = spikes.numel() // spikes.shape[-1], spikes.shape, spikes.dtype
        dtype = torch.promote_types(spikes.dtype, torch.float32)
        counts = spikes.sum(0)  # at most MOST_STEPS, exact in bfloat16 and float16, and less to widen
        return spikes.view_as(spikes), counts.flatten(0, -2).sum(0, dtype=dtype) / ctx.n

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, gradient_C: Tensor | None) -> Tensor | None:  # type: ignore[override]
        if gradient_C is None:
            return gradient
        every_C = (gradient_C / ctx.n).to(ctx.dtype)
        return every_C.expand(ctx.shape) if gradient is None else gradient + every_C


def mean_over_steps(spikes: Tensor) -> Tensor:
    """Firing rates of a token: (T, ...) to (...), at least float32."""
    return spikes.mean(0, dtype=torch.promote_types(spikes.dtype, torch.float32))
