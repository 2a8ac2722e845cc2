"""States of a liquid under all samples of a task: taken block by block, kept on the disk, shared among processes.

Legend: B samples, A instants, N neurons that are read, I rows, F features.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import lsm
import numpy as np
import torch
from ddp_utils import SignalStop, Stopped, barrier, progress, rank, read_tensor_file, world_size, write_tensor_file
from lsm.liquid import LiquidStateMachine
from numpy.typing import NDArray

from neuro.liquid_settings import LiquidTrainSettings
from neuro.liquid_tasks import Task

KIND, VERSION = "neuro.liquid.states", 1
log = logging.getLogger("neuro")


def liquid_of(net: lsm.Network, settings: LiquidTrainSettings, task: Task) -> LiquidStateMachine:
    """The liquid of a network, built, with a readout that is not used: states are taken here."""
    return LiquidStateMachine(
        net,
        tau=settings.readout.tau,
        instants=task.instants,
        device=settings.device,
        threads=settings.engine.threads or None,
        group="alone",
        precision=settings.engine.precision,
        procedural=settings.engine.procedural,
    )


def take_states(
    name: str,
    network: Callable[[], lsm.Network],
    settings: LiquidTrainSettings,
    task: Task,
    folder: Path,
    stop: SignalStop,
    *,
    quiet: bool,
) -> None:
    """Run every sample and write the states of each block; blocks that are there are not run again.

    Processes take the blocks in turn; a state depends on its sample alone.

    Args:
        name: of the liquid, and of its folder.
        network: describes it; called where there is something to run.
        settings: of the run.
        task: its samples.
        folder: of all states.
        stop: looked at after every block.
        quiet: no progress.

    Raises:
        Stopped: a signal came; the blocks that are done are kept.
    """
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    blocks = [range(i, min(i + settings.block, len(task.samples))) for i in range(0, len(task.samples), settings.block)]
    paths = [own / f"{block.start:06d}.safetensors" for block in blocks]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    barrier()  # all have seen what is there before any writes more
    liquid = liquid_of(network(), settings, task) if missing else None
    done = len(blocks) - len(missing)
    with progress(f"{name}: samples", len(blocks), unit="blocks", done=done, quiet=quiet) as bar:
        for turn in range(0, len(missing), world_size()):
            if turn + rank() < len(missing):
                number = missing[turn + rank()]
                assert liquid is not None
                samples = [task.samples[i] for i in blocks[number]]
                states_BAN = liquid.states(samples, task.durations_B[list(blocks[number])].tolist())
                tensors = {"states": torch.from_numpy(states_BAN)}
                write_tensor_file(
                    paths[number], tensors, kind=KIND, version=VERSION, metadata={"first": blocks[number].start}
                )
            bar.advance(min(world_size(), len(missing) - turn))
            if stop.agreed() and turn + world_size() < len(missing):
                raise Stopped(f"stopped while the {name} was run")
    barrier()


def read_states(folder: Path, name: str, task: Task) -> NDArray[np.float32]:
    """The states of a liquid as rows of features, float32 (I, F)."""
    parts = [
        read_tensor_file(path, kind=KIND, version=VERSION)[0]["states"].numpy()
        for path in sorted((folder / name).glob("*.safetensors"))
    ]
    return rows_of(np.concatenate(parts), task)


def rows_of(states_BAN: NDArray[np.float32], task: Task) -> NDArray[np.float32]:
    """Rows that have a target: samples with their instants joined, or instants."""
    n_samples, n_instants, n_neurons = states_BAN.shape
    shape = (n_samples * n_instants, n_neurons) if task.each_instant else (n_samples, n_instants * n_neurons)
    return np.ascontiguousarray(states_BAN).reshape(shape)[task.rows_I]
