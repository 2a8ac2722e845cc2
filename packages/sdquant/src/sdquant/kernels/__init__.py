"""The inner loops of the package, picked by device in this one place.

CPU tensors in float32 or float64 run the numba kernels, CUDA tensors in these the Triton kernels, everything else the
plain-torch reference. Where numba or Triton is not installed the reference runs too, on CUDA with a warning; `in_use`
says which.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from sdquant.kernels import reference

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_NAMES = ("sigma_delta", "fwht", "int8_activations", "ternary_linear", "additive_search")
_IN_TRITON = ("sigma_delta", "fwht", "ternary_linear")


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _warn_without_triton() -> None:
    warnings.warn("sdquant: Triton is not installed; kernels on CUDA run in plain torch, which is slower", stacklevel=4)


def _implementation(device: torch.device, name: str) -> ModuleType:
    """The module of the kernel for float32, float64 and int8 tensors on a device."""
    if device.type == "cpu" and _has_numba():
        from sdquant.kernels import cpu, cpu_ternary

        return cpu_ternary if name in ("int8_activations", "ternary_linear") else cpu
    if device.type == "cuda" and name in _IN_TRITON:
        if _has_triton():
            from sdquant.kernels import cuda

            return cuda
        _warn_without_triton()
    return reference


def _implementation_for(x: Tensor, name: str) -> ModuleType:
    return _implementation(x.device, name) if str(x.dtype) in ("torch.float32", "torch.float64") else reference


def in_use(device: str | torch.device = "cpu") -> dict[str, str]:
    """Name the implementation that tensors on a device run: for float32 and float64, and packed ternary weights.

    Args:
        device: a device or its name, such as "cpu" or "cuda:0".

    Returns:
        Kernel name to implementation: "numba", "triton" or "torch reference".
    """
    device_type = str(device).partition(":")[0]
    found: dict[str, str] = dict.fromkeys(_NAMES, "torch reference")
    if device_type == "cpu" and _has_numba():
        found |= dict.fromkeys(_NAMES, "numba")
    if device_type == "cuda" and _has_triton():
        found |= dict.fromkeys(_IN_TRITON, "triton")
    return found


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
    return _implementation_for(y_NM, "sigma_delta").sigma_delta(y_NM, lags, coefficients, states=states)


def fwht(x_ND: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """Transform consecutive blocks of each row by the orthonormal Walsh-Hadamard matrix; see `sdquant.fwht`.

    Args:
        x_ND: input, (N, D).
        blocks: powers of two that add up to D.

    Returns:
        The transformed rows, same dtype, (N, D).
    """
    return _implementation_for(x_ND, "fwht").fwht(x_ND, blocks)


def int8_activations(x_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Round each token to int8 by its largest magnitude.

        scale = max(abs(x)) / 127,   values = round(x / scale)

    Args:
        x_NK: float32 or float64, (N, K), K >= 1.

    Returns:
        Values in -127..127, int8, (N, K), and scales in the dtype of x, (N, 1). A token of zeros has scale 0; one with
        a NaN or an infinity has scale NaN and values 0.
    """
    return _implementation_for(x_NK, "int8_activations").int8_activations(x_NK)


def ternary_linear(x_NK: Tensor, packed_OB: Tensor, places: tuple[int, ...]) -> Tensor:
    """Multiply int8 activations by packed ternary weights; see `sdquant.PackedBitLinear`.

        trit_o,{P b + i} = packed_ob // places_i % places_1 - 1,   y_no = sum_k x_nk trit_ok

    Args:
        x_NK: int8, (N, K), K >= 1.
        packed_OB: rows of bytes, uint8, (O, ceil(K / P)).
        places: the P powers of the base, ascending from 1: 1, 3, 9, 27, 81 or 1, 4, 16, 64.

    Returns:
        Exact sums, int32, (N, O).
    """
    return _implementation(packed_OB.device, "ternary_linear").ternary_linear(x_NK, packed_OB, places)
