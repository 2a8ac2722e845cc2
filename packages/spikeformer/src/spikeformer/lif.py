"""Leaky integrate-and-fire neurons over many steps.

Shapes: T steps, C channels; time leads and the channel is last: current (T, ..., C), state (..., C).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeformer.surrogate import SURROGATES, FastSigmoid, Surrogate

Reset = Literal["subtract", "zero", "none"]
_FLOATS = {
    torch.float64: torch.float64,
    torch.float32: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}


def lif_steps(
    current: Tensor,
    state: Tensor | None = None,
    *,
    beta: float | Tensor,
    threshold: float | Tensor,
    reset: Reset = "subtract",
    surrogate: Surrogate = FastSigmoid(25.0),  # noqa: B008 - it cannot be changed
    clamp: tuple[float, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """Run leaky integrate-and-fire neurons over all steps of their input.

        r_t = H(m_{t-1} - threshold)
        m_t = beta m_{t-1} + x_t - threshold r_t         reset "subtract"
        m_t = beta (1 - r_t) m_{t-1} + x_t               reset "zero"
        m_t = beta m_{t-1} + x_t                         reset "none"
        s_t = H(m_t - threshold),   H(u) = 1 for u > 0, else 0

    In backward the derivative of H is the surrogate's in s, and 0 in r. So a neuron is reset a step after its spike,
    and no gradient goes through the reset but that of the threshold it subtracts.

    Chunks join exactly: with the state of one chunk, the next gives what one call over both gives, bit for bit.
    Backward needs the current and the state alone, no memory beside them from forward. It computes in float32 for
    float32 and shorter, in float64 for float64. Second derivatives are not defined.

    Args:
        current: x, float32, float64, bfloat16 or float16, (T, ..., C), T >= 1.
        state: potential before the first step, (..., C), float64 for a float64 current, else float32. None for zeros;
            pass the state that the last chunk gave, detached to end the gradient there.
        beta: share of the potential left after a step: a number in [0, 1], or a tensor of one or C values in that
            range (not checked). Tensors get gradients.
        threshold: a number > 0, or a tensor of one or C positive values (not checked). Tensors get gradients.
        reset: "subtract", "zero" or "none".
        surrogate: derivative of H in backward.
        clamp: least and greatest potential; m_t is cut off there after the reset, with gradient 0 at or beyond the
            bounds. None for no bounds.

    Returns:
        Spikes, 0 or 1, of the current's shape and type; and the state after the last step, (..., C).

    Raises:
        TypeError: a tensor has another type, or surrogate is none.
        ValueError: a shape does not fit, a number is out of range, or reset is unknown.

    References:
        Eshraghian et al. (2023), Training Spiking Neural Networks Using Lessons From Deep Learning, Proceedings of the
        IEEE 111(9), arXiv:2109.12894, section II; the numbers are those of `snntorch.Leaky` with its reset delay.
    """
    from spikeformer.kernels import operators

    dtype = _check_inputs(current, state, reset, surrogate)
    beta_C = _per_channel("beta", beta, current, dtype)
    threshold_C = _per_channel("threshold", threshold, current, dtype)
    if len(beta_C) != len(threshold_C):
        beta_C, threshold_C = beta_C.expand(current.shape[-1]), threshold_C.expand(current.shape[-1])
    bounds = [] if clamp is None else list(_check_clamp(clamp))
    return operators.lif_forward(current, state, beta_C, threshold_C, reset, bounds, list(surrogate.coefficients))


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons as a module: `spikes, state = lif(current, state)`; see `lif_steps`.

    With `learn`, beta and threshold are trained through parameters without bounds:

        beta = sigmoid(beta_logit),   threshold = softplus(threshold_raw)

    so that no step of an optimizer leaves 0 <= beta <= 1 and threshold >= 0.

    Args:
        channels: C, to give every channel a beta and a threshold of its own; None for one of each.
        beta: share of the potential left after a step, or where learning begins: a number or a tensor of C values,
            in [0, 1]; with `learn`, inside.
        threshold: a number or a tensor of C values, > 0.
        reset: "subtract", "zero" or "none".
        surrogate: derivative of the spike in backward.
        learn: train beta and threshold.
        clamp: least and greatest potential, or None.

    Raises:
        TypeError: surrogate is none.
        ValueError: a value is out of range, or its shape is not (channels,).
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        beta: float | Tensor = 0.9,
        threshold: float | Tensor = 1.0,
        reset: Reset = "subtract",
        surrogate: Surrogate = FastSigmoid(25.0),  # noqa: B008 - it cannot be changed
        learn: bool = False,
        clamp: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if channels is not None and channels < 1:
            raise ValueError(f"LIF: channels must be >= 1 or None, got {channels}")
        _check_settings("LIF", reset, surrogate)
        self.channels, self.surrogate, self.learn = channels, surrogate, learn
        self.reset: Reset = reset
        self.clamp = None if clamp is None else _check_clamp(clamp, "LIF")
        beta_C = _start("beta", beta, channels)
        threshold_C = _start("threshold", threshold, channels)
        inside = (beta_C > 0) & (beta_C < 1) if learn else (beta_C >= 0) & (beta_C <= 1)
        if not bool(inside.all()):
            where = "inside (0, 1) to be learned" if learn else "in [0, 1]"
            raise ValueError(f"LIF: beta must be {where}, got {beta}")
        if not bool(((threshold_C > 0) & threshold_C.isfinite()).all()):
            raise ValueError(f"LIF: threshold must be positive and finite, got {threshold}")
        if learn:
            self.beta_logit = nn.Parameter(torch.logit(beta_C.double()).to(beta_C.dtype))
            raw_C = threshold_C.double() + torch.log(-torch.expm1(-threshold_C.double()))
            self.threshold_raw = nn.Parameter(raw_C.to(threshold_C.dtype))
        else:
            self.register_buffer("fixed_beta", beta_C)
            self.register_buffer("fixed_threshold", threshold_C)

    @property
    def beta(self) -> Tensor:
        """Decay of each channel, (C,), or of all, (1,), in [0, 1]."""
        return torch.sigmoid(self.beta_logit) if self.learn else self.get_buffer("fixed_beta")

    @property
    def threshold(self) -> Tensor:
        """Threshold of each channel, (C,), or of all, (1,), >= 0."""
        return F.softplus(self.threshold_raw) if self.learn else self.get_buffer("fixed_threshold")

    def forward(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run all steps of a chunk.

        Args:
            current: (T, ..., C).
            state: (..., C) of the last chunk, or None at the start.

        Returns:
            Spikes, (T, ..., C), and the state after them, (..., C).

        Raises:
            TypeError, ValueError: as for `lif_steps`.
        """
        return lif_steps(
            current,
            state,
            beta=self.beta,
            threshold=self.threshold,
            reset=self.reset,
            surrogate=self.surrogate,
            clamp=self.clamp,
        )

    def extra_repr(self) -> str:
        """The settings, for `print`."""
        parts = [f"channels={self.channels}", f"reset={self.reset!r}", f"surrogate={self.surrogate}"]
        parts += [f"learn={self.learn}"] + ([] if self.clamp is None else [f"clamp={self.clamp}"])
        return ", ".join(parts)


