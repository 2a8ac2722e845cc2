"""One step of leaky integrate-and-fire neurons.

Every function takes views of one population in one partition, n neurons: `arrived` int32 (read, then cleared), states
in one floating-point type, `clock` int16, `fired` uint8; `c` are the constants of `LIF.parameters`. Loops are written
so that they become vector code: no branches, no wider types.
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import inner

_NONE, _ONE = np.int16(0), np.int16(1)


@inner
def delta(c, v, clock, arrived, fired):
    """V <- (drift + decay V) + arrived unless refractory."""
    decay, drift, threshold, reset, refractory, quantum = c[0], c[1], c[2], c[3], np.int16(c[4]), c[5]
    real = v.dtype.type
    for i in range(len(v)):
        left = clock[i]
        moved = (drift + decay * v[i]) + quantum * real(arrived[i])
        arrived[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        fired[i] = spike


@inner
def exponential(c, v, current, clock, arrived, fired):
    """V <- (decay V + I gain) + drift unless refractory; then I <- decay I + arrived."""
    decay, drift, threshold, reset, refractory = c[0], c[1], c[2], c[3], np.int16(c[4])
    quantum, current_decay, gain = c[5], c[6], c[7]
    real = v.dtype.type
    for i in range(len(v)):
        left = clock[i]
        moved = (decay * v[i] + gain * current[i]) + drift
        current[i] = current_decay * current[i] + quantum * real(arrived[i])
        arrived[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        fired[i] = spike


@inner
def two_exponentials(c, v, current_ex, current_in, clock, arrived_ex, arrived_in, fired):
    """The same with a current for excitation and one for inhibition."""
    decay, drift, threshold, reset, refractory = c[0], c[1], c[2], c[3], np.int16(c[4])
    quantum_ex, decay_ex, gain_ex, quantum_in, decay_in, gain_in = c[5], c[6], c[7], c[8], c[9], c[10]
    real = v.dtype.type
    for i in range(len(v)):
        left = clock[i]
        moved = ((decay * v[i] + gain_ex * current_ex[i]) + gain_in * current_in[i]) + drift
        current_ex[i] = decay_ex * current_ex[i] + quantum_ex * real(arrived_ex[i])
        current_in[i] = decay_in * current_in[i] + quantum_in * real(arrived_in[i])
        arrived_ex[i] = 0
        arrived_in[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        fired[i] = spike
