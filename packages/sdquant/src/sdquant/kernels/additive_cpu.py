"""numba loops of `sdquant.kernels.additive`, and the sums that fit its codebooks.

No operation is reordered or fused (only NaNs and the sign of zero are given up, so that minima vectorize): a row's
result is the same in any batch, on any number of threads, and in the plain-torch form.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import numba

    _FLAGS = {"nnan", "nsz"}


def _jit(function: Any) -> Any:
    try:
        return numba.njit(nogil=True, cache=True, fastmath=_FLAGS)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True, fastmath=_FLAGS)(function)


@_jit
def _replace(gain_J, pairs_JJ, old, new):
    added_J = pairs_JJ[new]
    removed_J = pairs_JJ[old]
    for j in range(len(gain_J)):
        gain_J[j] += added_J[j] - removed_J[j]


@_jit
def _descend(error, gain_J, pairs_JJ, n_symbols, passes, codes_M):
    for _ in range(passes):
        changed = False
        for m in range(len(codes_M)):
            base = m * n_symbols
            now = gain_J[base + codes_M[m]]
            least = now
            for k in range(n_symbols):
                least = min(least, gain_J[base + k])
            if least < now:
                k = 0
                while gain_J[base + k] != least:
                    k += 1
                error += least - now
                _replace(gain_J, pairs_JJ, base + codes_M[m], base + k)
                codes_M[m] = k
                changed = True
        if not changed:
            break
    return error


@_jit
def search_rows(
    x_ND, alone_J, projection_DJ, pairs_JJ, positions_RQ, symbols_RQ, n_symbols, passes, codes_NM, first, last
):
    n_dims = x_ND.shape[1]
    n_codebooks = codes_NM.shape[1]
    gain_J = np.empty_like(alone_J)
    best_J = np.empty_like(alone_J)
    codes_M = np.empty(n_codebooks, np.int64)
    best_M = np.empty(n_codebooks, np.int64)
    for n in range(first, last):
        gain_J[:] = alone_J
        whole = n_dims - n_dims % 4
        for d in range(0, whole, 4):
            a, b, c, e = x_ND[n, d], x_ND[n, d + 1], x_ND[n, d + 2], x_ND[n, d + 3]
            a_J, b_J, c_J, e_J = projection_DJ[d], projection_DJ[d + 1], projection_DJ[d + 2], projection_DJ[d + 3]
            for j in range(len(gain_J)):
                gain_J[j] = (((gain_J[j] + a * a_J[j]) + b * b_J[j]) + c * c_J[j]) + e * e_J[j]
        for d in range(whole, n_dims):
            a = x_ND[n, d]
            a_J = projection_DJ[d]
            for j in range(len(gain_J)):
                gain_J[j] += a * a_J[j]
        for m in range(n_codebooks):
            codes_M[m] = codes_NM[n, m]
            present_J = pairs_JJ[m * n_symbols + codes_M[m]]
            for j in range(len(gain_J)):
                gain_J[j] += present_J[j]
        error = _descend(np.float32(0), gain_J, pairs_JJ, n_symbols, passes, codes_M)
        best = error
        best_M[:] = codes_M
        best_J[:] = gain_J
        for r in range(positions_RQ.shape[0]):
            for q in range(positions_RQ.shape[1]):
                base = positions_RQ[r, q] * n_symbols
                old = base + codes_M[positions_RQ[r, q]]
                new = base + symbols_RQ[r, q]
                error += gain_J[new] - gain_J[old]
                _replace(gain_J, pairs_JJ, old, new)
                codes_M[positions_RQ[r, q]] = symbols_RQ[r, q]
            error = _descend(error, gain_J, pairs_JJ, n_symbols, passes, codes_M)
            if error < best:
                best = error
                best_M[:] = codes_M
                best_J[:] = gain_J
            else:
                error = best
                codes_M[:] = best_M
                gain_J[:] = best_J
        for m in range(n_codebooks):
            codes_NM[n, m] = best_M[m]


@_jit
def count_pairs(codes_NM, n_symbols, counts_JJ, first, last):
    """How often two entries stand in one code; codebooks first..last-1 of the rows of the result."""
    for n in range(codes_NM.shape[0]):
        for m in range(first, last):
            row_J = counts_JJ[m * n_symbols + codes_NM[n, m]]
            for other in range(codes_NM.shape[1]):
                row_J[other * n_symbols + codes_NM[n, other]] += 1


@_jit
def sum_by_symbol(codes_NM, n_symbols, x_ND, sums_JD, first, last):
    """Sum of the vectors that use each entry; codebooks first..last-1."""
    for n in range(codes_NM.shape[0]):
        for m in range(first, last):
            sum_D = sums_JD[m * n_symbols + codes_NM[n, m]]
            for d in range(x_ND.shape[1]):
                sum_D[d] += x_ND[n, d]
