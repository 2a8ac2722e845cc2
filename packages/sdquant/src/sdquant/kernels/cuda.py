"""Triton kernels for CUDA tensors; each equals its namesake in `reference` bit for bit.

Sums keep the order of the reference and are compiled without fusing a product into a sum, which would round once where
the reference rounds twice.

Shapes: N rows, M time steps, D dimensions; K inputs and O outputs of a linear layer, B packed bytes a row of weights,
P places of a byte.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_jit: Any = triton.jit  # launched with options that its type does not know
_EXACT = {"enable_fp_fusion": False}  # options that keep every rounding of the reference
_RING_STEPS = 32  # a power of two beyond the largest lag, 25
_PASS_SIZE = 8192  # the longest transform that one program holds
_TILE = 1024  # elements that a program takes at least, where there are as many


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@_jit
def _sigma_delta_kernel(
    y_ptr,
    q_ptr,
    v_ptr,
    ring_ptr,
    n_rows,
    n_steps,
    N_TAPS: tl.constexpr,
    LAGS: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    STATES: tl.constexpr,
    RING: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Time-major: neighbouring rows are neighbours in memory. The ring holds the last RING states, at first zero."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = row < n_rows
    at = row.to(tl.int64)
    for i in range(n_steps):
        c = tl.load(y_ptr + at, mask=inside, other=0.0)
        for j in tl.static_range(N_TAPS):  # pyright: ignore[reportGeneralTypeIssues]
            past = tl.load(ring_ptr + (i - LAGS[j] + RING) % RING * n_rows + row, mask=inside, other=0.0)
            c += past * COEFFICIENTS[j]
        positive = c >= 0
        q = tl.where(positive, 1, -1)
        v = c - q.to(c.dtype)
        tl.store(q_ptr + at, q.to(tl.int8), mask=inside)
        if STATES:
            tl.store(v_ptr + at, v, mask=inside)
        if N_TAPS > 0:
            tl.store(ring_ptr + i % RING * n_rows + row, v, mask=inside)  # pyright: ignore[reportOperatorIssue]
            tl.debug_barrier()  # another thread of the program may read what this one stored
        at += n_rows


def sigma_delta(
    y_NM: Tensor, lags: tuple[int, ...], coefficients: tuple[float, ...], *, states: bool
) -> tuple[Tensor, Tensor | None]:
    """The recursion of `reference.sigma_delta`, a lane of a program a row."""
    n_rows, n_steps = y_NM.shape
    y_MN = y_NM.detach().T.contiguous()
    q_MN = torch.empty_like(y_MN, dtype=torch.int8)
    v_MN = torch.empty_like(y_MN) if states else y_MN
    ring_RN = y_MN.new_zeros(_RING_STEPS, n_rows)
    block = 32
    if y_MN.numel():
        with _device_of(y_MN):
            _sigma_delta_kernel[(triton.cdiv(n_rows, block),)](
                y_MN,
                q_MN,
                v_MN,
                ring_RN,
                n_rows,
                n_steps,
                N_TAPS=len(lags),
                LAGS=lags,
                COEFFICIENTS=coefficients,
                STATES=states,
                RING=_RING_STEPS,
                BLOCK=block,
                num_warps=1,
                **_EXACT,
            )
    return q_MN.T.contiguous(), v_MN.T.contiguous() if states else None


@_jit
def _fwht_kernel(
    x_ptr,
    y_ptr,
    n_rows,
    row_stride,
    first_column,
    step,
    chunk_stride,
    SCALE: tl.constexpr,
    ROWS: tl.constexpr,
    LOG_SIZE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Transform ROWS x COLUMNS series of 2**LOG_SIZE elements, `step` apart; the tile is flat, columns innermost."""
    SIZE: tl.constexpr = 2**LOG_SIZE
    TILE: tl.constexpr = ROWS * SIZE * COLUMNS
    flat = tl.arange(0, TILE)
    row = tl.program_id(0) * ROWS + flat // (SIZE * COLUMNS)
    column = first_column + tl.program_id(1) * chunk_stride + flat // COLUMNS % SIZE * step + flat % COLUMNS
    at = row.to(tl.int64) * row_stride + column
    x = tl.load(x_ptr + at, mask=row < n_rows, other=0.0) * SCALE
    for stage in tl.static_range(LOG_SIZE):  # pyright: ignore[reportGeneralTypeIssues]
        pairs = tl.reshape(x, (TILE // (2 * (COLUMNS << stage)), 2, COLUMNS << stage))
        low, high = tl.split(tl.permute(pairs, (0, 2, 1)))
        x = tl.reshape(tl.permute(tl.join(low + high, low - high), (0, 2, 1)), (TILE,))
    tl.store(y_ptr + at, x, mask=row < n_rows)


def fwht(x_ND: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """The butterflies of `reference.fwht`: spans below 8192 in one pass, those above in a second."""
    x_ND = x_ND.detach().contiguous()
    out_ND = torch.empty_like(x_ND)
    first = 0
    for size in blocks:
        inner = min(size, _PASS_SIZE)
        _fwht_pass(x_ND, out_ND, first, size, length=inner, step=1, scale=size**-0.5)
        if size > inner:
            _fwht_pass(out_ND, out_ND, first, size, length=size // inner, step=inner, scale=1.0)
        first += size
    return out_ND


def _fwht_pass(x_ND: Tensor, out_ND: Tensor, first: int, size: int, *, length: int, step: int, scale: float) -> None:
    """Transform the series of `length` elements, `step` apart, of the columns from `first` to `first + size`."""
    n_rows = len(x_ND)
    columns = 1 if step == 1 else max(1, _TILE // length)
    rows = max(1, _TILE // (length * columns))
    n_chunks = size // (length * columns)
    if not n_rows:
        return
    with _device_of(x_ND):
        _fwht_kernel[(triton.cdiv(n_rows, rows), n_chunks)](
            x_ND,
            out_ND,
            n_rows,
            x_ND.shape[1],
            first,
            step,
            length if step == 1 else columns,
            SCALE=scale,
            ROWS=rows,
            LOG_SIZE=length.bit_length() - 1,
            COLUMNS=columns,
            num_warps=max(1, min(16, rows * length * columns // 512)),
            **_EXACT,
        )


@_jit
def _ternary_linear_kernel(
    x_ptr,
    packed_ptr,
    out_ptr,
    n_tokens,
    n_outputs,
    n_bytes,
    BASE: tl.constexpr,
    PLACES: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_B: tl.constexpr,
):
    n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)[:, None]
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)[None, :]
    sums = tl.zeros((BLOCK_N, BLOCK_O), dtype=tl.int32)
    for start in range(0, n_bytes, BLOCK_B):
        b_column = start + tl.arange(0, BLOCK_B)[:, None]
        b_row = start + tl.arange(0, BLOCK_B)[None, :]
        packed_at = packed_ptr + o.to(tl.int64) * n_bytes + b_column
        rest = tl.load(packed_at, mask=(o < n_outputs) & (b_column < n_bytes), other=0).to(tl.int32)
        for place in tl.static_range(PLACES):  # pyright: ignore[reportGeneralTypeIssues]
            x_at = x_ptr + (n.to(tl.int64) * PLACES + place) * n_bytes + b_row
            x = tl.load(x_at, mask=(n < n_tokens) & (b_row < n_bytes), other=0)
            trits = (rest % BASE - 1).to(tl.int8)  # what is not there is -1 and meets zeros of x
            sums = tl.dot(x, trits, sums, out_dtype=tl.int32)
            rest = rest // BASE
    out_at = out_ptr + n.to(tl.int64) * n_outputs + o
    tl.store(out_at, sums, mask=(n < n_tokens) & (o < n_outputs))


def ternary_linear(x_NK: Tensor, packed_OB: Tensor, places: tuple[int, ...]) -> Tensor:
    """The sums of `reference.ternary_linear`, by int8 matrix units, a place of the bytes at a time."""
    n_tokens, n_outputs, n_bytes = len(x_NK), *packed_OB.shape
    filled = torch.nn.functional.pad(x_NK, (0, n_bytes * len(places) - x_NK.shape[1]))
    x_NPB = filled.reshape(n_tokens, n_bytes, len(places)).transpose(1, 2).contiguous()
    out_NO = torch.empty(n_tokens, n_outputs, dtype=torch.int32, device=x_NK.device)
    block_n, block_o, block_b = (16 if n_tokens <= 16 else 64), 64, 64
    if n_tokens:
        with _device_of(x_NK):
            _ternary_linear_kernel[(triton.cdiv(n_tokens, block_n), triton.cdiv(n_outputs, block_o))](
                x_NPB,
                packed_OB.contiguous(),
                out_NO,
                n_tokens,
                n_outputs,
                n_bytes,
                BASE=places[1],
                PLACES=len(places),
                BLOCK_N=block_n,
                BLOCK_O=block_o,
                BLOCK_B=block_b,
            )
    return out_NO
