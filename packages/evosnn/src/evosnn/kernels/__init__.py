"""The inner loop of the package, picked by device in this one place.

CPU tensors run the numba kernel, CUDA tensors the Triton kernel, everything else the plain-torch reference. Where numba
or Triton is not installed the reference runs too, on CUDA with a warning; `in_use` says which.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from evosnn.kernels import reference
from evosnn.kernels.plan import Drive
from evosnn.network_parameters import NetworkParameters
from evosnn.network_state import NetworkState


@functools.cache
def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@functools.cache
def _warn_without_triton() -> None:
    warnings.warn("evosnn: Triton is not installed; networks on CUDA run in plain torch, slower", stacklevel=5)


def _implementation(state: NetworkState) -> ModuleType:
    device, dtype = state.neuron_PFN.device, state.neuron_PFN.dtype
    if device.type == "cpu" and _installed("numba"):
        from evosnn.kernels import cpu

        return cpu
    if device.type == "cuda" and dtype == torch.float32:
        if _installed("triton"):
            from evosnn.kernels import cuda

            return cuda
        _warn_without_triton()
    return reference


def in_use(device: str | torch.device = "cpu") -> str:
    """Name the implementation that float32 networks on a device run.

    Args:
        device: a device or its name, such as "cpu" or "cuda:0".

    Returns:
        "numba", "triton" or "torch reference".
    """
    device_type = str(device).partition(":")[0]
    if device_type == "cpu" and _installed("numba"):
        return "numba"
    return "triton" if device_type == "cuda" and _installed("triton") else "torch reference"


def run_(
    parameters: NetworkParameters,
    state: NetworkState,
    drive: Drive,
    counts_PN: Tensor,
    first_PN: Tensor,
    *,
    kernel: str = "auto",
) -> None:
    """Run networks for some steps, in place.

    Args:
        parameters: of P networks.
        state: is brought on; rows that are not active stay as they are.
        drive: input, number of steps.
        counts_PN: spikes of each neuron are added, int32.
        first_PN: becomes the number of the step of each neuron's first spike where that is less, int32.
        kernel: "auto" or "reference".
    """
    module = reference if kernel == "reference" else _implementation(state)
    module.run_(parameters, state, drive, counts_PN, first_PN)
