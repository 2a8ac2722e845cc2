"""numba kernels for CPU tensors: the LIF time loop over blocks of neurons.

A block's potentials stay in the first-level cache over all steps while the input streams through, a few kilobytes of
neighbours a step. Backward keeps no potentials from forward: it computes those of a block again, into scratch that the
second-level cache holds, and walks them backwards. The kernels release the interpreter lock and the blocks are shared
out over plain threads, as many as torch uses. All results but the gradients of the parameters, which are summed in
another order, equal those of `reference` bit for bit. Currents, spikes and their gradients in bfloat16 are widened and
rounded a block at a time.

Shapes: T steps, M neurons of a channel, C channels, N = M C neurons, P neurons after which the parameters repeat, W
neurons of a block; Z numbers of a plan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ddp_utils.row_threads import over_rows
from numpy.typing import NDArray
from torch import Tensor

from spikeformer.kernels import bfloat16, output_memory
from spikeformer.kernels.bfloat16 import array_of, place, read, write
from spikeformer.kernels.channel_sums import STEPS_WORTH_A_THREAD, channel_sum
from spikeformer.kernels.numba_jit import jit
from spikeformer.kernels.plan import LifPlan

TYPES = (torch.float32, torch.float64, torch.bfloat16)
BLOCK = 1024
LEAST_BLOCK = 64
SCRATCH = 1 << 18  # potentials that backward keeps of a block, where T allows: 1 MiB of float32


# Each loop below writes few arrays: of those that write many, LLVM does not check that they are apart, and leaves them
# scalar. The type of the numbers is the tensors' (a literal would widen float32). What is None is left out of the
# compiled loop: subtract and zero say which reset there is, bounds_2 is there with a clamp, arctan says which
# surrogate. Arrays without elements stand for tensors that are not there.


@jit
def _potential(before, current, beta, threshold, subtract, zero, bounds_2, none):
    fired = before > threshold
    if zero is not None:
        before = none if fired else before
    potential = beta * before + current
    if subtract is not None:
        potential -= threshold if fired else none
    if bounds_2 is not None:
        potential = bounds_2[0] if potential < bounds_2[0] else potential
        potential = bounds_2[1] if potential > bounds_2[1] else potential
    return potential


@jit
def _advance(before_W, current_W, beta_W, threshold_W, subtract, zero, bounds_2, none, after_W):
    for i in range(len(after_W)):
        after_W[i] = _potential(
            before_W[i], current_W[i], beta_W[i], threshold_W[i], subtract, zero, bounds_2, none
        )  # fmt: skip


@jit
def _advance_and_fire(
    membrane_W, current_W, beta_W, threshold_W, subtract, zero, bounds_2, none, silent, spike, spikes_W
):  # fmt: skip
    for i in range(len(spikes_W)):
        potential = _potential(
            membrane_W[i], current_W[i], beta_W[i], threshold_W[i], subtract, zero, bounds_2, none
        )  # fmt: skip
        membrane_W[i] = potential
        spikes_W[i] = spike if potential > threshold_W[i] else silent


@jit
def _through_spike(grad_spike, potential, threshold, arctan, height, rate, one):
    distance = rate * abs(potential - threshold)
    if arctan is not None:
        return grad_spike * height / (distance * distance + one)
    return grad_spike * height / ((distance + one) * (distance + one))


@jit
def _within(grad, potential, bounds_2, none):
    if bounds_2 is not None:
        return none if potential <= bounds_2[0] or potential >= bounds_2[1] else grad
    return grad


@jit
def _last_gradient(
    grad_spikes_W, after_W, carry_W, threshold_W, bounds_2, arctan, height, rate, none, one, grad_W
):  # fmt: skip
    for i in range(len(grad_W)):
        direct = _through_spike(grad_spikes_W[i], after_W[i], threshold_W[i], arctan, height, rate, one)
        grad_W[i] = _within(carry_W[i] + direct, after_W[i], bounds_2, none)


@jit
def _before(grad, potential, beta, threshold, zero, none):
    """The gradient of a potential through the next one alone."""
    if zero is not None:
        return none if potential > threshold else grad * beta
    return grad * beta


@jit
def _gradient(
    grad_spikes_W, after_W, later_W, beta_W, threshold_W, zero, bounds_2, arctan, height, rate, none, one, grad_W
):  # fmt: skip
    for i in range(len(grad_W)):
        direct = _through_spike(grad_spikes_W[i], after_W[i], threshold_W[i], arctan, height, rate, one)
        carry = _before(later_W[i], after_W[i], beta_W[i], threshold_W[i], zero, none)
        grad_W[i] = _within(carry + direct, after_W[i], bounds_2, none)


@jit
def _state_gradient(state_W, later_W, beta_W, threshold_W, zero, none, grad_W):
    for i in range(len(grad_W)):
        grad_W[i] = _before(later_W[i], state_W[i], beta_W[i], threshold_W[i], zero, none)


@jit
def _add_beta_gradient(grad_W, before_W, threshold_W, zero, none, sum_W):
    for i in range(len(sum_W)):
        sum_W[i] += _before(grad_W[i], before_W[i], before_W[i], threshold_W[i], zero, none)


@jit
def _add_threshold_gradient(
    grad_W, grad_spikes_W, before_W, after_W, threshold_W, subtract, arctan, height, rate, none, one, sum_W
):  # fmt: skip
    for i in range(len(sum_W)):
        direct = _through_spike(grad_spikes_W[i], after_W[i], threshold_W[i], arctan, height, rate, one)
        if subtract is not None:
            direct += grad_W[i] if before_W[i] > threshold_W[i] else none
        sum_W[i] -= direct


@jit
def _block(block, period, width, neurons):
    """Where a block starts, where within the parameters, and how many neurons it has."""
    in_period = (period + width - 1) // width
    p = (block % in_period) * width
    start = (block // in_period) * period + p
    return start, p, max(0, min(width, period - p, neurons - start))


@jit
def _forward_blocks(
    current_TN, state_N, beta_P, threshold_P, subtract, zero, bounds_2, numbers_Z, spikes_2, width, spikes_TN,
    membrane_N, first, last,
):  # fmt: skip
    steps, neurons = current_TN.shape
    none, silent, spike = numbers_Z[0], spikes_2[0], spikes_2[1]
    scratch_W, wide_W = np.empty(width, numbers_Z.dtype), np.empty(width, numbers_Z.dtype)
    bits_W = wide_W.view(np.uint32)
    for block in range(first, last):
        start, p, size = _block(block, len(beta_P), width, neurons)
        stop = start + size
        beta_W, threshold_W, membrane_W = beta_P[p : p + size], threshold_P[p : p + size], scratch_W[:size]
        if len(state_N) == 0:
            membrane_W[:] = none
        else:
            membrane_W[:] = state_N[start:stop]
        for t in range(steps):
            current_W = read(current_TN[t, start:stop], wide_W[:size], bits_W[:size])
            _advance_and_fire(
                membrane_W, current_W, beta_W, threshold_W, subtract, zero, bounds_2, none, silent, spike,
                spikes_TN[t, start:stop],
            )  # fmt: skip
        membrane_N[start:stop] = membrane_W


@jit
def _backward_blocks(
    grad_spikes_TN, grad_membrane_N, current_TN, state_N, beta_P, threshold_P, subtract, zero, bounds_2, arctan,
    numbers_Z, width, grad_current_TN, grad_state_N, grad_beta_N, grad_threshold_N, first, last,
):  # fmt: skip
    steps, neurons = current_TN.shape
    none, one, height, rate = numbers_Z[0], numbers_Z[1], numbers_Z[2], numbers_Z[3]
    membrane_TW = np.empty((steps + 1, width), numbers_Z.dtype)
    carry_W = np.zeros(width, numbers_Z.dtype)
    wide_W = np.empty(width, numbers_Z.dtype)
    wide_2W = np.empty((2, width), numbers_Z.dtype)  # gradients of a step and of the next
    bits_W, bits_2W = wide_W.view(np.uint32), wide_2W.view(np.uint32)
    for block in range(first, last):
        start, p, size = _block(block, len(beta_P), width, neurons)
        stop = start + size
        beta_W, threshold_W = beta_P[p : p + size], threshold_P[p : p + size]
        if len(state_N) == 0:
            membrane_TW[0, :size] = none
        else:
            membrane_TW[0, :size] = state_N[start:stop]
        for t in range(steps):
            current_W = read(current_TN[t, start:stop], wide_W[:size], bits_W[:size])
            _advance(
                membrane_TW[t, :size], current_W, beta_W, threshold_W, subtract, zero, bounds_2, none,
                membrane_TW[t + 1, :size],
            )  # fmt: skip
        if len(grad_membrane_N):
            carry_W[:size] = grad_membrane_N[start:stop]
        for t in range(steps - 1, -1, -1):
            grad_spikes_W = read(grad_spikes_TN[t, start:stop], wide_W[:size], bits_W[:size])
            grad_W = place(grad_current_TN[t, start:stop], wide_2W[t % 2, :size])
            before_W, after_W = membrane_TW[t, :size], membrane_TW[t + 1, :size]
            if t == steps - 1:
                _last_gradient(
                    grad_spikes_W, after_W, carry_W[:size], threshold_W, bounds_2, arctan, height, rate, none, one,
                    grad_W,
                )  # fmt: skip
            else:
                later_W = place(grad_current_TN[t + 1, start:stop], wide_2W[(t + 1) % 2, :size])
                _gradient(
                    grad_spikes_W, after_W, later_W, beta_W, threshold_W, zero, bounds_2, arctan, height, rate, none,
                    one, grad_W,
                )  # fmt: skip
            if len(grad_beta_N):
                _add_beta_gradient(grad_W, before_W, threshold_W, zero, none, grad_beta_N[start:stop])
                _add_threshold_gradient(
                    grad_W, grad_spikes_W, before_W, after_W, threshold_W, subtract, arctan, height, rate, none, one,
                    grad_threshold_N[start:stop],
                )  # fmt: skip
            write(bits_2W[t % 2, :size], grad_current_TN[t, start:stop])
        if len(grad_state_N):
            first_W = place(grad_current_TN[0, start:stop], wide_2W[0, :size])
            _state_gradient(
                membrane_TW[0, :size], first_W, beta_W, threshold_W, zero, none, grad_state_N[start:stop]
            )  # fmt: skip


def _flat(x: Tensor | None, like: Tensor) -> NDArray[Any]:
    """Neurons of a tensor in one row; none for None."""
    return (like.new_empty(0) if x is None else x.contiguous()).numpy().reshape(-1)


def _settings(beta_C: Tensor, threshold_C: Tensor, plan: LifPlan) -> tuple[Any, ...]:
    """The parameters repeated to about a block, (P,), whether there are resets, and the bounds."""
    times = max(1, BLOCK // len(beta_C))
    beta_P, threshold_P = (np.tile(x_C.contiguous().numpy(), times) for x_C in (beta_C, threshold_C))
    bounds_2 = None if plan.bounds is None else np.array(plan.bounds, beta_P.dtype)
    return beta_P, threshold_P, plan.reset == "subtract" or None, plan.reset == "zero" or None, bounds_2


def _n_blocks(neurons: int, period: int, width: int) -> int:
    return -(-neurons // period) * -(-period // width)


def forward(
    current_TMC: Tensor, state_MC: Tensor | None, beta_C: Tensor, threshold_C: Tensor, plan: LifPlan
) -> tuple[Tensor, Tensor]:
    """See `spikeformer.kernels.forward`."""
    steps, neurons = len(current_TMC), current_TMC[0].numel()
    spikes_TMC = output_memory.empty(current_TMC.shape, current_TMC.dtype)
    membrane_MC = torch.empty_like(current_TMC[0], dtype=beta_C.dtype)
    current_TN = array_of(current_TMC).reshape(steps, neurons)
    settings = _settings(beta_C, threshold_C, plan)
    numbers_Z = np.array([0.0, 1.0], settings[0].dtype)
    one = bfloat16.ONE if current_TMC.dtype == torch.bfloat16 else 1
    spikes_2 = np.array([0, one], current_TN.dtype)
    out = array_of(spikes_TMC).reshape(steps, neurons), membrane_MC.numpy().reshape(-1)
    arguments = (current_TN, _flat(state_MC, beta_C), *settings, numbers_Z, spikes_2, BLOCK, *out)
    n_blocks = _n_blocks(neurons, len(settings[0]), BLOCK)
    over_rows(_forward_blocks, arguments, n_blocks, current_TN.size // STEPS_WORTH_A_THREAD)
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
    steps, neurons = len(current_TMC), current_TMC[0].numel()
    grad_current_TMC = output_memory.empty(current_TMC.shape, current_TMC.dtype)
    current_TN = array_of(current_TMC).reshape(steps, neurons)
    grad_spikes_TN = array_of(grad_spikes_TMC.contiguous()).reshape(steps, neurons)
    grad_state_MC = None if state_MC is None else torch.empty_like(state_MC)
    grad_beta_MC = torch.zeros_like(current_TMC[0], dtype=beta_C.dtype) if plan.learn else None
    grad_threshold_MC = torch.zeros_like(current_TMC[0], dtype=beta_C.dtype) if plan.learn else None
    settings = _settings(beta_C, threshold_C, plan)
    numbers_Z = np.array([0.0, 1.0, plan.height, plan.rate], settings[0].dtype)
    width = min(BLOCK, max(LEAST_BLOCK, SCRATCH // (steps + 1) // LEAST_BLOCK * LEAST_BLOCK))
    out = (array_of(grad_current_TMC).reshape(steps, neurons), _flat(grad_state_MC, beta_C))
    out += (_flat(grad_beta_MC, beta_C), _flat(grad_threshold_MC, beta_C))
    arguments = (
        *(grad_spikes_TN, _flat(grad_membrane_MC, beta_C), current_TN, _flat(state_MC, beta_C), *settings),
        *(plan.arctan or None, numbers_Z, width, *out),
    )
    worth = current_TN.size // STEPS_WORTH_A_THREAD
    over_rows(_backward_blocks, arguments, _n_blocks(neurons, len(settings[0]), width), worth)
    return grad_current_TMC, grad_state_MC, channel_sum(grad_beta_MC, beta_C), channel_sum(grad_threshold_MC, beta_C)
