"""The inner loops of the package, picked by device in this one place.

CPU tensors in float32 or float64 run the numba kernels, everything else the plain-torch reference. Where numba is not
installed the reference runs too; `in_use` says which.
"""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING

from sdquant.kernels import reference

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_NAMES = ("sigma_delta", "fwht")


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _compiled(device_type: str) -> bool:
    return device_type == "cpu" and _has_numba()


def _implementation(x: Tensor) -> ModuleType:
    if _compiled(x.device.type) and str(x.dtype) in ("torch.float32", "torch.float64"):
        from sdquant.kernels import cpu

        return cpu
    return reference


def in_use(device: str | torch.device = "cpu") -> dict[str, str]:
    """Name the implementation that float32 and float64 tensors on a device run.

    Args:
        device: a device or its name, such as "cpu" or "cuda:0".

    Returns:
        Kernel name to implementation: "numba" or "torch reference".
    """
    device_type = str(device).partition(":")[0]
    return dict.fromkeys(_NAMES, "numba" if _compiled(device_type) else "torch reference")


def sigma_delta(
    y_NM: Tensor, lags: tuple[int, ...], coefficients: tuple[float, ...], *, states: bool
) -> tuple[Tensor, Tensor | None]:
    """Run the one-bit recursion on finite rows; see `sdquant.sigma_delta`.

    Args:
        y_NM: input, float32 or float64, (N, M), time last.
        lags: lags of the filter, each in 1..31.
        coefficients: one coefficient a lag.
        states: whether to return the states too.

    Returns:
        Bits in {-1, +1}, int8, (N, M), and the states in the dtype of `y_NM`, (N, M), or None.
    """
    return _implementation(y_NM).sigma_delta(y_NM, lags, coefficients, states=states)


def fwht(x_ND: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """Transform consecutive blocks of each row by the orthonormal Walsh-Hadamard matrix; see `sdquant.fwht`.

    Args:
        x_ND: input, (N, D).
        blocks: powers of two that add up to D.

    Returns:
        The transformed rows, same dtype, (N, D).
    """
    return _implementation(x_ND).fwht(x_ND, blocks)
