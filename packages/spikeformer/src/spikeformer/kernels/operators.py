"""The LIF time loop as operators of torch, which torch.compile takes as they are and autograd goes through.

Arithmetic is in the type of the parameters: float32 for currents of 16 bits, whose spikes then have 16 bits too.

Shapes: T steps, M neurons of a channel, C channels; tensors come as (T, ..., C) and (..., C), parameters as (C,)
or (1,).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikeformer import kernels
from spikeformer.kernels.plan import LifPlan


def _plan(reset: str, bounds: list[float], surrogate: list[float], learn: bool) -> LifPlan:
    arctan, height, rate = surrogate
    low_and_high = (bounds[0], bounds[1]) if bounds else None
    return LifPlan(reset, low_and_high, bool(arctan), height, rate, learn)


def _by_channel(current: Tensor, state: Tensor | None, beta_C: Tensor) -> tuple[Tensor, Tensor | None]:
    """Current and state as (T, M, C) and (M, C), of types that the kernels take."""
    dtype = current.dtype if kernels.takes(current) else beta_C.dtype
    current_TMC = current.to(dtype).reshape(len(current), -1, len(beta_C)).contiguous()
    return current_TMC, None if state is None else state.reshape(-1, len(beta_C)).contiguous()


@torch.library.custom_op(
    "spikeformer::lif_forward",
    mutates_args=(),
    schema="(Tensor current, Tensor? state, Tensor beta, Tensor threshold, str reset, float[] bounds, "
    "float[] surrogate) -> (Tensor, Tensor)",
)
def lif_forward(
    current: Tensor,
    state: Tensor | None,
    beta: Tensor,
    threshold: Tensor,
    reset: str,
    bounds: list[float],
    surrogate: list[float],
) -> tuple[Tensor, Tensor]:
    """Spikes and last potential; see `spikeformer.lif.lif_steps`.

    Args:
        current: (T, ..., C), T >= 1.
        state: (..., C) of the parameters' type, or None.
        beta: (C,) or (1,), float32 or float64.
        threshold: as beta.
        reset: "subtract", "zero" or "none".
        bounds: least and greatest potential, or nothing.
        surrogate: `coefficients` of a surrogate; of use in backward.

    Returns:
        Spikes like current; potential, (..., C), of the parameters' type.
    """
    current_TMC, state_MC = _by_channel(current, state, beta)
    plan = _plan(reset, bounds, surrogate, learn=False)
    spikes_TMC, membrane_MC = kernels.forward(current_TMC, state_MC, beta, threshold, plan)
    return spikes_TMC.view(current.shape).to(current.dtype), membrane_MC.view(current.shape[1:])


@torch.library.custom_op(
    "spikeformer::lif_backward",
    mutates_args=(),
    schema="(Tensor grad_spikes, Tensor? grad_membrane, Tensor current, Tensor? state, Tensor beta, Tensor threshold, "
    "str reset, float[] bounds, float[] surrogate, bool learn) -> (Tensor, Tensor, Tensor, Tensor)",
)
def lif_backward(
    grad_spikes: Tensor,
    grad_membrane: Tensor | None,
    current: Tensor,
    state: Tensor | None,
    beta: Tensor,
    threshold: Tensor,
    reset: str,
    bounds: list[float],
    surrogate: list[float],
    learn: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of current, state, beta and threshold; empty for a state of None and for parameters not learned.

    Args:
        grad_spikes: like current.
        grad_membrane: (..., C), or None.
        current: as for `lif_forward`.
        state: as for `lif_forward`.
        beta: as for `lif_forward`.
        threshold: as for `lif_forward`.
        reset: as for `lif_forward`.
        bounds: as for `lif_forward`.
        surrogate: as for `lif_forward`.
        learn: whether gradients of beta and threshold are wanted.
    """
    current_TMC, state_MC = _by_channel(current, state, beta)
    grad_spikes_TMC = grad_spikes.to(current_TMC.dtype).reshape(current_TMC.shape)
    grad_membrane_MC = None if grad_membrane is None else grad_membrane.reshape(current_TMC.shape[1:])
    plan = _plan(reset, bounds, surrogate, learn=learn)
    grad_current_TMC, grad_state_MC, grad_beta, grad_threshold = kernels.backward(
        grad_spikes_TMC, grad_membrane_MC, current_TMC, state_MC, beta, threshold, plan
    )
    grad_state = beta.new_empty(0) if state is None or grad_state_MC is None else grad_state_MC.view(state.shape)
    none = (beta.new_empty(0), beta.new_empty(0))
    grads = none if grad_beta is None or grad_threshold is None else (grad_beta, grad_threshold)
    return grad_current_TMC.view(current.shape).to(current.dtype), grad_state, *grads


@lif_forward.register_fake
def _(
    current: Tensor,
    state: Tensor | None,  # noqa: ARG001 - the operator's arguments
    beta: Tensor,
    threshold: Tensor,  # noqa: ARG001 - the operator's arguments
    reset: str,  # noqa: ARG001 - the operator's arguments
    bounds: list[float],  # noqa: ARG001 - the operator's arguments
    surrogate: list[float],  # noqa: ARG001 - the operator's arguments
) -> tuple[Tensor, Tensor]:
    return current.new_empty(current.shape), beta.new_empty(current.shape[1:])


@lif_backward.register_fake
def _(
    grad_spikes: Tensor,  # noqa: ARG001 - the operator's arguments
    grad_membrane: Tensor | None,  # noqa: ARG001 - the operator's arguments
    current: Tensor,
    state: Tensor | None,
    beta: Tensor,
    threshold: Tensor,  # noqa: ARG001 - the operator's arguments
    reset: str,  # noqa: ARG001 - the operator's arguments
    bounds: list[float],  # noqa: ARG001 - the operator's arguments
    surrogate: list[float],  # noqa: ARG001 - the operator's arguments
    learn: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_state = beta.new_empty(0 if state is None else state.shape)
    grad_beta, grad_threshold = (torch.empty_like(beta if learn else beta[:0]) for _ in range(2))
    return current.new_empty(current.shape), grad_state, grad_beta, grad_threshold


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:  # noqa: ARG001 - torch's protocol
    """Backward needs the inputs alone: it computes the potentials again."""
    current, state, beta, threshold, *settings = inputs
    ctx.save_for_backward(current, state, beta, threshold)
    ctx.settings = settings
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad_spikes: Tensor | None, grad_membrane: Tensor | None) -> tuple[Tensor | None, ...]:
    current, state, beta, threshold = ctx.saved_tensors
    learn = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
    if grad_spikes is None:
        grad_spikes = torch.zeros_like(current)
    grad_current, grad_state, grad_beta, grad_threshold = lif_backward(
        grad_spikes, grad_membrane, current, state, beta, threshold, *ctx.settings, learn
    )
    grads = (
        grad_current,
        None if state is None else grad_state,
        *((grad_beta, grad_threshold) if learn else (None,) * 2),
    )
    return *grads, None, None, None


torch.library.register_autograd("spikeformer::lif_forward", _differentiate, setup_context=_keep)
