"""evosnn: tasks solved, beside random search, neat-python and evotorch; plasticity; speed, growth; steering.

uv run --group bench python benchmarks/evosnn.py

`--only targets,plasticity,speed,growth,steering` runs some parts and keeps what the result file has of the others;
`--tasks CartPole-v1,XOR` some tasks of the first part.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from evosnn import Evolution, Genome, Rule
from evosnn.interface import Interface
from evosnn.rollout import rollout
from evosnn.steering import (
    SteeringConfig,
    best_constant,
    compare,
    judge,
    new_agent,
    train_agent,
)
from evosnn.steering_baselines import RandomActions
from evosnn.task_evaluator import suitable_config, suitable_interface
from evosnn.tasks.registry import make_task

from benchmarks.common import interleaved, parsed, parser_of, peak_mib, slope, write_results
from benchmarks.evosnn_peers import JUDGES, evo_torch, neat_actor, neat_config, neat_python, play, random_search

Save = Callable[[Any], None]
SEEDS = 10
SMALL_TASKS = ("CartPole-v1", "XOR", "TMaze")


@dataclass(frozen=True)
class Goal:
    """A score to hold on 100 unseen episodes, and what it may take.

    Args:
        task: which task.
        target: mean score.
        population: individuals of a generation.
        generations: at most.
        episodes: at most, those of claims included; None for no limit.
        aim: mean score that all methods search for and must hold: the target, or one above it, so that the score of
            other episodes is not below the target by chance.
        peer_seeds: peers take part from the first so many seeds.
        neat_seeds: neat-python, which is slow, from so many.
        spiking_seeds: its spiking networks, which are slower, from so many.
        neat_population: its individuals of a generation, where fewer.
    """

    task: str
    target: float
    population: int
    generations: int
    episodes: int | None = None
    aim: float | None = None
    peer_seeds: int = SEEDS
    neat_seeds: int = SEEDS
    spiking_seeds: int = 0
    neat_population: int | None = None


GOALS = (
    Goal("CartPole-v1", 500.0, 64, 50, 1000),
    Goal("HiddenCartPole", 475.0, 256, 50, aim=490.0, peer_seeds=3, neat_seeds=3),
    Goal("Acrobot-v1", -85.0, 256, 50, aim=-78.0, peer_seeds=3, neat_seeds=3),
    Goal("XOR", 1.0, 512, 30, spiking_seeds=SEEDS, neat_population=128),
    Goal("TMaze", 0.9, 128, 30, aim=0.92),
)


def ours(goal: Goal, seed: int) -> tuple[dict[str, Any], Genome]:
    """One evolution."""
    start, worked = time.perf_counter(), time.process_time()
    evolution = Evolution(goal.task, population=goal.population, seed=seed)
    result = evolution.run(goal.generations, goal.aim or goal.target, max_episodes=goal.episodes)
    row = {
        "method": "evosnn",
        "solved": result.solved,
        "score": result.score,
        "generations": result.generations,
        "episodes": result.episodes,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - worked,
        "again": float(evolution.measurement.evaluator([result.best], JUDGES).score_PK.mean()),
        "neurons": result.best.n_neurons,
        "synapses": result.best.n_enabled,
    }
    return row, result.best


def targets(save: Save, *, small: bool, tasks: list[str], before: Any) -> None:
    """Each goal from several seeds, by everyone in turn."""
    goals = [goal for goal in GOALS if goal.task in tasks and (not small or goal.task in SMALL_TASKS)]
    rows = [row for row in before or [] if row["task"] not in tasks]
    ours(Goal("XOR", 1.0, 8, 1), 0)  # compiles
    for goal in goals:
        if small:
            goal = replace(goal, population=8, generations=2)
        limits: dict[str, Any] = {
            "population": goal.population,
            "target": goal.aim or goal.target,
            "generations": goal.generations,
            "episodes": goal.episodes,
        }
        neat_limits: dict[str, Any] = limits | {
            "population": min(goal.population, goal.neat_population or goal.population)
        }
        for seed in range(2 if small else SEEDS):
            row, genome = ours(goal, seed)
            if goal.task == "TMaze":
                row["frozen"] = frozen(genome, goal)
            found = [row]
            if seed < goal.peer_seeds:
                found.append(random_search(goal.task, seed, **limits))
            if find_spec("neat") and seed < goal.neat_seeds:
                found.append(neat_python(goal.task, seed, **neat_limits))
            if find_spec("neat") and seed < goal.spiking_seeds:
                found.append(neat_python(goal.task, seed, **neat_limits, kind="spiking"))
            if find_spec("evotorch") and seed < goal.peer_seeds:
                found.append(evo_torch(goal.task, seed, **limits))
            for each in found:
                own = neat_limits if each["method"].startswith("neat") else limits
                rows.append({**limits_of(goal), "population": own["population"], "seed": seed, **each})
                print({key: rows[-1][key] for key in ("task", "seed", *each)}, flush=True)
            save(rows)


def limits_of(goal: Goal) -> dict[str, Any]:
    """A goal as its rows name it: what a run took has the same names."""
    facts = asdict(goal) | {"aim": goal.aim or goal.target, "threads": torch.get_num_threads()}
    return {{"generations": "generations_limit", "episodes": "episodes_limit"}.get(k, k): v for k, v in facts.items()}


def frozen(genome: Genome, goal: Goal) -> dict[str, float]:
    """Score of a network on 100 unseen episodes with its plasticity on and off."""
    interface = suitable_interface(goal.task, plastic=True)
    scores = {
        name: rollout([genome], replace(interface, plastic=plastic), JUDGES).score_PK
        for name, plastic in (("plastic", True), ("off", False))
    }
    return {name: float(score_PK.mean()) for name, score_PK in scores.items()}


def plasticity(save: Save, *, small: bool, tasks: list[str], before: Any) -> None:
    """The T-maze evolved without plasticity from the start; the part `targets` has those evolved with it."""
    del tasks, before
    goal = next(goal for goal in GOALS if goal.task == "TMaze")
    rows = []
    for seed in range(2 if small else SEEDS):
        config = suitable_config(goal.task).adjusted(plastic=False, evolve_rule=False)
        population, generations = (8, 2) if small else (goal.population, goal.generations)
        evolution = Evolution(goal.task, population=population, seed=seed, config=config)
        result = evolution.run(generations, goal.aim or goal.target)
        score = float(evolution.measurement.evaluator([result.best], JUDGES).score_PK.mean())
        rows.append({"evolved": "without", "seed": seed, "solved": result.solved, "score": score})
        print(rows[-1], flush=True)
        save(rows)


def population_of(n: int, neurons: int, *, rule: Rule) -> tuple[list[Genome], Interface]:
    """Random genomes of one size for Pendulum, whose episodes all last 200 steps, with its interface."""
    from evosnn.reproduction import first_generation

    config = suitable_config("Pendulum-v1")
    config = replace(config, start=replace(config.start, neurons=neurons), rule=rule)
    interface = suitable_interface("Pendulum-v1", plastic=True)
    genomes = first_generation(interface.n_afferents, interface.n_outputs, n, 0, config, interface.metadata())
    return genomes, interface


def cart_poles(n: int, *, rule: Rule) -> tuple[list[Genome], Interface]:
    """Genomes that balance a pole, so that no row ends early: champions of a short evolution, over and over."""
    interface = suitable_interface("CartPole-v1", plastic=True)
    best = Evolution("CartPole-v1", population=64, seed=0).run(20, 500.0).best
    return [best.replace(rule=rule)] * n, interface


def speed(save: Save, *, small: bool, tasks: list[str], before: Any) -> None:
    """Environment steps a second on CartPole: populations of ours, plastic and not, and neat-python's networks."""
    del tasks, before
    n = 64 if small else 4096
    learning = replace(Rule.reward_stdp(), reward=1e-6)  # learns in every step, and too little to fall
    genomes, interface = cart_poles(n, rule=learning)
    still = replace(interface, plastic=False)
    steps: dict[str, int] = {}

    def lives(name: str, meets: Interface) -> Callable[[], object]:
        def work() -> None:
            steps[name] = rollout(genomes, meets, [1]).total_steps

        return work

    work = {
        f"evosnn, {n} plastic": lives(f"evosnn, {n} plastic", interface),
        f"evosnn, {n} without plasticity": lives(f"evosnn, {n} without plasticity", still),
    }
    if find_spec("neat"):
        work |= neat_lives(steps, small=small)
    times = interleaved(work, repeats=1 if small else 5)
    rows = [
        {"population": name, "steps": steps[name], "steps_per_s": steps[name] / times[name]["median_s"], **times[name]}
        for name in work
    ]
    for row in rows:
        print(row, flush=True)
    save({"rows": rows, "micro_steps_per_step": interface.steps_per_action})


