"""An evolution on several processes, killed and resumed. Prints one JSON object of what came out.

python evolve_ranks.py FOLDER            all of it, in forked processes
python -m evolve_ranks FOLDER GENERATION the run under a launcher; process 1 kills itself in that generation
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from ddp_utils import process_group, rank
from ddp_utils.seed import key_bits
from evosnn.evaluation import FunctionEvaluator
from evosnn.evolution import Evolution
from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import Genome
from evosnn.interface import Interface
from evosnn.rule import Rule

POPULATION, GENERATIONS, SEED = 101, 6, 4
CONFIG = EvolutionConfig(rule=Rule.reward_stdp(reward=0.01)).adjusted(
    finalists=5, final_episodes=3, claim_episodes=7, evolve_rule=True
)


class Standing(FunctionEvaluator):
    """A fitness without a task: growth is good, strong weights are not, and every seed shakes it a little."""

    def __init__(self, dies: Callable[[int], None]) -> None:
        super().__init__(self.fitness, 4, 2, {"task": "standing"})
        self.dies, self.calls = dies, 0

    def fitness(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> list[list[float]]:
        self.calls += 1
        self.dies(self.calls)
        return [
            [
                genome.n_edges - float(abs(genome.weight).mean()) + key_bits(seed, genome.digest(), n_bytes=1) / 256
                for seed in seeds
            ]
            for genome in genomes
        ]


def told(evolution: Evolution) -> str:
    """A digest of the history and of every genome of the next generation."""
    genomes = [genome.digest() for genome in evolution.ask()]
    return hashlib.sha256(json.dumps([evolution.history, genomes]).encode()).hexdigest()


def evolve(folder: Path | None, dies: Callable[[int], None]) -> str:
    evolution = Evolution(evaluator=Standing(dies), population=POPULATION, seed=SEED, config=CONFIG)
    evolution.run(GENERATIONS, folder=folder)
    return told(evolution)


def evolve_task() -> str:
    """Real networks in a real task, plasticity on."""
    interface = Interface.for_task("XOR", plastic=True)
    evolution = Evolution(task=interface, population=POPULATION, seed=SEED, config=CONFIG)
    evolution.run(2)
    return told(evolution)


def nobody(_: int) -> None:
    return


def dies_in(call: int) -> Callable[[int], None]:
    """The last process kills itself in its n-th call of the fitness function."""

    def dies(calls: int) -> None:
        if calls == call and rank() == int(os.environ.get("WORLD_SIZE", "1")) - 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return dies


def fails_in(call: int) -> Callable[[int], None]:
    def fails(calls: int) -> None:
        if calls == call and rank() == 1:
            raise ValueError("the maze burnt down")

    return fails


def run_ranks(world_size: int, function: Callable[..., str], *arguments: object) -> list[str]:
    """Call a function in forked processes of one group; what each returned, or how it ended."""
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
                with process_group("cpu", timeout=timedelta(seconds=60)):
                    said = function(*arguments)
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
                if "maze" not in said:
                    traceback.print_exc()
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        children.append((child, read))
    said = []
    for child, read in children:
        with os.fdopen(read, "rb") as pipe:
            content = pipe.read().decode()
        status = os.waitpid(child, 0)[1]
        said.append(content if status == 0 else f"signal {os.WTERMSIG(status)}")
    return said


def main(folder: Path) -> None:
    outcome = {
        "standing": {n: run_ranks(n, evolve, None, nobody) for n in (1, 2, 3)},
        "task": {n: run_ranks(n, evolve_task) for n in (1, 2, 3)},
        "failed": run_ranks(2, evolve, None, fails_in(3)),
        "killed": run_ranks(1, evolve, folder / "one", dies_in(2 * 3 + 1)),
        "resumed": run_ranks(1, evolve, folder / "one", nobody),
        "resumed_on_two": run_ranks(2, evolve, folder / "one", nobody),
    }
    sys.stdout.write(json.dumps(outcome) + "\n")


def launched(folder: Path, call: int) -> None:
    with process_group("cpu"):
        sys.stdout.write(evolve(folder, dies_in(call)) + "\n")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        launched(Path(sys.argv[1]), int(sys.argv[2]))
