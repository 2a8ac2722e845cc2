"""Neurons to and from snnTorch, with equal outputs and gradients. Needs the extra `spikeformer[snntorch]`."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from spikeformer.lif import LIF, Reset
from spikeformer.surrogate import Arctan, FastSigmoid, Surrogate

if TYPE_CHECKING:
    import snntorch


def to_snntorch(lif: LIF) -> snntorch.Leaky:
    """Make the snnTorch neuron that equals a `LIF`, called a step at a time: `spikes, membrane = leaky(x_t, membrane)`.

    Args:
        lif: the neurons; with `learn`, the values of beta and threshold at present become parameters, without the
            bounds (snnTorch cuts beta off at 0 and 1).

    Returns:
        A `snntorch.Leaky` with copies of beta and threshold.

    Raises:
        ValueError: lif has a clamp, which snnTorch lacks.
        ImportError: snnTorch is not installed.
    """
    if lif.clamp is not None:
        raise ValueError(f"to_snntorch: snntorch.Leaky has no clamp, and this LIF has clamp={lif.clamp}")
    snntorch = _import_snntorch()
    from snntorch.surrogate import atan, fast_sigmoid

    if isinstance(lif.surrogate, FastSigmoid):
        spike_grad = fast_sigmoid(lif.surrogate.slope)  # pyright: ignore[reportArgumentType] - any number will do
    else:
        spike_grad = atan(lif.surrogate.alpha)
    return snntorch.Leaky(
        beta=lif.beta.detach().clone(),
        threshold=lif.threshold.detach().clone(),  # pyright: ignore[reportArgumentType] - its text allows tensors
        spike_grad=spike_grad,
        learn_beta=lif.learn,
        learn_threshold=lif.learn,
        reset_mechanism=lif.reset,
    )


def from_snntorch(leaky: snntorch.Leaky) -> LIF:
    """Make the `LIF` that equals a snnTorch neuron.

    Args:
        leaky: with a beta and a threshold that are both learned or both not, of one value or one a channel.

    Returns:
        Neurons with copies of its beta (cut off at 0 and 1, as snnTorch does) and threshold.

    Raises:
        TypeError: leaky is no `snntorch.Leaky`, but for example a neuron with a synapse.
        ValueError: it has something that a LIF lacks: inhibition, a quantised state, graded spikes, a reset without
            delay, a hidden state, another surrogate; or values that a LIF refuses.
        ImportError: snnTorch is not installed.
    """
    snntorch = _import_snntorch()
    if type(leaky) is not snntorch.Leaky:
        raise TypeError(f"from_snntorch: leaky must be a snntorch.Leaky, got {type(leaky).__name__}")
    learn = isinstance(leaky.beta, nn.Parameter)
    lacking = {
        "inhibition": leaky.inhibition,
        "state_quant": leaky.state_quant,
        "graded_spikes_factor": bool((leaky.graded_spikes_factor != 1).any()),
        "learn_graded_spikes_factor": isinstance(leaky.graded_spikes_factor, nn.Parameter),
        "reset_delay=False": not leaky.reset_delay,
        "init_hidden": leaky.init_hidden,
        "surrogate_disable": leaky.surrogate_disable,
        "one of learn_beta and learn_threshold without the other": isinstance(leaky.threshold, nn.Parameter) != learn,
    }
    found = [name for name, there in lacking.items() if there]
    if found:
        raise ValueError(f"from_snntorch: a LIF has no {', '.join(found)}")
    beta_C, threshold_C = leaky.beta.detach().clamp(0, 1), leaky.threshold.detach()
    sizes = {x_C.numel() for x_C in (beta_C, threshold_C)}
    if max(beta_C.ndim, threshold_C.ndim) > 1 or len(sizes - {1}) > 1:
        raise ValueError(
            f"from_snntorch: beta and threshold must have one value or one a channel, got shapes "
            f"{tuple(beta_C.shape)} and {tuple(threshold_C.shape)}"
        )
    channels = None if max(sizes) == 1 else max(sizes)
    return LIF(
        channels,
        beta=_value(beta_C),
        threshold=_value(threshold_C),
        reset=cast("Reset", leaky.reset_mechanism),
        surrogate=_surrogate_of(leaky.spike_grad),
        learn=learn,
    )


def _value(x_C: Tensor) -> Tensor:
    x_C = x_C if x_C.is_floating_point() else x_C.to(torch.get_default_dtype())
    return x_C.reshape(()) if x_C.numel() == 1 else x_C


def _import_snntorch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says about its own dependencies
        import snntorch
    return snntorch


def _surrogate_of(spike_grad: Any) -> Surrogate:
    """The surrogates of snnTorch are functions that hold their parameter in a closure."""
    place = f"{getattr(spike_grad, '__module__', '')}.{getattr(spike_grad, '__qualname__', '')}"
    if place == "snntorch.surrogate.fast_sigmoid.<locals>.inner":
        return FastSigmoid(inspect.getclosurevars(spike_grad).nonlocals["slope"])
    if place == "snntorch.surrogate.atan.<locals>.inner":
        return Arctan(inspect.getclosurevars(spike_grad).nonlocals["alpha"])
    raise ValueError(
        f"from_snntorch: the surrogate must be fast_sigmoid or atan of snntorch.surrogate, got {spike_grad!r}"
    )