def neat_lives(steps: dict[str, int], *, small: bool) -> dict[str, Callable[[], object]]:
    """neat-python's networks on the same task: one process, as it has no batch."""
    neat: Any = import_module("neat")

    task = make_task("CartPole-v1")
    work: dict[str, Callable[[], object]] = {}
    for kind, n in (("feed-forward", 64 if small else 1000), ("spiking", 4 if small else 20)):
        config = neat_config(neat, inputs=4, outputs=2, population=n, kind=kind)
        genomes = list(neat.Population(config, seed=0).population.values())

        def lives(kind: str = kind, genomes: Any = genomes, config: Any = config) -> None:
            steps[f"neat-python, {kind}"] = play(task, neat_actor(neat, genomes, config, kind), len(genomes), [1]).steps

        work[f"neat-python, {kind}"] = lives
    return work


def growth(save: Save, *, small: bool, tasks: list[str], before: Any) -> None:
    """Seconds and memory of one Pendulum episode of everyone, against population, neurons and micro-steps."""
    del tasks, before
    base = {"population": 256, "neurons": 4, "micro_steps": 10}
    factors = (1, 2) if small else (1, 2, 4, 8, 16)
    rows = []
    for varied in base:
        measured = []
        for factor in factors[:4] if varied == "micro_steps" else factors:
            size = {**base, varied: base[varied] * factor}
            genomes, interface = population_of(size["population"], size["neurons"], rule=Rule.reward_stdp())
            interface = replace(interface, steps_per_action=size["micro_steps"])

            def work(genomes: list[Genome] = genomes, interface: Interface = interface) -> None:
                rollout(genomes, interface, [1])

            times = interleaved({"work": work}, repeats=1 if small else 3)["work"]
            edges = float(np.mean([genome.n_enabled for genome in genomes]))
            measured.append({varied: size[varied], "seconds": times["min_s"], "mib": peak_mib(work), "edges": edges})
        row: dict[str, Any] = {"varied": varied, "rows": measured, "slope": slope(measured, varied, "seconds")}
        if varied == "neurons":
            row["slope_edges"] = slope(measured, "edges", "seconds")
        rows.append(row)
        print(row, flush=True)
        save(rows)


