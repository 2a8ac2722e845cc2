"""Other ways to find a policy, measured by the same protocol as ours: random search, neat-python, evotorch.

Every search measures a generation on as many episodes as evosnn does on that task, its best again on more, and lets who
reaches the target prove it on 100 unseen episodes; all episodes are counted. Tasks are ours, which are Gymnasium's step
for step.

Shapes: P individuals, K episodes, B = P K rows, O observation values.
"""

from __future__ import annotations

import logging
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evosnn.champions import KEPT, Champion
from evosnn.evaluation import Evaluation
from evosnn.evolution_config import EvaluationConfig, EvolutionConfig
from evosnn.measurement import Measurement
from evosnn.reproduction import first_generation
from evosnn.task_evaluator import TaskEvaluator, suitable_config, suitable_interface
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task

MEMORY = ("HiddenCartPole", "TMaze")  # where a network without recurrence cannot do it
JUDGES = range(2**40, 2**40 + 100)  # seeds of episodes that only judge: no search has met them
Act = Callable[[np.ndarray, np.ndarray], np.ndarray]  # observations (B, O) and who goes on (B,) to actions (B,)


class Search:
    """One run of a peer: measures generations until one holds the target or the episodes are used up.

    Args:
        evaluator: policies and seeds to scores.
        seed: keys the episodes.
        target: score to hold.
        generations, episodes: at most.
        settings: how a generation is measured.
    """

    def __init__(
        self,
        evaluator: Any,
        seed: int,
        target: float,
        generations: int,
        episodes: int | None,
        settings: EvaluationConfig,
    ) -> None:
        self.measurement, self.target, self.generations = Measurement(evaluator, seed), target, generations
        self.measurement.max_episodes = episodes
        self.settings = settings
        self.generation, self.used_up = 0, False
        self.standing: list[Champion] = []
        self.holder: Champion | None = None
        self.start, self.worked = time.perf_counter(), time.process_time()

    @property
    def solved(self) -> bool:
        """A policy has held the target."""
        return self.holder is not None

    @property
    def over(self) -> bool:
        """Nothing more is to be measured."""
        return self.solved or self.used_up or self.generation >= self.generations

    def measure(self, policies: Sequence[Any]) -> np.ndarray | None:
        """Fitness of a generation, (P,); None where the episodes do not last for it."""
        if not self.measurement.fits(len(policies) * self.settings.episodes):
            self.used_up = True
            return None
        fitness_P, _ = self.measurement.fitness(policies, self.generation, self.settings)
        if fitness_P.max() >= self.target:
            self.holder, fitness_P = self.measurement.claim(
                policies, fitness_P, self.target, self.generation, self.settings
            )
        best = int(fitness_P.argmax())
        others = [one for one in self.standing if one.genome is not policies[best]]
        others.append(Champion(policies[best], float(fitness_P[best]), self.generation))
        self.standing = sorted(others, key=lambda one: -one.score)[:KEPT]
        self.generation += 1
        return fitness_P

    def row(self, method: str) -> dict[str, Any]:
        """What came of it: the holder of the target, or the best of the best, and what it scores in other episodes."""
        best = self.holder or self.measurement.best_of(self.standing, self.generation, self.settings)
        found = {
            "method": method,
            "solved": self.solved,
            "score": best.score,
            "generations": self.generation,
            "episodes": self.measurement.episodes,
            "seconds": time.perf_counter() - self.start,
            "cpu_seconds": time.process_time() - self.worked,
        }
        return found | {"again": float(self.measurement.evaluator([best.genome], JUDGES).score_PK.mean())}


def random_search(
    task: str, seed: int, *, population: int, target: float, generations: int, episodes: int | None
) -> dict[str, Any]:
    """Genomes of generation 0, drawn anew again and again."""
    config: EvolutionConfig = suitable_config(task)
    evaluator = TaskEvaluator(suitable_interface(task, plastic=config.plastic))
    search = Search(evaluator, seed, target, generations, episodes, config.evaluation)
    while not search.over:
        sizes = (evaluator.n_afferents, evaluator.n_outputs, population)
        drawn = first_generation(*sizes, 1000 * seed + search.generation, config, evaluator.metadata)
        search.measure(drawn)
    return search.row("random search")


