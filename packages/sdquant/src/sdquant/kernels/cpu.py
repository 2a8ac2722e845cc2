"""numba kernels for CPU tensors; each equals its namesake in `reference` bit for bit.

The kernels release the interpreter lock and the rows are shared out over plain threads, as many as torch uses. numba's
own parallel loops are not used: their OpenMP layer ends a process that forks after the first call (data loader
workers), and their work-queue layer ends one that calls from two threads.

Shapes: N rows, M time steps, D dimensions, T steps of a tile, L rows of a tile, R steps of the state's ring.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ddp_utils import row_threads
from torch import Tensor

with warnings.catch_warnings():
    # What numba says about its own dependencies must not fail a program that turns warnings into errors.
    warnings.simplefilter("ignore")
    import numba

    from sdquant.kernels import simd

_TILE_ROWS = 32
_TILE_STEPS = 64
_RING_STEPS = 32  # a power of two beyond the largest lag, 25
_TILE_ELEMENTS = 4096  # rows of a tile stay in the first-level cache between passes
_ELEMENTS_WORTH_A_THREAD = 1 << 16


def _jit(function: Callable[..., None]) -> Any:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True)(function)


@_jit
def _sigma_delta_rows(y_NM, lags, coefficients, q_NM, v_NM, states, first, last):
    n_steps = y_NM.shape[1]
    ring_RL = np.zeros((_RING_STEPS, _TILE_ROWS), y_NM.dtype)
    c_TL = np.zeros((_TILE_STEPS, _TILE_ROWS), y_NM.dtype)
    q_TL = np.zeros((_TILE_STEPS, _TILE_ROWS), np.int8)
    v_TL = np.zeros((_TILE_STEPS, _TILE_ROWS), y_NM.dtype)
    for row in range(first, last, _TILE_ROWS):
        n_rows = min(_TILE_ROWS, last - row)
        ring_RL[:] = 0
        for start in range(0, n_steps, _TILE_STEPS):
            n_tile = min(_TILE_STEPS, n_steps - start)
            for lane in range(n_rows):
                for t in range(n_tile):
                    c_TL[t, lane] = y_NM[row + lane, start + t]
            for t in range(n_tile):
                c_L = c_TL[t]
                q_L = q_TL[t]
                v_L = v_TL[t]
                for j in range(len(lags)):
                    past_L = ring_RL[(start + t - lags[j]) & (_RING_STEPS - 1)]
                    h = coefficients[j]
                    for lane in range(_TILE_ROWS):
                        c_L[lane] += h * past_L[lane]
                now_L = ring_RL[(start + t) & (_RING_STEPS - 1)]
                for lane in range(_TILE_ROWS):
                    positive = c_L[lane] >= 0
                    q_L[lane] = 1 if positive else -1
                    v = c_L[lane] - 1 if positive else c_L[lane] + 1
                    now_L[lane] = v
                    v_L[lane] = v
            for lane in range(n_rows):
                for t in range(n_tile):
                    q_NM[row + lane, start + t] = q_TL[t, lane]
            if states:
                for lane in range(n_rows):
                    for t in range(n_tile):
                        v_NM[row + lane, start + t] = v_TL[t, lane]


@_jit
def _fwht_small(x, y, start, stride, n_rows, size, scale):
    for row_start in range(start, start + n_rows * stride, stride):
        end = row_start + size
        for i in range(row_start, end):
            y[i] = scale * x[i]
        span = 1
        while span < size:
            for i in range(row_start, end, 2 * span):
                for j in range(i, i + span):
                    a = y[j]
                    b = y[j + span]
                    y[j] = a + b
                    y[j + span] = a - b
            span *= 2


@_jit
def _fwht_first(x, y, start, stride, n_rows, size, scale):
    """Scale, and the stages whose spans are below 16 vectors; returns the span that comes next."""
    lanes = simd.VECTOR_BYTES // x.itemsize
    n_vectors = min(size // lanes, simd.MOST_VECTORS)
    for row_start in range(start, start + n_rows * stride, stride):
        if n_vectors == 1:
            simd.first_1(x, y, row_start, scale)
        elif n_vectors == 2:
            simd.first_2(x, y, row_start, scale)
        elif n_vectors == 4:
            simd.first_4(x, y, row_start, scale)
        elif n_vectors == 8:
            simd.first_8(x, y, row_start, scale)
        else:
            for i in range(row_start, row_start + size, n_vectors * lanes):
                simd.first_16(x, y, i, scale)
    return n_vectors * lanes


@_jit
def _fwht_wider(y, start, stride, n_rows, size, span):
    """The stages from `span` up, in place, up to four at a time."""
    lanes = simd.VECTOR_BYTES // y.itemsize
    while span < size:
        n_vectors = min(size // span, simd.MOST_VECTORS)
        for row_start in range(start, start + n_rows * stride, stride):
            for i in range(row_start, row_start + size, n_vectors * span):
                for j in range(i, i + span, lanes):
                    if n_vectors == 2:
                        simd.next_2(y, j, span)
                    elif n_vectors == 4:
                        simd.next_4(y, j, span)
                    elif n_vectors == 8:
                        simd.next_8(y, j, span)
                    else:
                        simd.next_16(y, j, span)
        span *= n_vectors


@_jit
def _fwht_rows(x_ND, blocks, scales, out_ND, first, last):
    stride = x_ND.shape[1]
    x = x_ND.reshape(-1)
    y = out_ND.reshape(-1)
    n_tile = max(1, _TILE_ELEMENTS // stride)
    for row in range(first, last, n_tile):
        n_rows = min(n_tile, last - row)
        start = row * stride
        for b in range(len(blocks)):
            size = blocks[b]
            if size < simd.VECTOR_BYTES // x.itemsize:
                _fwht_small(x, y, start, stride, n_rows, size, scales[b])
            else:
                span = _fwht_first(x, y, start, stride, n_rows, size, scales[b])
                _fwht_wider(y, start, stride, n_rows, size, span)
            start += size


def over_rows(compiled: Any, arguments: tuple[Any, ...], n_rows: int, n_elements: int) -> None:
    """Run compiled(*arguments, first, last) over all rows, in as many threads as the work is worth."""
    row_threads.over_rows(compiled, arguments, n_rows, n_elements // _ELEMENTS_WORTH_A_THREAD)


def sigma_delta(
    y_NM: Tensor, lags: tuple[int, ...], coefficients: tuple[float, ...], *, states: bool
) -> tuple[Tensor, Tensor | None]:
    """The recursion of `reference.sigma_delta`, 32 rows side by side in vector registers."""
    y_NM = y_NM.detach().contiguous()
    q_NM = torch.empty_like(y_NM, dtype=torch.int8)
    v_NM = torch.empty_like(y_NM) if states else y_NM[:0]
    scalar = y_NM.numpy().dtype.type
    arguments = (
        y_NM.numpy(),
        np.array(lags, dtype=np.int64),
        np.array(coefficients, dtype=scalar),
        q_NM.numpy(),
        v_NM.numpy(),
        states,
    )
    over_rows(_sigma_delta_rows, arguments, len(y_NM), y_NM.numel())
    return q_NM, v_NM if states else None


def fwht(x_ND: Tensor, blocks: tuple[int, ...], *, out_ND: Tensor | None = None) -> Tensor:
    """The butterflies of `reference.fwht`, a row at a time so that it stays in the first-level cache.

    Given contiguous memory as `out_ND`, the result goes there.
    """
    x_ND = x_ND.detach().contiguous()
    out_ND = torch.empty_like(x_ND) if out_ND is None else out_ND
    x, sizes = x_ND.numpy(), np.array(blocks, dtype=np.int64)
    arguments = (x, sizes, (sizes**-0.5).astype(x.dtype), out_ND.numpy())
    over_rows(_fwht_rows, arguments, len(x_ND), x_ND.numel())
    return out_ND