def trained(kind: str, config: SteeringConfig) -> Any:
    """The best constant action, or an agent; in a process of its own."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    found = best_constant(config) if kind == "best constant" else train_agent(new_agent(kind, config), config)
    print(kind, f"{time.perf_counter() - start:.0f} s", flush=True)
    return found


def judged(agents: dict[str, Any], config: SteeringConfig) -> list[dict[str, Any]]:
    """Rows of some test tasks; in a process of its own."""
    torch.set_num_threads(1)
    return judge(agents, config)


def steering(save: Save, *, small: bool, tasks: list[str], before: Any) -> None:
    """Agents trained to steer, on tasks and seeds not trained on, beside the best constant action and random ones."""
    del tasks, before
    config = SteeringConfig()
    if small:
        config = replace(config, train=("XOR",), test=("CartPole-v1",), episodes=4, constants=2, seeds=2)
        config = replace(config, population=4, generations=2)
    workers = min(2, torch.get_num_threads())
    kinds = ("planner", "policy gradient", "best constant")
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        agents: dict[str, Any] = dict(zip(kinds, pool.map(trained, kinds, [config] * 3), strict=True))
        agents["random"] = RandomActions(0)
        print("trained", f"{time.perf_counter() - start:.0f} s, constant", agents["best constant"].action, flush=True)
        parts = [replace(config, test=(task,)) for task in config.test]
        rows = [row for part in pool.map(judged, [agents] * len(parts), parts) for row in part]
    compared = compare(rows, reference="best constant")
    for row in compared:
        print(row, flush=True)
    facts = {"config": asdict(config), "constant": agents["best constant"].action, "compared": compared, "rows": rows}
    save(facts)


PARTS = {"targets": targets, "plasticity": plasticity, "speed": speed, "growth": growth, "steering": steering}


def main() -> None:
    """Run the parts asked for and write `results/evosnn.json`."""
    parser = parser_of(__doc__ or "")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, with commas between")
    parser.add_argument("--tasks", default=",".join(goal.task for goal in GOALS), help="tasks of the part `targets`")
    options = parsed(parser)
    path = options.out / "evosnn.json"
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in options.only.split(","):
        if name not in PARTS:
            parser.error(f"--only: no part {name!r}; there are {', '.join(PARTS)}")

        def save(found: Any, name: str = name) -> None:
            figures[name] = found
            write_results("evosnn", figures, options)

        start = time.perf_counter()
        PARTS[name](save, small=options.small, tasks=options.tasks.split(","), before=figures.get(name))
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
