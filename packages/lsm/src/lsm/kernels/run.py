"""Run steps of a simulation in as many threads as it has."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm.kernels.arrays import InputArrays, WorkArrays
from lsm.layout import Layout

if TYPE_CHECKING:
    from lsm.network import Network
    from lsm.simulation import Simulation

_LANE = 64  # bytes of a cache line


def work_arrays(layout: Layout, network: Network, threads: int) -> WorkArrays:
    """Room for each thread of a simulation."""
    room = -(-layout.most_local // _LANE) * _LANE
    receptors = max(1, *(len(population.receptors) for population in network.populations))
    return WorkArrays(
        np.zeros((threads, receptors, room), np.int32), np.zeros((threads, room), np.uint8), np.zeros(1, np.int64),
        np.zeros(threads, np.int64),
    )  # fmt: skip


def run_steps(simulation: Simulation, since: int, n_steps: int, inputs: InputArrays) -> int:
    """Advance a simulation.

    Args:
        simulation: whose arrays change.
        since: the first step.
        n_steps: number of steps, at most those that the spike history holds.
        inputs: spikes of input populations in these steps.

    Returns:
        Synapses that spikes went through.
    """
    from lsm.kernels import cpu, reference

    n_threads, work, own = simulation.threads, simulation.work, simulation.ranks.own
    if simulation.device == "reference":
        plain: tuple[Any, ...] = (own, since, n_steps, *simulation.arrays, inputs, work)
        return reference.run(*plain)
    common = (
        n_threads,
        own.start,
        own.stop,
        since,
        n_steps,
        simulation.shortest_delay,
        *simulation.arrays,
        inputs,
        work,
    )
    work.turn[0], work.events_T[:] = 0, 0
    _compile(cpu.run, common)
    others = [threading.Thread(target=cpu.run, args=(k, *common)) for k in range(1, n_threads)]
    for other in others:
        other.start()
    cpu.run(0, *common)
    for other in others:
        other.join()
    return int(work.events_T.sum())


def _compile(compiled: Any, common: tuple[Any, ...]) -> None:
    """Compile before threads wait for each other; what the compiler warns about concerns no user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled(0, 1, 0, 0, 0, 0, *common[5:])
