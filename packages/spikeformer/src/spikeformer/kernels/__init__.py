"""The time loop of LIF neurons, picked by device in this one place.

CPU tensors run the numba kernels, CUDA tensors the Triton kernels, everything else the plain-torch reference. Where
numba or Triton is not installed the reference runs too, with a warning on CUDA; `in_use` says which.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from spikeformer.kernels import reference
from spikeformer.kernels.plan import LifPlan


@functools.cache
def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@functools.cache
def _warn_without_triton() -> None:
    warnings.warn("spikeformer: Triton is not installed; neurons on CUDA run in plain torch, slower", stacklevel=4)


def _implementation(device: torch.device) -> ModuleType:
    if device.type == "cpu" and _installed("numba"):
        from spikeformer.kernels import cpu

        return cpu
    if device.type == "cuda":
        if _installed("triton"):
            from spikeformer.kernels import cuda

            return cuda
        _warn_without_triton()
    return reference


def takes(current: Tensor) -> bool:
    """Whether the kernels of its device take a current of this type as it is; else as the parameters' type."""
    return current.dtype in _implementation(current.device).TYPES


def in_use(device: str | torch.device = "cpu") -> str:
    """Name the implementation that tensors on a device run.

    Args:
        device: a device or its name, such as "cpu" or "cuda:0".

    Returns:
        "numba", "triton" or "torch reference".
    """
    device_type = str(device).partition(":")[0]
    if device_type == "cpu" and _installed("numba"):
        return "numba"
    return "triton" if device_type == "cuda" and _installed("triton") else "torch reference"


def forward(
    current_TMC: Tensor, state_MC: Tensor | None, beta_C: Tensor, threshold_C: Tensor, plan: LifPlan
) -> tuple[Tensor, Tensor]:
    """Run all steps.

        r_t = H(m_{t-1} - threshold)
        m_t = clamp(beta (1 - z r_t) m_{t-1} + x_t - y threshold r_t)     z, y: 1 for reset "zero", "subtract", else 0
        s_t = H(m_t - threshold)

    Args:
        current_TMC: x, of a type for which `takes` is true, contiguous, (T, M, C), T >= 1.
        state_MC: m before the first step, (M, C); None for zeros.
        beta_C: decay of each channel, (C,).
        threshold_C: threshold of each channel, (C,).
        plan: the reset and the bounds of the potential.

    Returns:
        Spikes, 0 or 1, like current, (T, M, C), and the potential after the last step, (M, C).
    """
    return _implementation(current_TMC.device).forward(current_TMC, state_MC, beta_C, threshold_C, plan)


def backward(
    grad_spikes_TMC: Tensor,
    grad_membrane_MC: Tensor | None,
    current_TMC: Tensor,
    state_MC: Tensor | None,
    beta_C: Tensor,
    threshold_C: Tensor,
    plan: LifPlan,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Walk the steps back. With g_t the gradient of the potential before its clamp and h the surrogate derivative:

        g_t        = [low < m_t < high] (h(m_t - threshold) ds_t + beta (1 - z r_{t+1}) g_{t+1})
        dx_t       = g_t
        dbeta      = sum_t g_t (1 - z r_t) m_{t-1}
        dthreshold = -sum_t (h(m_t - threshold) ds_t + y r_t g_t)

    where the reset r is a constant, as in snnTorch.

    Args:
        grad_spikes_TMC: ds, of the current's type, (T, M, C).
        grad_membrane_MC: gradient of the potential after the last step, (M, C); None for zeros.
        current_TMC: as for `forward`.
        state_MC: as for `forward`.
        beta_C: as for `forward`.
        threshold_C: as for `forward`.
        plan: as for `forward`, with the surrogate, and whether beta and threshold get gradients.

    Returns:
        Gradients of current, state, beta and threshold; None for the state where it was None (or that of the zeros),
        and for the parameters where the plan does not learn them.
    """
    return _implementation(current_TMC.device).backward(
        grad_spikes_TMC, grad_membrane_MC, current_TMC, state_MC, beta_C, threshold_C, plan
    )
