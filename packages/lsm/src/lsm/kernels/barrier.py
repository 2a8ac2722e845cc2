"""A barrier for threads inside compiled code.

A thread that waits looks for a while, then offers its core to others, then sleeps: where there are more threads than
free cores, looking on would keep the others from arriving. It looks and offers for longer than a step of a small
network takes: threads that sleep sooner make each other wait, and sleep, in turn.
"""

from __future__ import annotations

import sys

from lsm.kernels.atomics import atomic_add, atomic_load, numba
from lsm.kernels.numba_jit import inner

_LOOKS, _OFFERS = 20_000, 22_000  # looks until a thread offers its core, until it sleeps
_SLEEP = 50  # microseconds
_int32, _Function = numba.types.int32, numba.types.ExternalFunction
if sys.platform == "win32":
    _offer = _Function("SwitchToThread", _int32())

    @inner
    def _sleep(microseconds):  # noqa: ARG001
        return _offer()

else:
    _offer = _Function("sched_yield", _int32())
    _sleep = _Function("usleep", _int32(numba.types.uint32))


@inner
def wait(counter, target):
    """Arrive, and go on when the counter, common to all threads, has reached the target."""
    atomic_add(counter, 0, 1)
    looks = 0
    while atomic_load(counter, 0) < target:
        looks += 1
        if looks > _OFFERS:
            _sleep(_SLEEP)
        elif looks > _LOOKS:
            _offer()
