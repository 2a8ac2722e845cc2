"""Functions of the C library over arrays, for what Gymnasium computes with Python's `math` or with `**` on scalars.

Numpy's array functions need not give the same last bit: the square of an array is x x, that of a scalar pow(x, 2).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

with warnings.catch_warnings():
    # What numba says about its own dependencies must not fail a program that turns warnings into errors.
    warnings.simplefilter("ignore")
    import numba


def _jit(function: Any) -> Any:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True)(function)


_READY: set[tuple[str, str]] = set()


def _call(function: Any, *arguments: Any) -> None:
    """Call a compiled function; what the compiler warns about, the first time, concerns no user."""
    key = (function.__name__, arguments[0].dtype.char)
    if key in _READY:
        function(*arguments)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(*arguments)
    _READY.add(key)


@_jit
def _cos(x_B, result_B):
    for b in range(len(x_B)):
        result_B[b] = math.cos(x_B[b])


@_jit
def _pow(x_B, exponent, result_B):
    for b in range(len(x_B)):
        result_B[b] = math.pow(x_B[b], exponent)


def cos_of_libm(x_B: Any) -> Any:
    """`math.cos` of each entry of a float64 array (B,); tensors take torch's."""
    if not isinstance(x_B, np.ndarray):
        return x_B.cos()
    result_B = np.empty(len(x_B))
    _call(_cos, np.ascontiguousarray(x_B), result_B)
    return result_B


def square_of_libm(x_B: Any) -> Any:
    """`x ** 2` of each entry of a float array (B,) as numpy does it for scalars; tensors take torch's square."""
    if not isinstance(x_B, np.ndarray):
        return x_B.square()
    result_B = np.empty(len(x_B), x_B.dtype)
    _call(_pow, np.ascontiguousarray(x_B), x_B.dtype.type(2), result_B)
    return result_B
