"""Short-term plasticity: what each spike of a source delivers of its weights, worked out when it fires.

Axes: F states (a source population and a rule), W steps of the spike history, P partitions, K steps of a table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsm.decay_table import FINE, DecayTable, decayed
from lsm.kernels.numba_jit import inner
from lsm.short_term import short_term_spike

SOURCE, BEGIN, RECOVERY, N_RECOVERY, FACILITATION, N_FACILITATION, FIELDS = 0, 1, 2, 3, 4, 5, 6
NEVER = -(1 << 60)
"""Step of the last spike of a source that has not spiked."""
_FINE = FINE - 1
_SHIFT = FINE.bit_length() - 1


class ShortTermArrays(NamedTuple):
    """States of all sources with short-term plasticity.

    Args:
        table_FX: source population, begin of its u, x and last, begin and length of its two coarse tables; int64.
        use_F: U, float64.
        fine_F2K: exp(-k h / tau) for recovery and facilitation, float64.
        coarse: the other halves of the tables, see `DecayTable`.
        u: use at the last spike, float64.
        x: resources at the last spike, float64.
        last: step of the last spike, int64.
        factor_FWPN: u x of each spike in the history, beside `SpikeArrays.id_WPN`, float32.
    """

    table_FX: NDArray[np.int64]
    use_F: NDArray[np.float64]
    fine_F2K: NDArray[np.float64]
    coarse: NDArray[np.float64]
    u: NDArray[np.float64]
    x: NDArray[np.float64]
    last: NDArray[np.int64]
    factor_FWPN: NDArray[np.float32]


@inner
def spike(f, t, states, id_N, begin, end, factor_N):
    """Bring the sources whose numbers stand from begin to end - 1 to their spike in step t, and note its factor."""
    use, start = states.use_F[f], states.table_FX[f, BEGIN]
    recovery, n_recovery = states.table_FX[f, RECOVERY], states.table_FX[f, N_RECOVERY]
    facilitation, n_facilitation = states.table_FX[f, FACILITATION], states.table_FX[f, N_FACILITATION]
    for i in range(begin, end):
        at = start + id_N[i]
        k = t - states.last[at]
        fine, block = k & _FINE, k >> _SHIFT
        left_x = states.fine_F2K[f, 0, fine] * states.coarse[recovery + min(block, n_recovery - 1)]
        left_u = states.fine_F2K[f, 1, fine] * states.coarse[facilitation + min(block, n_facilitation - 1)]
        u, x = states.u[at], states.x[at]
        x_now = 1.0 + ((x - x * u) - 1.0) * left_x
        u_now = use + (u * (1.0 - use)) * left_u
        states.u[at], states.x[at], states.last[at] = u_now, x_now, t
        factor_N[i] = np.float32(u_now * x_now)


def spike_reference(f, t, states, ids, factor_N):
    """The same in numpy for all `ids` at once; factors go to the front of `factor_N`."""
    start, recovery, n_recovery, facilitation, n_facilitation = states.table_FX[f, BEGIN:]
    left = [
        decayed(DecayTable(states.fine_F2K[f, j], states.coarse[begin : begin + n]), t - states.last[start + ids])
        for j, (begin, n) in enumerate([(recovery, n_recovery), (facilitation, n_facilitation)])
    ]
    at = start + ids
    u, x = short_term_spike(states.u[at], states.x[at], U=states.use_F[f], recovery=left[0], facilitation=left[1])
    states.u[at], states.x[at], states.last[at] = u, x, t
    factor_N[: len(ids)] = u * x


@inner
def scaled(weight, factor):
    """A weight in units times the factor of a spike, rounded to units."""
    return np.int32(np.rint(np.float32(weight) * factor))


@inner
def weighted(arrived_N, synapses, half, factor):
    """Add to each target of a segment its own weight times the factor of the spike, rounded to units."""
    mask = (1 << half) - 1
    for i in range(len(synapses)):
        arrived_N[synapses[i] & mask] += scaled(synapses[i] >> half, factor)
