"""One step of leaky integrate-and-fire neurons with an adaptive threshold; `c` are the constants of
`AdaptiveLIF.parameters`, views as in `lsm.kernels.lif`.

The threshold of a step is that of its end, without the spikes of that step.
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import inner

_NONE, _ONE = np.int16(0), np.int16(1)


@inner
def delta(c, v, adaptation, clock, arrived, fired):
    """V <- drift + decay V + arrived, in mV."""
    decay_a, beta, decay, drift, threshold, reset = c[0], c[1], c[2], c[3], c[4], c[5]
    refractory, quantum = np.int16(c[6]), c[7]
    real = v.dtype.type
    for i in range(len(v)):
        left, a = clock[i], decay_a * adaptation[i]
        moved = (drift + decay * v[i]) + quantum * real(arrived[i])
        arrived[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold + beta * a
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        adaptation[i] = a + real(spike)
        fired[i] = spike


@inner
def exponential(c, v, current, adaptation, clock, arrived, fired):
    """V <- (decay V + gain I) + drift, I <- decay I + arrived."""
    decay_a, beta, decay, drift, threshold, reset = c[0], c[1], c[2], c[3], c[4], c[5]
    refractory, quantum, current_decay, gain = np.int16(c[6]), c[7], c[8], c[9]
    real = v.dtype.type
    for i in range(len(v)):
        left, a = clock[i], decay_a * adaptation[i]
        moved = (decay * v[i] + gain * current[i]) + drift
        current[i] = current_decay * current[i] + quantum * real(arrived[i])
        arrived[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold + beta * a
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        adaptation[i] = a + real(spike)
        fired[i] = spike


@inner
def two_exponentials(c, v, current_ex, current_in, adaptation, clock, arrived_ex, arrived_in, fired):
    """The same with a current of its own for each sign of the weights."""
    decay_a, beta, decay, drift, threshold, reset = c[0], c[1], c[2], c[3], c[4], c[5]
    refractory = np.int16(c[6])
    quantum_ex, decay_ex, gain_ex, quantum_in, decay_in, gain_in = c[7], c[8], c[9], c[10], c[11], c[12]
    real = v.dtype.type
    for i in range(len(v)):
        left, a = clock[i], decay_a * adaptation[i]
        moved = ((decay * v[i] + gain_ex * current_ex[i]) + gain_in * current_in[i]) + drift
        current_ex[i] = decay_ex * current_ex[i] + quantum_ex * real(arrived_ex[i])
        current_in[i] = decay_in * current_in[i] + quantum_in * real(arrived_in[i])
        arrived_ex[i] = 0
        arrived_in[i] = 0
        u = moved if left == _NONE else v[i]
        spike = u >= threshold + beta * a
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        adaptation[i] = a + real(spike)
        fired[i] = spike
