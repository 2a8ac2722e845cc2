"""Triton kernels for CUDA tensors: a program runs all steps of a block of neurons, potentials in registers.

Backward computes the potentials again, writes them where the gradients will be, and walks back. The arithmetic is that
of `reference`, in the same order.

Shapes: T steps, M neurons of a channel, C channels, N = M C neurons.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from spikeformer.kernels.plan import LifPlan

TYPES = (torch.float32, torch.float64)
_jit: Any = triton.jit
_BLOCK = 128
_OPTIONS = {"enable_fp_fusion": False, "num_warps": 4}  # fused, a potential at the threshold might fall elsewhere


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@_jit
def _potential(
    membrane, current, beta, threshold, low, high, SUBTRACT: tl.constexpr, ZERO: tl.constexpr, BOUNDED: tl.constexpr
):
    fired = membrane > threshold
    if ZERO:
        membrane = tl.where(fired, 0.0, membrane)
    potential = beta * membrane + current
    if SUBTRACT:
        potential = potential - tl.where(fired, threshold, 0.0)
    if BOUNDED:
        potential = tl.where(potential < low, low, potential)
        potential = tl.where(potential > high, high, potential)
    return potential


@_jit
def _forward_kernel(
    current_ptr,
    state_ptr,
    beta_ptr,
    threshold_ptr,
    spikes_ptr,
    membrane_ptr,
    bounds_ptr,
    neurons,
    channels,
    steps,
    STATE: tl.constexpr,
    SUBTRACT: tl.constexpr,
    ZERO: tl.constexpr,
    BOUNDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < neurons
    beta = tl.load(beta_ptr + n % channels, mask=inside, other=0.0)
    threshold = tl.load(threshold_ptr + n % channels, mask=inside, other=1.0)
    low = tl.load(bounds_ptr)
    high = tl.load(bounds_ptr + 1)
    membrane = tl.zeros_like(beta)
    if STATE:
        membrane = tl.load(state_ptr + n, mask=inside, other=0.0)
    for t in range(steps):
        at = n + t * neurons.to(tl.int64)
        current = tl.load(current_ptr + at, mask=inside, other=0.0)
        membrane = _potential(membrane, current, beta, threshold, low, high, SUBTRACT, ZERO, BOUNDED)
        tl.store(spikes_ptr + at, (membrane > threshold).to(beta.dtype), mask=inside)
    tl.store(membrane_ptr + n, membrane, mask=inside)


@_jit
def _backward_kernel(
    grad_spikes_ptr,
    grad_membrane_ptr,
    current_ptr,
    state_ptr,
    beta_ptr,
    threshold_ptr,
    numbers_ptr,
    grad_current_ptr,
    grad_state_ptr,
    grad_beta_ptr,
    grad_threshold_ptr,
    neurons,
    channels,
    steps,
    STATE: tl.constexpr,
    CARRY: tl.constexpr,
    SUBTRACT: tl.constexpr,
    ZERO: tl.constexpr,
    BOUNDED: tl.constexpr,
    ARCTAN: tl.constexpr,
    LEARN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = n < neurons
    beta = tl.load(beta_ptr + n % channels, mask=inside, other=0.0)
    threshold = tl.load(threshold_ptr + n % channels, mask=inside, other=1.0)
    low = tl.load(numbers_ptr)
    high = tl.load(numbers_ptr + 1)
    height = tl.load(numbers_ptr + 2)
    rate = tl.load(numbers_ptr + 3)
    start = tl.zeros_like(beta)
    if STATE:
        start = tl.load(state_ptr + n, mask=inside, other=0.0)
    membrane = start
    for t in range(steps):
        at = n + t * neurons.to(tl.int64)
        current = tl.load(current_ptr + at, mask=inside, other=0.0)
        membrane = _potential(membrane, current, beta, threshold, low, high, SUBTRACT, ZERO, BOUNDED)
        tl.store(grad_current_ptr + at, membrane, mask=inside)
    carry = tl.zeros_like(beta)
    if CARRY:
        carry = tl.load(grad_membrane_ptr + n, mask=inside, other=0.0)
    grad_beta = tl.zeros_like(beta)
    grad_threshold = tl.zeros_like(beta)
    tl.debug_barrier()  # every potential is written before the first is read back
    for k in range(steps):
        t = steps - 1 - k
        at = n + t * neurons.to(tl.int64)
        grad_spike = tl.load(grad_spikes_ptr + at, mask=inside, other=0.0)
        before = start
        if t > 0:
            before = tl.load(grad_current_ptr + at - neurons, mask=inside, other=0.0)
        distance = rate * tl.abs(membrane - threshold)
        if ARCTAN:
            direct = grad_spike * height / (distance * distance + 1.0)
        else:
            direct = grad_spike * height / ((distance + 1.0) * (distance + 1.0))
        grad = carry + direct
        if BOUNDED:
            grad = tl.where((membrane <= low) | (membrane >= high), 0.0, grad)
        fired = before > threshold
        tl.store(grad_current_ptr + at, grad, mask=inside)
        carry = grad * beta
        if ZERO:
            carry = tl.where(fired, 0.0, carry)
        if LEARN:
            kept = before
            if ZERO:
                kept = tl.where(fired, 0.0, before)
            grad_beta += grad * kept
            if SUBTRACT:
                direct += tl.where(fired, grad, 0.0)
            grad_threshold -= direct
        membrane = before
    if STATE:
        tl.store(grad_state_ptr + n, carry, mask=inside)
    if LEARN:
        tl.store(grad_beta_ptr + n, grad_beta, mask=inside)
        tl.store(grad_threshold_ptr + n, grad_threshold, mask=inside)


def _flags(plan: LifPlan) -> dict[str, Any]:
    return {
        "SUBTRACT": plan.reset == "subtract",
        "ZERO": plan.reset == "zero",
        "BOUNDED": plan.bounds is not None,
        "BLOCK": _BLOCK,
    }


@functools.lru_cache(64)
def _numbers(plan: LifPlan, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers of the plan in a tensor: what is passed as a number Triton rounds to float32."""
    low, high = plan.bounds or (0.0, 0.0)
    return torch.tensor([low, high, plan.height, plan.rate], dtype=dtype, device=device)