def play(task: Task, make: Callable[[int, int], Act], n: int, seeds: Sequence[int]) -> Evaluation:
    """Let n policies live one episode a seed, all side by side.

    Args:
        task: ours.
        make: policies and episodes to what acts for all rows.
        n: P.
        seeds: K.
    """
    state, obs_BO = task.reset(np.tile(np.asarray(seeds, np.uint64), n))
    act = make(n, len(seeds))
    total_B = torch.zeros(len(obs_BO), dtype=torch.float64)
    low, high = np.array(task.observation_low), np.array(task.observation_high)
    while not bool(state["over"].all()):
        scaled_BO = (obs_BO.numpy() - low) / (high - low) * 2 - 1
        action_B = act(scaled_BO, ~state["over"].numpy())
        state, obs_BO, reward_B, _, _ = task.step(state, torch.from_numpy(action_B))
        total_B += reward_B
    score_PK = task.score(total_B).reshape(n, len(seeds)).numpy()
    return Evaluation(score_PK, np.full(n, np.nan), int(state["steps"].sum()))


NEAT = """
[NEAT]
fitness_criterion = max
fitness_threshold = 1e9
pop_size = {population}
reset_on_extinction = True
no_fitness_termination = True

[{genome}]
num_inputs = {inputs}
num_outputs = {outputs}
num_hidden = 0
feed_forward = {feed_forward}
initial_connection = full_direct
compatibility_disjoint_coefficient = 1.0
compatibility_weight_coefficient = 0.5
conn_add_prob = 0.5
conn_delete_prob = 0.3
node_add_prob = 0.2
node_delete_prob = 0.1
enabled_default = True
enabled_mutate_rate = 0.01
weight_init_mean = 0.0
weight_init_stdev = {weight}
weight_max_value = 30
weight_min_value = -30
weight_mutate_power = 0.5
weight_mutate_rate = 0.8
weight_replace_rate = 0.1
bias_init_mean = 0.0
bias_init_stdev = 1.0
bias_max_value = 30.0
bias_min_value = -30.0
bias_mutate_power = 0.5
bias_mutate_rate = 0.7
bias_replace_rate = 0.1
{nodes}

[DefaultSpeciesSet]
compatibility_threshold = {threshold}

[DefaultStagnation]
species_fitness_func = max
max_stagnation = 20
species_elitism = 2

[DefaultReproduction]
elitism = 2
survival_threshold = 0.2
min_species_size = 1
"""
_RATE_NODES = """activation_default = tanh
activation_mutate_rate = 0.0
activation_options = tanh
aggregation_default = sum
aggregation_mutate_rate = 0.0
aggregation_options = sum
response_init_mean = 1.0
response_init_stdev = 0.0
response_max_value = 30.0
response_min_value = -30.0
response_mutate_power = 0.0
response_mutate_rate = 0.0
response_replace_rate = 0.0"""
_SPIKING_NODES = "\n".join(
    f"{name}_init_mean = {mean}\n{name}_init_stdev = {spread}\n{name}_max_value = {high}\n{name}_min_value = {low}\n"
    f"{name}_mutate_power = {spread}\n{name}_mutate_rate = 0.2\n{name}_replace_rate = 0.05"
    for name, mean, spread, low, high in (
        ("a", 0.02, 0.005, 0.0, 0.1),
        ("b", 0.2, 0.02, 0.0, 0.3),
        ("c", -65.0, 3.0, -80.0, -40.0),
        ("d", 8.0, 1.0, 0.0, 10.0),
    )
)


def neat_config(neat: Any, *, inputs: int, outputs: int, population: int, kind: str) -> Any:
    """neat-python's configuration: the values of its own examples."""
    spiking = kind == "spiking"
    genome = neat.iznn.IZGenome if spiking else neat.DefaultGenome
    text = NEAT.format(
        genome=genome.__name__,
        inputs=inputs,
        outputs=outputs,
        population=population,
        feed_forward=kind == "feed-forward",
        weight=10.0 if spiking else 1.0,
        threshold=10.0 if spiking else 3.0,  # distances of Izhikevich's parameters are far larger
        nodes=_SPIKING_NODES if spiking else _RATE_NODES,
    )
    parts = (neat.DefaultReproduction, neat.DefaultSpeciesSet, neat.DefaultStagnation)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neat.ini"
        path.write_text(text)
        return neat.Config(genome, *parts, str(path))


def neat_actor(neat: Any, genomes: Sequence[Any], config: Any, kind: str) -> Callable[[int, int], Act]:
    """What acts for genomes of neat-python: a network a row."""
    networks = {
        "feed-forward": neat.nn.FeedForwardNetwork,
        "recurrent": neat.nn.RecurrentNetwork,
        "spiking": neat.iznn.IZNN,
    }

    def make(n: int, episodes: int) -> Act:
        rows = [networks[kind].create(genome, config) for genome in genomes[:n] for _ in range(episodes)]

        def act(obs_BO: np.ndarray, going_B: np.ndarray) -> np.ndarray:
            action_B = np.zeros(len(rows), np.int64)
            for row in np.flatnonzero(going_B):
                if kind == "spiking":
                    action_B[row] = int(np.argmax(spike_counts(rows[row], obs_BO[row].tolist())))
                else:
                    action_B[row] = int(np.argmax(rows[row].activate(obs_BO[row].tolist())))
            return action_B

        return act

    return make


