"""Rows of arrays shared out over plain threads, for compiled functions that release the interpreter lock."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

_READY: set[tuple[Any, ...]] = set()


def _compile_before_threads(compiled: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Compile for these argument types, once: what the compiler warns about concerns no user."""
    key = (compiled, *(getattr(argument, "dtype", type(argument)) for argument in arguments))
    if key not in _READY:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled(*arguments, 0, 0)
        _READY.add(key)


def over_rows(compiled: Callable[..., Any], arguments: tuple[Any, ...], n_rows: int, worth: int) -> None:
    """Run compiled(*arguments, first, last) over all rows, in at most as many threads as torch uses.

    Args:
        compiled: a numba function without the interpreter lock that works on rows first to last - 1; it is called with
            no rows once for every set of argument types, to compile it.
        arguments: what it gets before the rows.
        n_rows: number of rows, >= 0.
        worth: how many further threads the work is worth, >= 0.
    """
    _compile_before_threads(compiled, arguments)
    n_threads = min(torch.get_num_threads(), n_rows, 1 + worth)
    if n_threads <= 1:
        compiled(*arguments, 0, n_rows)
        return
    edges = [n_rows * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads - 1) as pool:
        others = [pool.submit(compiled, *arguments, edges[k], edges[k + 1]) for k in range(1, n_threads)]
        compiled(*arguments, edges[0], edges[1])
        for other in others:
            other.result()
