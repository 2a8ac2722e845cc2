"""The file of a simulation: the network's description and the state, with the spikes that have not arrived yet.

Static synapses are drawn again from the seed; weights that learn are kept. A simulation goes on from its file to the
last bit, with any number of threads, partitions and processes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file

from lsm.kernels.run import check_where
from lsm.memory import NetworkTooLarge
from lsm.network_description import describe, described
from lsm.ranks import Group, group_of
from lsm.simulation_state import set_state, state_of

if TYPE_CHECKING:
    from lsm.simulation import Simulation

KIND, VERSION = "lsm.simulation", 1
_NETWORK, _STATE = "network.", "state."


def save(simulation: Simulation, path: str | Path) -> None:
    """Write a simulation; see `Simulation.save`."""
    facts, network_arrays = describe(simulation.network)
    arrays = {_NETWORK + name: array for name, array in network_arrays.items()}
    arrays |= {_STATE + name: array for name, array in state_of(simulation).items()}
    metadata = {"network": facts, "precision": simulation.precision}
    metadata |= {"procedural": simulation.procedural, "steps_done": simulation.steps_done, "events": simulation.events}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    failure = None
    if simulation.ranks.rank == 0:
        try:
            write_tensor_file(path, tensors, kind=KIND, version=VERSION, metadata=metadata)
        except OSError as error:
            failure = error
    said = simulation.ranks.gather(None if failure is None else str(failure))[0]
    if said is not None:  # in every process
        raise failure or OSError(said)


def load(
    path: str | Path,
    device: str = "auto",
    *,
    threads: int | None = None,
    partitions: int | None = None,
    group: Group = None,
) -> Simulation:
    """Read a simulation and build its network.

    Args:
        path: the file.
        device: as in `Network.build`.
        threads: of the simulation; as many as numba uses by default.
        partitions: parts that threads share out, as in `Network.build`.
        group: processes that share the network, as in `Network.build`.

    Returns:
        The simulation, which goes on as the saved one would have, to the last bit.

    Raises:
        ValueError: an argument is none of these.
        FileNotFoundError: there is no such file.
        FileFormatError: truncated, changed, another format, or a newer version.
        NetworkTooLarge: the network will not fit in memory.
    """
    shared = group_of(group)
    check_where(device, threads, partitions, 1 if shared is None else dist.get_world_size(shared))
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    try:
        of_network = {name.removeprefix(_NETWORK): a for name, a in arrays.items() if name.startswith(_NETWORK)}
        of_state = {name.removeprefix(_STATE): a for name, a in arrays.items() if name.startswith(_STATE)}
        network = described(facts["network"], of_network)
        precision, procedural = facts["precision"], facts["procedural"]
        steps_done, events = facts["steps_done"], facts["events"]
        kinds = [type(value) for value in (procedural, steps_done, events)]
        if precision not in ("float32", "float64") or kinds != [bool, int, int]:
            raise ValueError("precision or time are none")
    except _NONSENSE as error:
        raise FileFormatError(f"{path}: not a usable simulation: {error}") from error
    try:
        neurons = sum(population.n for population in network.populations if population.model)
        if of_state["neurons.clock"].shape != (neurons,):  # before a size that the file only claims is allocated
            raise ValueError(f"a state of other than {neurons} neurons")
        where: dict[str, Any] = {"threads": threads, "partitions": partitions, "group": group}
        simulation = network.build(device, precision=precision, procedural=procedural, **where)
        set_state(simulation, of_state, steps_done)
    except NetworkTooLarge:
        raise
    except _NONSENSE as error:
        raise FileFormatError(f"{path}: not a usable simulation: {error}") from error
    simulation.events = events
    return simulation


_NONSENSE = (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError, RecursionError)
