"""An environment in which an agent grows one network, change by change.

Shapes: P individuals, K episodes, E edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from evosnn.envs.arguments import check_render_mode, evolution_config, target_score
from evosnn.envs.canvas import BLACK, BLUE, GREY, ORANGE, RED, Canvas
from evosnn.envs.steer_settings import GREATEST_RATE
from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome
from evosnn.mutation import perturb_parameters
from evosnn.rollout import RolloutResult, rollout
from evosnn.rule import Rule
from evosnn.structure_mutation import add_edge, add_neuron, edge_unit, prune_weak, rewire_edge
from evosnn.task_evaluator import suitable_interface
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task

ACTIONS = ("keep", "add edge", "add neuron", "prune", "rewire", "perturb", "learn more", "learn less", "undo")
OBSERVATIONS = (
    *("fitness", "best", "fitness std", "last gain", "neurons", "edges", "wiring", "inhibitory"),
    *("mean strength", "rate", "direct", "reward", "steps left"),
)
_BOUND = 10.0
_PRUNED_BELOW = 0.2
_WIDTH, _HEIGHT = 480, 320


def wiring(genome: Genome) -> float:
    """Length of all enabled edges between neurons, in units of the mean spacing; an afferent's edge counts 1."""
    if not genome.n_enabled:
        return 0.0
    source_E = genome.source - genome.n_afferents
    apart_E = np.linalg.norm(genome.position[np.maximum(source_E, 0)] - genome.position[genome.target], axis=1)
    return float(np.where(source_E < 0, 1.0, apart_E)[genome.enabled].sum())


class GrowEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """
    ## Description
    One network of three neurons (or as many as the task has outputs) that an agent grows, prunes, rewires and gives
    plasticity, one change a step. After each change the network lives the same episodes again.

    ## Action Space
    `Discrete(9)`: keep as it is (0), add an edge (1), add a neuron in an edge (2), prune weak edges (3), rewire an edge
    (4), perturb weights and neurons (5), double (6) or halve (7) the learning rates, go back to the best network so
    far (8). Where a change finds no place, the network stays.

    ## Observation Space
    `Box(-10, 10, (13,))`, float32, cut to the bounds. Fitness and best fitness as (fitness - fitness_0) / (target -
    fitness_0), standard deviation over the episodes and gain of the last step in the same unit; log2(neurons / 3);
    log2(1 + edges) / 8; wiring / 100; share of inhibitory edges; asinh of the mean strength in natural units; rate in
    100 Hz; asinh(100 x) / 10 of the two learning rates; share of the steps that are left.

    ## Rewards
    (fitness_t - fitness_{t-1}) / (target - fitness_0) - wiring_cost x (wiring_t - wiring_{t-1}). So the return is the
    gain in fitness less the cost of the wire that was added.

    ## Starting State
    A network drawn by the seed, which also draws the episodes.

    ## Episode End
    Termination: the fitness has reached the target. Truncation: after `steps` steps.

    ## Arguments
    - `task`: as `evosnn.tasks.registry.make_task` takes it; "CartPole-v1" by default.
    - `steps`: steps of an episode, >= 1; 64.
    - `episodes`: lives by which the fitness is measured, >= 1; 8.
    - `target`: fitness to reach; the task's `solved` by default.
    - `wiring_cost`: >= 0; 0.002.
    - `config`: an `EvolutionConfig` or a mapping for `EvolutionConfig.from_dict`; by default networks learn by
      reward-modulated STDP.
    - `render_mode`: "rgb_array" (the network: afferents left, neurons right, excitation blue, inhibition red), "ansi"
      or None.

    ## Version History
    - v0: first version
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        task: str | Mapping[str, Any] | Task = "CartPole-v1",
        *,
        steps: int = 64,
        episodes: int = 8,
        target: float | None = None,
        wiring_cost: float = 0.002,
        config: EvolutionConfig | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_render_mode(self.metadata, render_mode)
        self.task = make_task(task)
        self.target = target_score("Grow-v0", self.task, target)
        if steps < 1 or episodes < 1 or not wiring_cost >= 0:
            raise ValueError(
                f"Grow-v0: needs steps >= 1, episodes >= 1 and wiring_cost >= 0, got {steps}, {episodes} and "
                f"{wiring_cost}"
            )
        self.steps, self.episodes, self.wiring_cost = steps, episodes, wiring_cost
        learning = EvolutionConfig(rule=Rule.reward_stdp(reward=1e-4, direct=1e-4), plastic=True)
        self.config = evolution_config(config, learning)
        self.interface = suitable_interface(self.task, plastic=self.config.plastic)
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = spaces.Box(-_BOUND, _BOUND, (len(OBSERVATIONS),), np.float32)
        self._genome: Genome | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw a network and measure it."""
        super().reset(seed=seed, options=options)
        self._seeds = self.np_random.integers(2**31, size=self.episodes)
        sizes = self.interface.n_afferents, self.interface.n_outputs
        self._genome = initial_genome(*sizes, self.np_random, self.config, self.interface.metadata())
        self._time = 0
        self._result = self._live(self._genome)
        self._fitness_0 = self._fitness = self._best = self._mean(self._result)
        self._best_genome, self._gain = self._genome, 0.0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Change the network and measure it again."""
        if not self.action_space.contains(np.int64(action)):
            raise ValueError(f"Grow-v0: an action is a whole number in [0, {len(ACTIONS)}), got {action!r}")
        before = self.genome
        self._genome = self._changed(before, ACTIONS[int(action)])
        self._time += 1
        if self._genome is not before:
            self._result = self._live(self._genome)
        fitness = self._mean(self._result)
        self._gain = (fitness - self._fitness) / self._span
        self._fitness = fitness
        if fitness > self._best:
            self._best, self._best_genome = fitness, self._genome
        reward = self._gain - self.wiring_cost * (wiring(self._genome) - wiring(before))
        return self._observation(), float(reward), fitness >= self.target, self._time >= self.steps, self._info()

    def render(self) -> Any:
        """The network: uint8 (320, 480, 3), or a line of text."""
        genome = self.genome
        if self.render_mode == "rgb_array":
            return self._picture(genome)
        if self.render_mode != "ansi":
            return None
        return (
            f"{self.task.name}, step {self._time} of {self.steps}: fitness {self._fitness:.4g} of {self.target:.4g}, "
            f"best {self._best:.4g}, {genome.n_neurons} neurons, {genome.n_enabled} edges, wire {wiring(genome):.1f}"
        )

    @property
    def genome(self) -> Genome:
        """The network as it is now."""
        if self._genome is None:
            raise gymnasium.error.ResetNeeded("Grow-v0: call reset first")
        return self._genome

    @property
    def best_genome(self) -> Genome:
        """The fittest network of the episode so far."""
        assert self.genome is not None
        return self._best_genome

    @property
    def _span(self) -> float:
        return max(self.target - self._fitness_0, 1e-3 * max(1.0, abs(self.target)))

    def _live(self, genome: Genome) -> RolloutResult:
        return rollout([genome], self.interface, self._seeds)

    @staticmethod
    def _mean(result: RolloutResult) -> float:
        return float(result.score_PK.mean())

    def _changed(self, genome: Genome, action: str) -> Genome:
        rng, config = self.np_random, self.config
        changes: dict[str, Callable[[], Genome]] = {
            "keep": lambda: genome,
            "add edge": lambda: add_edge(genome, config, rng),
            "add neuron": lambda: add_neuron(genome, config, rng),
            "prune": lambda: prune_weak(genome, _PRUNED_BELOW),
            "rewire": lambda: rewire_edge(genome, config, rng),
            "perturb": lambda: perturb_parameters(genome, config, rng),
            "learn more": lambda: _learning(genome, 2.0),
            "learn less": lambda: _learning(genome, 0.5),
            "undo": lambda: self._best_genome,
        }
        return changes[action]()

    def _observation(self) -> NDArray[np.float32]:
        genome = self.genome
        weight_E = (genome.weight / edge_unit(genome))[genome.enabled]
        figures = [
            (self._fitness - self._fitness_0) / self._span,
            (self._best - self._fitness_0) / self._span,
            float(self._result.score_PK.std(correction=0)) / self._span,
            self._gain,
            math.log2(genome.n_neurons / 3),
            math.log2(1 + genome.n_enabled) / 8,
            wiring(genome) / 100,
            float((weight_E < 0).mean()) if len(weight_E) else 0.0,
            math.asinh(float(np.abs(weight_E).mean())) if len(weight_E) else 0.0,
            float(self._result.rate_PK.mean()) / 100,
            math.asinh(100 * genome.rule.direct) / 10,
            math.asinh(100 * genome.rule.reward) / 10,
            1 - self._time / self.steps,
        ]
        return np.clip(np.array(figures), -_BOUND, _BOUND).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        genome = self.genome
        return {
            "fitness": self._fitness,
            "best": self._best,
            "neurons": genome.n_neurons,
            "edges": genome.n_enabled,
            "wiring": wiring(genome),
        }

    def _picture(self, genome: Genome) -> NDArray[np.uint8]:
        canvas = Canvas(_WIDTH, _HEIGHT)
        places = [(30.0, _HEIGHT * (c + 1) / (genome.n_afferents + 1)) for c in range(genome.n_afferents)]
        for n in range(genome.n_neurons):
            turn = 2 * math.pi * n / genome.n_neurons
            places.append((310 + 130 * math.cos(turn), _HEIGHT / 2 + 130 * math.sin(turn)))
        strength_E = np.abs(genome.weight / edge_unit(genome))
        for e in np.flatnonzero(genome.enabled):
            start, end = places[genome.source[e]], places[genome.n_afferents + genome.target[e]]
            colour = BLUE if genome.weight[e] > 0 else RED
            canvas.line(start, end, colour, 1 + 2 * min(1.0, float(strength_E[e])))
        for c in range(genome.n_afferents):
            canvas.disc(places[c], 5, GREY)
        for n in range(genome.n_neurons):
            canvas.disc(places[genome.n_afferents + n], 9, ORANGE if genome.is_output[n] else BLACK)
        return canvas.pixels_HW3


def _learning(genome: Genome, factor: float) -> Genome:
    """The genome with its learning rates times a factor, none beyond the greatest."""
    rule = genome.rule
    if factor > 1 and max(abs(rule.direct), abs(rule.reward)) * factor > GREATEST_RATE:
        return genome
    return genome.replace(rule=replace(rule, direct=rule.direct * factor, reward=rule.reward * factor))
