"""Bring the state of every process's neurons and synapses together in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsm.kernels import plastic_arrays as field
from lsm.kernels.short_term import BEGIN, SOURCE

if TYPE_CHECKING:
    from lsm.simulation import Simulation


def gather_neurons(simulation: Simulation) -> None:
    """Write the state of the neurons that other processes own into this one's arrays.

    Args:
        simulation: one process alone is left as it is.
    """
    ranks = simulation.ranks
    if ranks.size == 1:
        return
    slices = _slices(simulation, ranks.own)
    received = ranks.gather([array[part].copy() for array, part in slices])
    for rank, copies in enumerate(received):
        if rank != ranks.rank:
            for (array, part), copy in zip(_slices(simulation, ranks.partitions_of(rank)), copies, strict=True):
                array[part] = copy


def _slices(simulation: Simulation, partitions: range) -> list[tuple[Any, slice]]:
    """Where the neurons of some partitions are in each array that has one number a neuron."""
    neurons, states, learning = simulation.neurons, simulation.short_term, simulation.learning
    found: list[tuple[Any, slice]] = []
    first_PG = simulation.layout.first_PG
    for population in simulation.network.populations:
        g = population.index
        first, last = int(first_PG[partitions.start, g]), int(first_PG[partitions.stop, g])
        if population.model:
            for variable in range(len(population.model.variables)):
                begin = int(neurons.state_G[g]) + variable * population.n
                found.append((neurons.state, slice(begin + first, begin + last)))
            found.append((neurons.clock, slice(int(neurons.clock_G[g]) + first, int(neurons.clock_G[g]) + last)))
        for row in states.table_FX[states.table_FX[:, SOURCE] == g]:
            found += [(array, slice(int(row[BEGIN]) + first, int(row[BEGIN]) + last)) for array in states[4:7]]
        for row in learning.table_LX[learning.table_LX[:, field.POST] == g]:
            begin = int(row[field.POST_BEGIN])
            for array in (learning.post_trace, learning.post_last):
                found.append((array, slice(begin + first, begin + last)))
    return found
