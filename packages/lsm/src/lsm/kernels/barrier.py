"""A barrier for threads inside compiled code."""

from __future__ import annotations

import sys

from lsm.kernels.atomics import atomic_add, atomic_load
from lsm.kernels.numba_jit import inner, numba

_SPINS = 1000
_yield = numba.types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", numba.types.int32()
)


@inner
def wait(counter, target):
    """Arrive, and go on when the counter, common to all threads, has reached the target."""
    atomic_add(counter, 0, 1)
    spins = 0
    while atomic_load(counter, 0) < target:
        spins += 1
        if spins > _SPINS:
            _yield()
