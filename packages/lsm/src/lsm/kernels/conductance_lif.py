"""One step of neurons with conductances; `c` are the constants of `ConductanceLIF.parameters`, views as in
`lsm.kernels.lif`.

By the implicit midpoint rule with the mean conductances of the step, G their sum with the leak and E what they pull to:

    (C / h + G / 2) V' = (C / h - G / 2) V + E
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import inner

_NONE, _ONE = np.int16(0), np.int16(1)


@inner
def conductance(c, v, g_ex, g_in, clock, arrived_ex, arrived_in, fired):
    """Advance membrane and conductances; a refractory membrane stays where it is."""
    per_step, half_leak, constant, threshold, reset = c[0], c[1], c[2], c[3], c[4]
    refractory = np.int16(c[5])
    unit_ex, decay_ex, half_ex, reversal_ex = c[6], c[7], c[8], c[9]
    unit_in, decay_in, half_in, reversal_in = c[10], c[11], c[12], c[13]
    real = v.dtype.type
    for i in range(len(v)):
        mean_ex, mean_in = half_ex * g_ex[i], half_in * g_in[i]
        half = (half_leak + mean_ex) + mean_in
        pull = (mean_ex * reversal_ex + mean_in * reversal_in) + constant
        moved = ((per_step - half) * v[i] + pull) / (per_step + half)
        g_ex[i] = decay_ex * g_ex[i] + unit_ex * real(arrived_ex[i])
        g_in[i] = decay_in * g_in[i] + unit_in * real(arrived_in[i])
        arrived_ex[i] = 0
        arrived_in[i] = 0
        left = clock[i]
        u = moved if left == _NONE else v[i]
        spike = u >= threshold
        v[i] = reset if spike else u
        clock[i] = refractory if spike else max(_NONE, np.int16(left - _ONE))
        fired[i] = spike


def conductance_reference(c, v, g_ex, g_in, clock, arrived_ex, arrived_in):
    """The same in numpy, in place, with what arrived in the type of the state; give who fires."""
    per_step, half_leak, constant, threshold, reset, refractory = c[:6]
    unit_ex, decay_ex, half_ex, reversal_ex, unit_in, decay_in, half_in, reversal_in = c[6:]
    mean_ex, mean_in = half_ex * g_ex, half_in * g_in
    half = (half_leak + mean_ex) + mean_in
    pull = (mean_ex * reversal_ex + mean_in * reversal_in) + constant
    moved = ((per_step - half) * v + pull) / (per_step + half)
    g_ex[:] = decay_ex * g_ex + unit_ex * arrived_ex
    g_in[:] = decay_in * g_in + unit_in * arrived_in
    free = clock == 0
    u = np.where(free, moved, v)
    spike = u >= threshold
    v[:] = np.where(spike, reset, u)
    clock[:] = np.where(spike, np.int16(refractory), np.maximum(clock - 1, 0))
    return spike
