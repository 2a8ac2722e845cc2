"""How the kernels for the CPU are compiled."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
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


def default_threads() -> int:
    """Threads of a simulation unless told: the cores of this process, or NUMBA_NUM_THREADS."""
    return int(numba.config.NUMBA_NUM_THREADS)  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]


@functools.cache
def _sources() -> tuple[float, int]:
    """When any file that takes part in compiled code was written last, and how long they are together."""
    kernels = list(Path(__file__).parent.glob("*.py"))
    texts = "\n".join(path.read_text() for path in kernels)
    used = set(re.findall(r"^from lsm\.(\w+) import", texts, re.MULTILINE))
    used |= {
        name.strip() for names in re.findall(r"^from lsm import (.+)", texts, re.MULTILINE) for name in names.split(",")
    }
    beside = [path for path in Path(__file__).parents[1].glob("*.py") if path.stem in used]
    files = [path.stat() for path in (*kernels, *beside)]
    return max(file.st_mtime for file in files), sum(file.st_size for file in files)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    try:
        compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True, error_model="numpy", **options)(function)
    # numba looks at the function's own file only, and would keep what it compiled of functions in others
    cache_file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache_file is not None:  # there is a cache
        cache_file._source_stamp = _sources()
    return compiled
