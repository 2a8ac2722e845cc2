"""Run steps of a simulation in as many threads as it has."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lsm.checks import require_whole
from lsm.kernels.arrays import InputArrays, WorkArrays
from lsm.layout import TILES, Layout

if TYPE_CHECKING:
    from lsm.kernels.cuda_run import OnDevice
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
    if simulation.on_device is not None:
        return simulation.on_device.run(since, n_steps, inputs)
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


def check_where(device: str, threads: int | None, partitions: int | None, processes: int) -> int | None:
    """See that a network can be built as it is asked for; give the number of partitions, None where any will do.

    Args:
        device: "auto", "cpu", "cuda", "cuda:i" or "reference".
        threads: >= 1, or None.
        partitions: a power of two up to 64, or None.
        processes: that share the network.

    Raises:
        ValueError: an argument is none of these.
    """
    on_cuda = re.fullmatch(r"cuda(:\d+)?", device) is not None
    if not on_cuda and device not in ("auto", "cpu", "reference"):
        raise ValueError(f"build: device must be 'auto', 'cpu', 'cuda', 'cuda:i' or 'reference', got {device!r}")
    if threads is not None:
        require_whole("build: threads", threads, 1)
    if partitions is not None and partitions not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(f"build: partitions must be a power of two up to 64, got {partitions}")
    if processes > (partitions or TILES):
        raise ValueError(f"build: {processes} processes cannot share {partitions or TILES} partitions")
    return check_cuda(processes, int(device.partition(":")[2] or 0)) if on_cuda else partitions


def check_cuda(processes: int, number: int = 0) -> int:
    """See that there is a CUDA device of that number; give the number of partitions on it.

    Raises:
        ValueError: there is none, Triton is not installed, or several processes share the network.
    """
    if processes > 1:
        raise ValueError("build: on CUDA a network is one process's; use group='alone' or device='cpu'")
    if importlib.util.find_spec("triton") is None:
        raise ValueError("build: device='cuda' needs Triton, which comes with CUDA builds of torch")
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError("build: device='cuda' asked for, but torch sees no CUDA device; use device='cpu'")
    if torch.cuda.is_available() and number >= torch.cuda.device_count():
        raise ValueError(f"build: device='cuda:{number}' asked for, torch sees {torch.cuda.device_count()}, from 0 on")
    return 1


def on_device(simulation: Simulation) -> OnDevice:
    """A simulation's arrays on its CUDA device."""
    from lsm.kernels.cuda_run import OnDevice

    return OnDevice(simulation)
