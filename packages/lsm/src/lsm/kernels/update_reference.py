"""What `lsm.kernels.update` does, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm.kernels import models
from lsm.kernels.arrays import NeuronArrays
from lsm.kernels.conductance_lif import conductance_reference
from lsm.kernels.izhikevich import izhikevich_reference

_CURRENTS = {models.LIF_DELTA: 0, models.LIF_EXPONENTIAL: 1, models.LIF_TWO_EXPONENTIALS: 2}


def update(p: int, g: int, neurons: NeuronArrays, arrived_RN: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Advance population g in partition p by one step; give who fires."""
    local, size = slice(neurons.local_PG[p, g], neurons.local_PG[p, g + 1]), neurons.first_PG[-1, g]
    first, last = neurons.first_PG[p, g], neurons.first_PG[p + 1, g]
    model, c = neurons.model_G[g], neurons.constant_GK[g]
    end = neurons.state_G[g + 1]
    state_VN = neurons.state[neurons.state_G[g] : end].reshape(-1, size)[:, first:last]
    clock = neurons.clock[neurons.clock_G[g] : neurons.clock_G[g] + size][first:last]
    units_RN = arrived_RN[:, local].astype(neurons.state.dtype)
    if model in _CURRENTS:
        return _lif(c, state_VN, clock, units_RN, _CURRENTS[model])
    if model == models.LIF_CONDUCTANCE:
        return conductance_reference(c[:14], state_VN[0], state_VN[1], state_VN[2], clock, units_RN[0], units_RN[1])
    if model == models.IZHIKEVICH:
        return izhikevich_reference(c[:10], state_VN[0], state_VN[1], units_RN[0])
    plain = next(kind for kind, adaptive in models.ADAPTIVE_OF.items() if adaptive == model)
    adaptation = state_VN[-1]
    adaptation *= c[0]
    fired = _lif(c[2:], state_VN[:-1], clock, units_RN, _CURRENTS[plain], c[1] * adaptation)
    adaptation += fired
    return fired


def _lif(
    c: NDArray[np.floating], state_VN: NDArray[np.floating], clock: NDArray[np.int16],
    arrived_RN: NDArray[np.floating], n_currents: int, raised: NDArray[np.floating] | None = None,
) -> NDArray[np.bool_]:  # fmt: skip
    """Leaky integrate-and-fire with 0, 1 or 2 currents, in the order of `LIF.parameters`; `raised`: threshold."""
    v, currents = state_VN[0], state_VN[1:]
    decay, drift, threshold, reset, refractory = c[:5]
    if n_currents == 0:
        moved = (drift + decay * v) + c[5] * arrived_RN[0]
    else:
        moved = decay * v
        for row in range(n_currents):
            quantum, current_decay, gain = c[5 + 3 * row : 8 + 3 * row]
            moved = moved + gain * currents[row]
            currents[row] = current_decay * currents[row] + quantum * arrived_RN[row]
        moved = moved + drift
    u = np.where(clock == 0, moved, v)
    fired = u >= (threshold if raised is None else threshold + raised)
    v[:] = np.where(fired, reset, u)
    clock[:] = np.where(fired, np.int16(refractory), np.maximum(clock - 1, 0))
    return fired