def forward(
    current_TMC: Tensor, state_MC: Tensor | None, beta_C: Tensor, threshold_C: Tensor, plan: LifPlan
) -> tuple[Tensor, Tensor]:
    """See `spikeformer.kernels.forward`."""
    neurons = current_TMC[0].numel()
    spikes_TMC, membrane_MC = torch.empty_like(current_TMC), torch.empty_like(current_TMC[0])
    if neurons:
        with _device_of(current_TMC):
            _forward_kernel[(triton.cdiv(neurons, _BLOCK),)](
                current_TMC,
                current_TMC if state_MC is None else state_MC,
                beta_C.contiguous(),
                threshold_C.contiguous(),
                spikes_TMC,
                membrane_MC,
                _numbers(plan, current_TMC.dtype, current_TMC.device),
                neurons,
                len(beta_C),
                len(current_TMC),
                STATE=state_MC is not None,
                **_flags(plan),
                **_OPTIONS,
            )
    return spikes_TMC, membrane_MC


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
    neurons = current_TMC[0].numel()
    grad_current_TMC = torch.empty_like(current_TMC)
    grad_state_MC = None if state_MC is None else torch.empty_like(state_MC)
    grad_beta_MC = torch.zeros_like(current_TMC[0]) if plan.learn else None
    grad_threshold_MC = torch.zeros_like(current_TMC[0]) if plan.learn else None
    absent = grad_current_TMC  # a pointer that is not followed
    if neurons:
        with _device_of(current_TMC):
            _backward_kernel[(triton.cdiv(neurons, _BLOCK),)](
                grad_spikes_TMC.contiguous(),
                current_TMC if grad_membrane_MC is None else grad_membrane_MC.contiguous(),
                current_TMC,
                current_TMC if state_MC is None else state_MC,
                beta_C.contiguous(),
                threshold_C.contiguous(),
                _numbers(plan, current_TMC.dtype, current_TMC.device),
                grad_current_TMC,
                *(absent if grad is None else grad for grad in (grad_state_MC, grad_beta_MC, grad_threshold_MC)),
                neurons,
                len(beta_C),
                len(current_TMC),
                STATE=state_MC is not None,
                CARRY=grad_membrane_MC is not None,
                ARCTAN=plan.arctan,
                LEARN=plan.learn,
                **_flags(plan),
                **_OPTIONS,
            )
    return grad_current_TMC, grad_state_MC, _channel_sum(grad_beta_MC), _channel_sum(grad_threshold_MC)


def _channel_sum(grad_MC: Tensor | None) -> Tensor | None:
    return None if grad_MC is None else grad_MC.sum(0, dtype=torch.float64).to(grad_MC.dtype)
