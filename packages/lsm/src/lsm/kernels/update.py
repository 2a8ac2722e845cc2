"""Advance the neurons of one population in one partition by one step, each model by its own kernel."""

from __future__ import annotations

from lsm.kernels import adaptive_lif, conductance_lif, izhikevich, lif, models
from lsm.kernels.numba_jit import inner


@inner
def update(p, g, neurons, arrived_RN, fired):
    """Advance population g in partition p by one step."""
    local, n = neurons.local_PG[p, g], neurons.local_PG[p, g + 1] - neurons.local_PG[p, g]
    first, size = neurons.first_PG[p, g], neurons.first_PG[-1, g]
    c, model = neurons.constant_GK[g], neurons.model_G[g]
    clock = neurons.clock[neurons.clock_G[g] + first :][:n]
    arrived, arrived_in = arrived_RN[0, local : local + n], arrived_RN[-1, local : local + n]
    begin = neurons.state_G[g] + first
    v, second = neurons.state[begin:][:n], neurons.state[begin + size :][:n]
    third, fourth = neurons.state[begin + 2 * size :][:n], neurons.state[begin + 3 * size :][:n]
    if model == models.LIF_DELTA:
        lif.delta(c, v, clock, arrived, fired)
    elif model == models.LIF_EXPONENTIAL:
        lif.exponential(c, v, second, clock, arrived, fired)
    elif model == models.LIF_TWO_EXPONENTIALS:
        lif.two_exponentials(c, v, second, third, clock, arrived, arrived_in, fired)
    elif model == models.LIF_CONDUCTANCE:
        conductance_lif.conductance(c, v, second, third, clock, arrived, arrived_in, fired)
    elif model == models.IZHIKEVICH:
        izhikevich.izhikevich(c, v, second, arrived, fired)
    elif model == models.ADAPTIVE_DELTA:
        adaptive_lif.delta(c, v, second, clock, arrived, fired)
    elif model == models.ADAPTIVE_EXPONENTIAL:
        adaptive_lif.exponential(c, v, second, third, clock, arrived, fired)
    elif model == models.ADAPTIVE_TWO_EXPONENTIALS:
        adaptive_lif.two_exponentials(c, v, second, third, fourth, clock, arrived, arrived_in, fired)