def spike_counts(network: Any, inputs: list[float], milliseconds: float = 20.0, step: float = 0.5) -> np.ndarray:
    """Spikes of the outputs of an Izhikevich network while its inputs are held."""
    network.set_inputs(inputs)
    return np.sum([network.advance(step) for _ in range(round(milliseconds / step))], axis=0)


def neat_python(
    task: str, seed: int, *, population: int, target: float, generations: int, episodes: int | None, kind: str = ""
) -> dict[str, Any]:
    """neat-python: feed-forward networks, recurrent ones where memory is needed, or its spiking ones."""
    neat: Any = import_module("neat")

    made = make_task(task)
    kind = kind or ("recurrent" if task in MEMORY else "feed-forward")
    outputs = made.actions.n  # type: ignore[union-attr]
    config = neat_config(neat, inputs=made.n_observations, outputs=outputs, population=population, kind=kind)

    def evaluator(genomes: Sequence[Any], seeds: Sequence[int]) -> Evaluation:
        return play(made, neat_actor(neat, genomes, config, kind), len(genomes), seeds)

    search = Search(evaluator, seed, target, generations, episodes, suitable_config(task).evaluation)
    random.seed(seed)  # neat-python draws from the global generator
    run = neat.Population(config, seed=seed)

    def fitness(genomes: Sequence[tuple[int, Any]], _: Any) -> None:
        found_P = None if search.over else search.measure([genome for _, genome in genomes])
        for i, (_, genome) in enumerate(genomes):
            genome.fitness = 0.0 if found_P is None else float(found_P[i])

    while not search.over:
        run.run(fitness, 1)
    return search.row(f"neat-python, {kind}")


def evo_torch(
    task: str, seed: int, *, population: int, target: float, generations: int, episodes: int | None
) -> dict[str, Any]:
    """evotorch's SNES on networks of 8 tanh units, recurrent where memory is needed."""
    Problem: Any = import_module("evotorch").Problem
    SNES: Any = import_module("evotorch.algorithms").SNES

    logging.getLogger("evotorch").setLevel(logging.WARNING)
    made, hidden = make_task(task), 8
    O, A = made.n_observations, made.actions.n  # type: ignore[union-attr]  # noqa: E741
    recurrent = task in MEMORY
    shapes = [(hidden, O + 1), (A, hidden + 1), *([(hidden, hidden)] if recurrent else [])]
    sizes = [a * b for a, b in shapes]

    def make(values: np.ndarray) -> Callable[[int, int], Act]:
        def for_rows(n: int, repeats: int) -> Act:
            parts = np.split(values[:n].repeat(repeats, 0), np.cumsum(sizes)[:-1], axis=1)
            weights = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
            state_BH = np.zeros((n * repeats, hidden))

            def act(obs_BO: np.ndarray, going_B: np.ndarray) -> np.ndarray:
                nonlocal state_BH
                del going_B
                into_BH = np.einsum("bho,bo->bh", weights[0][:, :, :-1], obs_BO) + weights[0][:, :, -1]
                if recurrent:
                    into_BH += np.einsum("bhg,bg->bh", weights[2], state_BH)
                state_BH = np.tanh(into_BH)
                return (np.einsum("bah,bh->ba", weights[1][:, :, :-1], state_BH) + weights[1][:, :, -1]).argmax(1)

            return act

        return for_rows

    def evaluator(vectors: Sequence[np.ndarray], seeds: Sequence[int]) -> Evaluation:
        return play(made, make(np.stack(vectors)), len(vectors), seeds)

    search = Search(evaluator, seed, target, generations, episodes, suitable_config(task).evaluation)

    class Scores(Problem):
        def __init__(self) -> None:
            super().__init__("max", solution_length=sum(sizes), initial_bounds=(-1, 1), seed=seed)

        def _evaluate_batch(self, solutions: Any) -> None:
            found_P = search.measure(list(solutions.values.numpy().astype(np.float64)))
            none = torch.zeros(len(solutions))
            solutions.set_evals(none if found_P is None else torch.as_tensor(found_P, dtype=torch.float32))

    searcher = SNES(Scores(), popsize=population, stdev_init=1.0)
    while not search.over:
        searcher.step()
    return search.row("evotorch, SNES")
