"""A barrier for threads inside compiled code."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from llvmlite import ir

from lsm.kernels.numba_jit import jit, numba

_SPINS = 2000
_yield = numba.types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", numba.types.int32()
)


@numba.extending.intrinsic
def _add(typing_context: Any, counter: Any, amount: Any) -> Any:  # noqa: ARG001
    """Add to an int64 at once for all threads; give what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = numba.core.cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw(
            "add", builder.bitcast(array.data, ir.IntType(64).as_pointer()), arguments[1], "seq_cst"
        )

    return numba.types.int64(counter, numba.types.int64), generate


@jit
def wait(counter, target):
    """Arrive, and go on when the counter, common to all threads and never set back, has reached the target."""
    _add(counter, np.int64(1))
    spins = 0
    while _add(counter, np.int64(0)) < target:
        spins += 1
        if spins > _SPINS:
            _yield()
