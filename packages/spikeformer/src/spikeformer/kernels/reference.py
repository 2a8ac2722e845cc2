"""The LIF time loop in plain torch, one step of all neurons at a time: what the other kernels are checked against.

Shapes: T steps, M neurons of a channel, C channels (or 1, where all share their parameters).
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeformer.kernels.plan import LifPlan

TYPES = (torch.float32, torch.float64)


def _potentials(current_TMC: Tensor, state_MC: Tensor, beta_C: Tensor, threshold_C: Tensor, plan: LifPlan) -> Tensor:
    """The potential before the first step and after each, (T + 1, M, C)."""
    membrane_TMC = torch.empty((len(current_TMC) + 1, *state_MC.shape), dtype=state_MC.dtype, device=state_MC.device)
    membrane_TMC[0] = state_MC
    for t, current_MC in enumerate(current_TMC):
        fired_MC = state_MC > threshold_C
        kept_MC = torch.where(fired_MC, 0, state_MC) if plan.reset == "zero" else state_MC
        state_MC = beta_C * kept_MC + current_MC
        if plan.reset == "subtract":
            state_MC = state_MC - torch.where(fired_MC, threshold_C, 0)
        if plan.bounds is not None:
            state_MC = state_MC.clamp(*plan.bounds)
        membrane_TMC[t + 1] = state_MC
    return membrane_TMC


def forward(
    current_TMC: Tensor, state_MC: Tensor | None, beta_C: Tensor, threshold_C: Tensor, plan: LifPlan
) -> tuple[Tensor, Tensor]:
    """See `spikeformer.kernels.forward`."""
    if state_MC is None:
        state_MC = current_TMC.new_zeros(current_TMC.shape[1:])
    membrane_TMC = _potentials(current_TMC, state_MC, beta_C, threshold_C, plan)
    return (membrane_TMC[1:] > threshold_C).to(current_TMC.dtype), membrane_TMC[-1].clone()


def backward(
    grad_spikes_TMC: Tensor,
    grad_membrane_MC: Tensor | None,
    current_TMC: Tensor,
    state_MC: Tensor | None,
    beta_C: Tensor,
    threshold_C: Tensor,
    plan: LifPlan,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """See `spikeformer.kernels.backward`."""
    start_MC = current_TMC.new_zeros(current_TMC.shape[1:]) if state_MC is None else state_MC
    membrane_TMC = _potentials(current_TMC, start_MC, beta_C, threshold_C, plan)
    carry_MC = torch.zeros_like(start_MC) if grad_membrane_MC is None else grad_membrane_MC
    grad_current_TMC = torch.empty_like(current_TMC)
    grad_beta_MC, grad_threshold_MC = torch.zeros_like(start_MC), torch.zeros_like(start_MC)
    for t in range(len(current_TMC) - 1, -1, -1):
        before_MC, after_MC = membrane_TMC[t], membrane_TMC[t + 1]
        distance_MC = plan.rate * (after_MC - threshold_C).abs()
        bell_MC = distance_MC * distance_MC + 1 if plan.arctan else (distance_MC + 1) * (distance_MC + 1)
        direct_MC = grad_spikes_TMC[t] * plan.height / bell_MC
        grad_MC = carry_MC + direct_MC
        if plan.bounds is not None:
            low, high = plan.bounds
            grad_MC = torch.where((after_MC <= low) | (after_MC >= high), 0, grad_MC)
        fired_MC = before_MC > threshold_C
        cut_MC = fired_MC if plan.reset == "zero" else torch.zeros_like(fired_MC)
        grad_current_TMC[t] = grad_MC
        grad_beta_MC += torch.where(cut_MC, 0, grad_MC * before_MC)
        grad_threshold_MC -= direct_MC + torch.where(fired_MC, grad_MC, 0) if plan.reset == "subtract" else direct_MC
        carry_MC = torch.where(cut_MC, 0, grad_MC * beta_C)
    grad_state_MC = None if state_MC is None else carry_MC
    if not plan.learn:
        return grad_current_TMC, grad_state_MC, None, None
    return grad_current_TMC, grad_state_MC, _channel_sum(grad_beta_MC), _channel_sum(grad_threshold_MC)


def _channel_sum(grad_MC: Tensor) -> Tensor:
    return grad_MC.sum(0, dtype=torch.float64).to(grad_MC.dtype)
