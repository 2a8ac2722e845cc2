"""How the kernels for the CPU are compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    # What numba says about its own dependencies must not fail a program that turns warnings into errors.
    warnings.simplefilter("ignore")
    import numba


def jit(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock, with a cache on disk where there is a folder for it."""
    return _compiled(function)


def inner(function: Callable[..., Any]) -> Any:
    """The same for what compiled code alone calls: it goes without the way in from Python, and compiles faster."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compiled(function: Callable[..., Any], **options: bool) -> Any:
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True, error_model="numpy", **options)(function)
