"""Start values of parameters: firing rates that neither die nor saturate, whatever the depth and the micro-steps.

Shapes: T micro-steps, N neurons.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from spikeformer.config import Reset, SpikeformerConfig
from spikeformer.lif import lif_steps

TARGET_RATE = 0.1
_NEURONS = 4096
_HALVINGS = 20

LinearFactory = Callable[..., nn.Module]


@functools.lru_cache(maxsize=64)
def current_gain(steps: int, beta: float, threshold: float, reset: Reset, *, rate: float = TARGET_RATE) -> float:
    """Standard deviation of normal currents at which neurons fire at a rate.

    Half of a current's variance is common to all micro-steps, half is drawn anew in each: between the constant currents
    of an embedding and those of spikes.

    Args:
        steps: T.
        beta: decay of the membrane a micro-step.
        threshold: of the membrane.
        reset: "subtract", "zero" or "none".
        rate: spikes a micro-step, in (0, 0.5).

    Returns:
        The standard deviation, > 0, within 1e-5 of itself.
    """
    generator = keyed_generator(0, "current gain")
    common_N = torch.randn(_NEURONS, generator=generator, dtype=torch.float64)
    own_TN = torch.randn(steps, _NEURONS, generator=generator, dtype=torch.float64)
    current_TN = (common_N + own_TN) / math.sqrt(2)
    low, high = 0.0, 100.0 * threshold
    for _ in range(_HALVINGS):
        middle = math.sqrt(max(low, 1e-3 * threshold) * high)
        spikes_TN, _ = lif_steps(middle * current_TN, None, beta=beta, threshold=threshold, reset=reset)
        low, high = (low, middle) if float(spikes_TN.mean()) > rate else (middle, high)
    return math.sqrt(low * high) if low else high


def gain_of(config: SpikeformerConfig) -> float:
    """`current_gain` of a model's neurons."""
    return current_gain(config.steps, config.beta, config.threshold, config.reset)


def make_linear(
    linear: LinearFactory, inputs: int, outputs: int, *, std: float, seed: int, name: str, bias: bool = False
) -> nn.Module:
    """Make a linear layer with normal weights that depend on seed and name alone.

    Args:
        linear: called as nn.Linear is, with (inputs, outputs, bias=bias); gives a module with a parameter `weight` of
            (outputs, inputs) and, with bias, one `bias` of (outputs,).
        inputs: width of its inputs.
        outputs: width of its outputs.
        std: standard deviation of the weights.
        seed: keys the draw.
        name: keys the draw.
        bias: whether it has one; it starts at zero.

    Returns:
        The layer.

    Raises:
        TypeError: the factory gave something else.
    """
    with torch.random.fork_rng(devices=[]):  # factories draw start values of their own from the global generator
        layer = linear(inputs, outputs, bias=bias)
    weight = getattr(layer, "weight", None)
    if not isinstance(layer, nn.Module) or not isinstance(weight, Tensor) or weight.shape != (outputs, inputs):
        raise TypeError(
            f"Spikeformer: linear must give a module with a weight of ({outputs}, {inputs}), got {type(layer).__name__}"
        )
    with torch.no_grad():
        weight.copy_(std * torch.randn(outputs, inputs, generator=keyed_generator(seed, f"weights {name}")))
        if bias:
            layer.bias.zero_()  # type: ignore[union-attr, operator]
    return layer
