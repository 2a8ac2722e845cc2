"""One step of leaky integrate-and-fire neurons.

Every function takes views of one population in one partition, n neurons: `arrived` int32 (read, then cleared), states in
one floating-point type, `clock` int16, `fired` uint8; `c` are the constants of `LIF.parameters`.
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import jit


@jit
def delta(c, v, clock, arrived, fired):
    """V <- drift + decay V + arrived, in mV."""
    decay, drift, threshold, reset, quantum = c[0], c[1], c[2], c[3], c[5]
    refractory = np.int16(c[4])
    real = v.dtype.type
    for i in range(len(v)):
        left = clock[i]
        free = left == 0
        moved = (drift + decay * v[i]) + quantum * real(arrived[i])
        arrived[i] = 0
        u = moved if free else v[i]
        spike = u >= threshold
        v[i] = reset if spike else u
        clock[i] = refractory if spike else (left if free else np.int16(left - 1))
        fired[i] = spike
