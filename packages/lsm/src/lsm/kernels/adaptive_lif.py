"""One step of leaky integrate-and-fire neurons with an adaptive threshold; `c` are the constants of
`AdaptiveLIF.parameters`, views as in `lsm.kernels.lif`.

The threshold of a step is that of its end, without the spikes of that step.
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import inner


@inner
def _decide(i, c, v, adaptation, clock, moved, fired):
    """Spike, reset, refractory clock and adaptation of neuron i, whose membrane would be `moved`."""
    decay_a, beta, threshold, reset = c[0], c[1], c[4], c[5]
    a = decay_a * adaptation[i]
    left = clock[i]
    free = left == 0
    u = moved if free else v[i]
    spike = u >= threshold + beta * a
    v[i] = reset if spike else u
    clock[i] = np.int16(c[6]) if spike else (left if free else np.int16(left - 1))
    adaptation[i] = a + v.dtype.type(1) if spike else a
    fired[i] = spike


@inner
def delta(c, v, adaptation, clock, arrived, fired):
    """V <- drift + decay V + arrived, in mV."""
    decay, drift, quantum = c[2], c[3], c[7]
    real = v.dtype.type
    for i in range(len(v)):
        moved = (drift + decay * v[i]) + quantum * real(arrived[i])
        arrived[i] = 0
        _decide(i, c, v, adaptation, clock, moved, fired)


@inner
def exponential(c, v, current, adaptation, clock, arrived, fired):
    """V <- (decay V + p21 I) + drift, I <- p11 I + arrived."""
    decay, drift, quantum, p11, p21 = c[2], c[3], c[7], c[8], c[9]
    real = v.dtype.type
    for i in range(len(v)):
        moved = (decay * v[i] + p21 * current[i]) + drift
        current[i] = p11 * current[i] + quantum * real(arrived[i])
        arrived[i] = 0
        _decide(i, c, v, adaptation, clock, moved, fired)


@inner
def two_exponentials(c, v, current, current_in, adaptation, clock, arrived, arrived_in, fired):
    """The same with a current of its own for each sign of the weights."""
    decay, drift, quantum, p11, p21, quantum_in, p11_in, p21_in = c[2], c[3], c[7], c[8], c[9], c[10], c[11], c[12]
    real = v.dtype.type
    for i in range(len(v)):
        moved = ((decay * v[i] + p21 * current[i]) + p21_in * current_in[i]) + drift
        current[i] = p11 * current[i] + quantum * real(arrived[i])
        current_in[i] = p11_in * current_in[i] + quantum_in * real(arrived_in[i])
        arrived[i] = 0
        arrived_in[i] = 0
        _decide(i, c, v, adaptation, clock, moved, fired)
