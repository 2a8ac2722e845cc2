"""What is settled about a simulation before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from lsm import engine
from lsm.layout import TILES, Layout, count_partitions
from lsm.memory import network_bytes
from lsm.network import Network
from lsm.plastic_stores import plastic_reach
from lsm.store import StorePlan, delay_steps, plan_stores


@dataclass(frozen=True)
class Plan:
    """Partitions, units and stores of a network.

    Args:
        layout: partitions.
        quantum_GR: unit of the weights of each population and receptor.
        stores: which projections share one.
        shortest_delay: steps.
        longest_delay: steps.
        history_steps: for how long spikes are looked back at.
    """

    layout: Layout
    quantum_GR: list[list[float]]
    stores: list[StorePlan]
    shortest_delay: int
    longest_delay: int
    history_steps: int

    def n_bytes(self, network: Network, real: int) -> int:
        """Bytes of the simulation while it is built, with floating-point states of `real` bytes."""
        steps = self.history_steps + self.shortest_delay
        return network_bytes(network, self.layout, self.stores, steps=steps, real=real)


def plan_simulation(
    network: Network, threads: int, partitions: int | None = None, processes: int = 1, procedural: bool = False
) -> Plan:
    """Settle what a simulation needs.

    Args:
        network: the description.
        threads: of the simulation.
        partitions: a power of two up to 64, or None.
        processes: that share the partitions.
        procedural: whether synapses that can be drawn again at each spike are not kept.

    Returns:
        The plan.

    Raises:
        ValueError: the network has no population.
    """
    if not network.populations:
        raise ValueError("build: the network has no population")
    sizes = [population.n for population in network.populations]
    layout = Layout(tuple(sizes), partitions or count_partitions(sizes, min(TILES, threads * processes)))
    quantum_GR = engine.quanta(network)
    delays = [delay_steps(projection.delay, network.step) for projection in network.projections]
    longest = max((high for _, high in delays), default=1)
    return Plan(
        layout=layout,
        quantum_GR=quantum_GR,
        stores=plan_stores(network, quantum_GR, procedural=procedural),
        shortest_delay=min((low for low, _ in delays), default=1),
        longest_delay=longest,
        history_steps=max(longest, plastic_reach(network.projections, network.step)),
    )
