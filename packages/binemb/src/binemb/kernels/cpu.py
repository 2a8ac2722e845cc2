"""The search for signs in numba, row by row, rows dealt to threads.

`descend_gram` only adds and multiplies element by element, in the order of the plain-torch form, and its codes are
equal to that form's bit for bit. `descend_factors` has inner products, whose rounding differs from torch's.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import numba


ROWS_TOGETHER = 16  # read each row of the Gram matrix once: at 1,024 bits it fills the caches


def _jit(**options: Any) -> Any:
    def compiled(function: Any) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # numba finds no writable folder for its cache
            return numba.njit(nogil=True, **options)(function)

    return compiled


@_jit()
def _add_multiple(slope_B, step, gram_B):
    for i in range(len(slope_B)):
        slope_B[i] += step * gram_B[i]


@_jit()
def _gram_rows(linear_NB, gram_BB, passes, signs_NB, first, last):
    n_bits = len(gram_BB)
    slope_RB = np.empty((ROWS_TOGETHER, n_bits), linear_NB.dtype)
    one = linear_NB.dtype.type(1)  # a float64 factor would make the sums float64
    for start in range(first, last, ROWS_TOGETHER):
        n_rows = min(ROWS_TOGETHER, last - start)
        for r in range(n_rows):
            for j in range(n_bits):
                slope_RB[r, j] = -linear_NB[start + r, j]
        for j in range(n_bits):
            for r in range(n_rows):
                sign = one if slope_RB[r, j] <= 0 else -one
                signs_NB[start + r, j] = np.int8(sign)
                _add_multiple(slope_RB[r], sign, gram_BB[j])
        for _ in range(passes):
            changed = False
            for j in range(n_bits):
                own = gram_BB[j, j]
                for r in range(n_rows):
                    sign = signs_NB[start + r, j]
                    if (slope_RB[r, j] if sign > 0 else -slope_RB[r, j]) > own:
                        _add_multiple(slope_RB[r], -(one + one) * linear_NB.dtype.type(sign), gram_BB[j])
                        signs_NB[start + r, j] = -sign
                        changed = True
            if not changed:
                break


@_jit(fastmath={"reassoc", "contract", "nsz"})
def _dot(a_R, b_R):
    total = a_R.dtype.type(0)
    for r in range(len(a_R)):
        total += a_R[r] * b_R[r]
    return total


@_jit()
def _slope(rest_R, factor_R, first, pull):
    return _dot(rest_R[first:], factor_R[first:]) - pull


@_jit()
def _factor_rows(pull_NB, target_NR, factor_BR, first_B, own_B, passes, signs_NB, start, stop):
    n_bits, n_columns = factor_BR.shape
    rest_MR = np.empty((ROWS_TOGETHER, n_columns), pull_NB.dtype)
    one = pull_NB.dtype.type(1)
    for top in range(start, stop, ROWS_TOGETHER):
        n_rows = min(ROWS_TOGETHER, stop - top)
        for m in range(n_rows):
            for r in range(n_columns):
                rest_MR[m, r] = -target_NR[top + m, r]
        for j in range(n_bits):
            first = first_B[j]
            for m in range(n_rows):
                slope = _slope(rest_MR[m], factor_BR[j], first, pull_NB[top + m, j])
                sign = one if slope <= 0 else -one
                signs_NB[top + m, j] = np.int8(sign)
                _add_multiple(rest_MR[m, first:], sign, factor_BR[j, first:])
        for _ in range(passes):
            changed = False
            for j in range(n_bits):
                first = first_B[j]
                for m in range(n_rows):
                    sign = signs_NB[top + m, j]
                    slope = _slope(rest_MR[m], factor_BR[j], first, pull_NB[top + m, j])
                    if (slope if sign > 0 else -slope) > own_B[j]:
                        step = -(one + one) * pull_NB.dtype.type(sign)
                        _add_multiple(rest_MR[m, first:], step, factor_BR[j, first:])
                        signs_NB[top + m, j] = -sign
                        changed = True
            if not changed:
                break


def descend_gram(linear_NB: Tensor, gram_BB: Tensor, passes: int) -> Tensor:
    """See `binemb.kernels.descend_gram`."""
    signs_NB = np.empty(linear_NB.shape, np.int8)
    arrays = linear_NB.contiguous().numpy(), gram_BB.contiguous().numpy(), passes, signs_NB
    _over_rows(len(signs_NB), lambda first, last: _gram_rows(*arrays, first, last))
    return torch.from_numpy(signs_NB)


def descend_factors(pull_NB: Tensor, target_NR: Tensor, factor_BR: Tensor, first_B: Tensor, passes: int) -> Tensor:
    """See `binemb.kernels.descend_factors`."""
    signs_NB = np.empty(pull_NB.shape, np.int8)
    floats = [tensor.contiguous().numpy() for tensor in (pull_NB, target_NR, factor_BR)]
    own_B = factor_BR.square().sum(1).numpy()
    arrays = *floats, first_B.numpy(), own_B, passes, signs_NB
    _over_rows(len(signs_NB), lambda first, last: _factor_rows(*arrays, first, last))
    return torch.from_numpy(signs_NB)


def _over_rows(n_rows: int, work: Any) -> None:
    """Run work(first, last) on spans of rows, on as many threads as torch uses."""
    threads = max(1, min(torch.get_num_threads(), n_rows // 16))
    if threads == 1:
        work(0, n_rows)
        return
    bounds = [n_rows * i // (4 * threads) for i in range(4 * threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