def _start(name: str, value: float | Tensor, channels: int | None) -> Tensor:
    shape = (1,) if channels is None else (channels,)
    value_C = torch.as_tensor(value)
    if not value_C.is_floating_point():
        value_C = value_C.to(torch.get_default_dtype())
    if value_C.ndim and value_C.shape != shape:
        raise ValueError(f"LIF: {name} has shape {tuple(value_C.shape)}; for channels={channels} it is {shape}")
    return value_C.detach().expand(shape).clone()


def _check_settings(caller: str, reset: str, surrogate: Surrogate) -> None:
    if reset not in get_args(Reset):
        raise ValueError(f"{caller}: reset must be one of {', '.join(get_args(Reset))}, got {reset!r}")
    if not isinstance(surrogate, SURROGATES):
        raise TypeError(f"{caller}: surrogate must be FastSigmoid(...) or Arctan(...), got {surrogate!r}")


def _check_inputs(current: Tensor, state: Tensor | None, reset: str, surrogate: Surrogate) -> torch.dtype:
    """Check them and give the type of the arithmetic."""
    _check_settings("lif_steps", reset, surrogate)
    if current.dtype not in _FLOATS:
        raise TypeError(f"lif_steps: current must be float64, float32, bfloat16 or float16, got {current.dtype}")
    if current.ndim < 2 or len(current) < 1:
        raise ValueError(f"lif_steps: current must be (T, ..., C) with T >= 1, got shape {tuple(current.shape)}")
    dtype = _FLOATS[current.dtype]
    if state is not None:
        if state.shape != current.shape[1:]:
            raise ValueError(
                f"lif_steps: state must have shape {tuple(current.shape[1:])} for a current of shape "
                f"{tuple(current.shape)}, got {tuple(state.shape)}"
            )
        if state.dtype != dtype or state.device != current.device:
            raise TypeError(
                f"lif_steps: state must be {dtype} on {current.device} for a current of {current.dtype}, got "
                f"{state.dtype} on {state.device}"
            )
    return dtype


def _per_channel(name: str, value: float | Tensor, current: Tensor, dtype: torch.dtype) -> Tensor:
    """One value, (1,), or one a channel, (C,), of the arithmetic's type."""
    if isinstance(value, Tensor):
        if value.ndim > 1 or value.numel() not in (1, current.shape[-1]):
            raise ValueError(
                f"lif_steps: {name} must have one value or one for each of the {current.shape[-1]} channels, got shape "
                f"{tuple(value.shape)}"
            )
        return value.reshape(-1).to(current.device, dtype)
    allowed = 0 <= value <= 1 if name == "beta" else 0 < value < math.inf
    if not allowed:
        raise ValueError(f"lif_steps: {name} must be {'in [0, 1]' if name == 'beta' else 'positive'}, got {value}")
    return torch.full((1,), value, dtype=dtype, device=current.device)


def _check_clamp(clamp: tuple[float, float], caller: str = "lif_steps") -> tuple[float, float]:
    low, high = clamp
    if not low < high:
        raise ValueError(f"{caller}: clamp must be (low, high) with low < high, got {clamp}")
    return float(low), float(high)
