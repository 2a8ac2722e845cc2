"""Networks shared by 1, 2 and 4 processes, saved and continued. Prints one JSON object of digests.

python shared_network.py FOLDER
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import lsm
import numpy as np
from ddp_utils import process_group, rank
from lsm.simulation_state import state_of
from test_lsm_plasticity import MODELS, balanced

SHARED = (0, 1, 2, 4)  # of the models


def told(simulation: lsm.Simulation, recording: lsm.Recording) -> str:
    """A digest of the spikes and of all that a simulation has become."""
    digest = hashlib.sha256(recording.times.tobytes() + recording.ids.tobytes())
    for name, array in sorted(state_of(simulation).items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return f"{len(recording)} {simulation.events} {digest.hexdigest()}"


def whole(number: int) -> str:
    """A run of 90 ms."""
    simulation = balanced(MODELS[number], threads=1)
    return told(simulation, simulation.run(90.0))


def crowded() -> str:
    """More spikes in an exchange than its first room holds."""
    network = lsm.Network(seed=1)
    cells = network.population("E", 3000, lsm.LIF(tau_m=10.0, threshold=1.0, refractory=0.0))
    network.connect(cells, cells, lsm.FixedIndegree(2), weight=0.1, delay=2.0)
    network.drive(cells, lsm.DC(voltage=1000.0))
    simulation = network.build(threads=1)
    recording = simulation.run(10.0)
    assert len(recording) == 3000 * 100
    return told(simulation, recording)


def saved(path: str, number: int) -> str:
    """A run that is saved by all processes."""
    simulation = balanced(MODELS[number], threads=1)
    recording = simulation.run(50.0)
    simulation.save(path)
    return told(simulation, recording)


def continued(path: str) -> str:
    """The run after that."""
    simulation = lsm.load(path, threads=1)
    return told(simulation, simulation.run(40.0))


def differing() -> str:
    """Processes that describe different networks."""
    network = lsm.Network(seed=rank())
    network.population("E", 10, lsm.LIF())
    return str(network.build())


def unwritable(folder: str) -> str:
    """A place where the one process that writes cannot."""
    balanced(None, threads=1).save(Path(folder, "file", "net.lsm"))
    return "written"


def on(world_size: int, function: Callable[..., str], *arguments: object) -> list[str]:
    """Call a function in forked processes of one group; what each said, or its error."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for number in range(world_size):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE=str(world_size))
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
            try:
                with process_group("cpu", timeout=timedelta(seconds=120)):
                    try:
                        said = function(*arguments)
                    except (ValueError, OSError) as error:  # in every process, so that none waits
                        said = f"{type(error).__name__}: {error}"
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        children.append((child, read))
    said = []
    for child, read in children:
        with os.fdopen(read, "rb") as pipe:
            said.append(pipe.read().decode())
        os.waitpid(child, 0)
    return said


def main(folder: Path) -> None:
    (folder / "file").write_text("no folder")
    for number in SHARED:  # compiled once, before any fork
        balanced(MODELS[number], threads=1).run(0.0)
    outcome: dict[str, object] = {}
    for number in SHARED:
        outcome[f"whole {number}"] = {n: on(n, whole, number) for n in (1, 2, 4)}
        path = str(folder / f"{number}.lsm")
        outcome[f"saved {number}"] = {2: on(2, saved, path, number)}
        outcome[f"continued {number}"] = {n: on(n, continued, path) for n in (1, 4)}
    outcome["crowded"] = {n: on(n, crowded) for n in (1, 3)}
    outcome["differing"] = on(2, differing)
    outcome["unwritable"] = on(2, unwritable, str(folder))
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
