"""numba kernels for CPU tensors: int8 activations, and their products with packed ternary weights.

Each equals its namesake in `reference` bit for bit.

Shapes: N tokens, K inputs and O outputs of a linear layer, B packed bytes a row of weights, W bytes of a row spread
over planes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sdquant.kernels import simd_ternary
from sdquant.kernels.cpu import _jit, over_rows

_BYTES_WORTH_AN_ELEMENT = 8  # a packed byte times a token takes an eighth of the time of an element elsewhere


@_jit
def _int8_rows(x_NK, most, largest, values_NK, scales_N, first, last):
    for n in range(first, last):
        x_K = x_NK[n]
        values_K = values_NK[n]
        peak = abs(x_K[0])
        finite = True
        for k in range(len(x_K)):
            size = abs(x_K[k])
            finite &= size <= largest  # false for a NaN
            peak = max(peak, size)
        scale = peak / most
        scales_N[n] = scale if finite else np.nan
        if finite and scale > 0:
            for k in range(len(x_K)):
                values_K[k] = np.int8(min(max(np.rint(x_K[k] / scale), -most), most))
        else:
            values_K[:] = 0


@_jit
def _spread_rows(x_NK, n_planes, plane, planes_NW, sums_N, first, last):
    """Entry k of a row goes to plane k % n_planes, where the digits of the weights it meets will be."""
    for n in range(first, last):
        total = np.int32(0)
        for place in range(n_planes):
            at = place * plane
            for k in range(place, x_NK.shape[1], n_planes):
                planes_NW[n, at] = x_NK[n, k]
                total += x_NK[n, k]
                at += 1
        sums_N[n] = total


@_jit
def _unpack_row(packed, start, n_bytes, base, digits, target, plane):
    for k in range(0, n_bytes, simd_ternary.VECTOR_BYTES):
        if start + k + simd_ternary.VECTOR_BYTES <= len(packed):
            # beyond the row's end these are the next row's digits: they meet the zeros that fill up x
            at = target + k
            if base == 3:
                simd_ternary.unpack_base3(packed, start + k, digits, at, plane)  # pyright: ignore[reportCallIssue]
            else:
                simd_ternary.unpack_two_bit(packed, start + k, digits, at, plane)  # pyright: ignore[reportCallIssue]
        else:
            for i in range(k, n_bytes):
                byte = packed[start + i]
                for at in range(target + i, target + i + (5 if base == 3 else 4) * plane, plane):
                    digits[at] = byte % base
                    byte //= base


@_jit
def _ternary_linear_rows(planes_NW, sums_N, packed_OB, base, plane, out_NO, first, last):
    n_tokens, width = planes_NW.shape
    n_bytes = packed_OB.shape[1]
    packed = packed_OB.reshape(-1)
    planes = planes_NW.reshape(-1)
    digits = np.zeros(simd_ternary.ROWS * width, np.uint8)
    tile = np.zeros(simd_ternary.ROWS * simd_ternary.TOKENS, np.int32)
    for row in range(first, last, simd_ternary.ROWS):
        n_rows = min(simd_ternary.ROWS, last - row)
        for r in range(n_rows):
            _unpack_row(packed, (row + r) * n_bytes, n_bytes, base, digits, r * width, plane)
        n = 0
        while n < n_tokens:
            n_tile = simd_ternary.TOKENS if n + simd_ternary.TOKENS <= n_tokens else 1
            if n_tile == 1:
                simd_ternary.dot_one(digits, planes, n * width, width, tile)
            else:
                simd_ternary.dot_four(digits, planes, n * width, width, tile)
            for r in range(n_rows):
                for t in range(n_tile):
                    out_NO[n + t, row + r] = tile[r * n_tile + t] - sums_N[n + t]
            n += n_tile


def int8_activations(x_NK: Tensor) -> tuple[Tensor, Tensor]:
    """The rounding of `reference.int8_activations`, a token at a time."""
    x_NK = x_NK.detach().contiguous()
    values_NK = torch.empty_like(x_NK, dtype=torch.int8)
    scales_N = x_NK.new_empty(len(x_NK))
    scalar = x_NK.numpy().dtype.type
    limits = scalar(127), scalar(torch.finfo(x_NK.dtype).max)
    arguments = (x_NK.numpy(), *limits, values_NK.numpy(), scales_N.numpy())
    over_rows(_int8_rows, arguments, len(x_NK), x_NK.numel())
    return values_NK, scales_N[:, None]


def ternary_linear(x_NK: Tensor, packed_OB: Tensor, places: tuple[int, ...]) -> Tensor:
    """The sums of `reference.ternary_linear` as sum_k (trit + 1) x - sum_k x, four rows unpacked at a time."""
    x_NK, packed_OB = x_NK.contiguous(), packed_OB.contiguous()
    n_tokens, n_outputs = len(x_NK), len(packed_OB)
    plane = -(-packed_OB.shape[1] // simd_ternary.VECTOR_BYTES) * simd_ternary.VECTOR_BYTES
    planes_NW = np.zeros((n_tokens, len(places) * plane), np.int8)
    sums_N = np.empty(n_tokens, np.int32)
    over_rows(_spread_rows, (x_NK.numpy(), len(places), plane, planes_NW, sums_N), n_tokens, x_NK.numel())
    out_NO = torch.empty(n_tokens, n_outputs, dtype=torch.int32)
    arguments = (planes_NW, sums_N, packed_OB.numpy(), places[1], plane, out_NO.numpy())
    work = packed_OB.numel() * n_tokens // _BYTES_WORTH_AN_ELEMENT
    over_rows(_ternary_linear_rows, arguments, n_outputs, work)
    return out_NO
