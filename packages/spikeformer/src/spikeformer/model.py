"""The spiking language model.

Shapes: T micro-steps, B sequences, L tokens, D channels.
"""

from __future__ import annotations

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from spikeformer.block import SpikingBlock
from spikeformer.config import SpikeformerConfig
from spikeformer.phase import PhaseShifts, phases
from spikeformer.start_values import LinearFactory
from spikeformer.token_model import TokenModel

_STEP_BIAS = 0.1  # spread of the currents that tell the micro-steps of a token apart, of a signal of unit variance


class Spikeformer(TokenModel):
    """A transformer whose linear layers get spikes, causal, with explicit state.

        x[t] = embedding * gain[t] + bias[t]          currents of T micro-steps, the same for all positions
        x = block(x), layer by layer                  `spikeformer.block.SpikingBlock`
        logits = mean_t norm(x[t]) E^T                E the embedding, or a readout of its own

    Calling it on a text at once, or on its parts with the state handed on, gives the same up to rounding. A spike is a
    threshold of such sums, so rounding can turn one; in float64 it hardly ever does.

    Args:
        config: sizes and options.
        seed: of the start values, any integer. The global random generator stays as it is.
        linear: makes the linear layers, called as nn.Linear is with (inputs, outputs, bias=bias); for example
            `sdquant.BitLinear` for ternary weights. The module it gives has a parameter `weight`.

    Raises:
        TypeError: the factory gives no linear layer.

    References:
        Zhou et al. (2023), arXiv 2209.15425: spikformer, spiking self-attention without softmax.
        Sun et al. (2023), arXiv 2307.08621: retention.
        Departs from both: queries and keys are shifted in spike time by their position; normalised currents in a
        residual stream of currents (pre-norm) in place of batch norm; slow traces as a second memory.
    """

    def __init__(self, config: SpikeformerConfig, *, seed: int = 0, linear: LinearFactory = nn.Linear) -> None:
        super().__init__(config, seed=seed, linear=linear)
        shape = (config.steps, config.dim)
        self.step_gain_TD = nn.Parameter(torch.ones(shape))
        generator = keyed_generator(seed, "weights micro-steps")
        self.step_bias_TD = nn.Parameter(_STEP_BIAS * torch.randn(shape, generator=generator))
        self.blocks = nn.ModuleList(SpikingBlock(config, linear, seed=seed, index=i) for i in range(config.layers))

    def _encode(self, current: Tensor) -> Tensor:
        return current * self.step_gain_TD[:, None, None] + self.step_bias_TD[:, None, None]

    def _positions(self, position: int, length: int, device: torch.device) -> PhaseShifts | None:
        config = self.config
        if not config.phase:
            return None
        offset = not config.learn_delay  # learned delays stand in for the fixed offsets
        return phases(config.heads, length, config.steps, start=position, key_offset=offset, device=device)
