"""One step of Izhikevich's neurons; `c` are the constants of `Izhikevich.parameters`, views as in `lsm.kernels.lif`."""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import inner


@inner
def izhikevich(c, v, recovery, arrived, fired):
    """V <- V + h (0.04 V^2 + 5 V + 140 - u + I) + arrived, u <- u + h a (b (V - c) - u), both from the V before."""
    h, square, linear, base, h_a = c[0], c[1], c[2], c[3], c[4]
    b, reset, jump, threshold, quantum = c[5], c[6], c[7], c[8], c[9]
    real = v.dtype.type
    for i in range(len(v)):
        old, u = v[i], recovery[i]
        slope = ((square * old) * old + linear * old) + (base - u)
        moved = (old + h * slope) + quantum * real(arrived[i])
        arrived[i] = 0
        u = u + h_a * (b * (old - reset) - u)
        spike = moved >= threshold
        v[i] = reset if spike else moved
        recovery[i] = u + jump if spike else u
        fired[i] = spike


def izhikevich_reference(c, v, recovery, arrived):
    """The same in numpy, in place, with `arrived` in the type of the state; give who fires."""
    h, square, linear, base, h_a, b, reset, jump, threshold, quantum = c
    slope = ((square * v) * v + linear * v) + (base - recovery)
    moved = (v + h * slope) + quantum * arrived
    u = recovery + h_a * (b * (v - reset) - recovery)
    spike = moved >= threshold
    v[:] = np.where(spike, reset, moved)
    recovery[:] = np.where(spike, u + jump, u)
    return spike
