"""The inner loops of the package, picked by device in this one place.

CPU tensors run the numba kernels, CUDA tensors the Triton kernels, everything else the plain-torch reference. All give
the same bits. Where numba or Triton is not installed the reference runs too, on CUDA with a warning; `in_use` says
which.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from spikecode.kernels import reference
from spikecode.kernels.plan import Plan, Rows

_REFERENCE_BINS = 1 << 24  # bins that the reference holds at once, about 10 bytes each


@functools.cache
def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@functools.cache
def _warn_without_triton() -> None:
    warnings.warn("spikecode: Triton is not installed; kernels on CUDA run in plain torch, slower", stacklevel=4)


def _implementation(device: torch.device) -> ModuleType:
    if device.type == "cpu" and _installed("numba"):
        from spikecode.kernels import cpu

        return cpu
    if device.type == "cuda":
        if _installed("triton"):
            from spikecode.kernels import cuda

            return cuda
        _warn_without_triton()
    return reference


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


def generate(rows: Rows, plan: Plan, *, words: bool, statistic: bool) -> tuple[Tensor | None, Tensor | None]:
    """Make the spikes of each row's window, or only their statistic; the same for any split into rows.

    Args:
        rows: R values, their keys, windows and shifts.
        plan: what is common to them.
        words: whether to give the trains.
        statistic: whether to give the scheme's statistic.

    Returns:
        Trains, 64 bins a word with the first bin lowest, int64, (R, W, K), or None; statistics, int32, (R, W), or None.
    """
    module = _implementation(rows.place_R.device)
    n_rows = len(rows.place_R)
    at_once = max(1, _REFERENCE_BINS // (plan.window * plan.steps))
    if module is not reference or n_rows <= at_once:
        return module.generate(rows, plan, words=words, statistic=statistic)
    parts = []
    for i in range(0, n_rows, at_once):
        part = Rows(*(getattr(rows, name)[i : i + at_once] for name in rows.__dataclass_fields__))
        parts.append(reference.generate(part, plan, words=words, statistic=statistic))
    trains, statistics = zip(*parts, strict=True)
    return torch.cat(trains) if words else None, torch.cat(statistics) if statistic else None


def count_spikes(words_: Tensor) -> Tensor:
    """Number of set bits along the last axis: int64 (..., K) to int32 (...)."""
    flat_RK = words_.reshape(-1, words_.shape[-1])
    if words_.device.type == "cpu" and _installed("numba"):
        from spikecode.kernels import cpu

        return cpu.count_spikes(flat_RK).view(words_.shape[:-1])
    return reference.count_spikes(flat_RK).view(words_.shape[:-1])


def list_spikes(words_RWK: Tensor, first_R: Tensor, offsets_R: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Give neuron * T + bin of each set bit, in order.

    Args:
        words_RWK: trains, int64, (R, W, K).
        first_R: first neuron of each window, int32, (R,).
        offsets_R: where the spikes of each row begin, and the end, int64, (R + 1,).
        steps: T.
        dtype: of the result, wide enough for N T.

    Returns:
        The spikes of all rows, (S,).
    """
    events_S = torch.empty(int(offsets_R[-1]), dtype=dtype, device=words_RWK.device)
    if words_RWK.device.type == "cpu" and _installed("numba"):
        from spikecode.kernels import cpu_events

        cpu_events.list_spikes(words_RWK, first_R, offsets_R, steps, events_S)
    else:
        reference.list_spikes(words_RWK, first_R, offsets_R, steps, events_S)
    return events_S
