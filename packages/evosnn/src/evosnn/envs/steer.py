"""An environment in which an agent steers an evolution, generation by generation.

Shapes: P individuals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from evosnn.envs.arguments import check_render_mode, evolution_config, target_score
from evosnn.envs.canvas import BLACK, BLUE, GREEN, GREY, LIGHT, Canvas
from evosnn.envs.steer_settings import ACTIONS, GREATEST_RATE, LEAST_RATE, steering
from evosnn.evaluation import episode_seeds, evaluate_together
from evosnn.evolution import Evolution
from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import Genome
from evosnn.population_statistics import population_statistics
from evosnn.rule import Rule
from evosnn.selection import order_by_fitness
from evosnn.task_evaluator import suitable_config
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task
from evosnn.what_pays import what_pays

OBSERVATIONS = (
    *("best ever", "best", "q90", "q75", "median", "q25", "q10", "mean", "std"),
    *("diversity", "species", "neurons", "edges", "rate", "direct", "reward", "stagnation", "budget left", "gain"),
    *("learning pays", "size pays", "success", "learning gains"),
)
_MEMORY = 0.7
_BOUND = 10.0
_WIDTH, _HEIGHT = 480, 320


class SteerEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """
    ## Description
    One step is one generation of an `Evolution`: the action changes its settings, the population reproduces under
    them, and the children live their episodes. With `hold` more than 1 the action holds for so many generations, and
    the step's reward is the sum of theirs.

    ## Action Space
    `Box(-1, 1, (6,))`, float32: mutation rate, mutation size, growth, pruning, plasticity rates, selection pressure;
    see `evosnn.envs.steer_settings`. 0 is the configuration as given. Plasticity rates act only where networks learn,
    and until their mean is 1e-6 or 100.

    ## Observation Space
    `Box(-10, 10, (23,))`, float32, cut to the bounds. Scores are given as (score - best_0) / (target - best_0), with
    best_0 the best of the first generation: best ever; best, quantiles .9, .75, .5, .25, .1 and mean of the generation;
    its standard deviation in the same unit; then diversity (mean distance of genomes), species / 10, log2(neurons / 3),
    log2(1 + edges) / 8, rate in 100 Hz, asinh(100 x) / 10 of the two mean learning rates, generations without a new
    best / budget, budget left, gain of the last step; then what pays: running means (0.3 of the newest) of the rank
    correlations of fitness with learning rates and with the number of synapses, the share of the generation that is
    above the median of the one before (see `evosnn.what_pays`), and a running mean of what the best quarter loses with
    its plasticity switched off, in the unit of the scores; 0 where networks do not learn.

    ## Rewards
    (best_t - best_{t-1}) / (target - best_0) - cost x evaluations, where best_t is the best fitness that any generation
    up to t had, the target at most, and evaluations are the episodes lived in the step, those with plasticity off
    included, in units of the population. So
    the return is the improvement as a share of what was missing, 1 at most, less the cost of the episodes.

    ## Starting State
    A first generation, drawn and measured.

    ## Episode End
    Termination: best_t has reached the target. Truncation: after `generations` generations.

    ## Arguments
    - `task`: as `evosnn.tasks.registry.make_task` takes it; "CartPole-v1" by default.
    - `population`: number of individuals, >= 2; 256.
    - `generations`: of an episode, >= 1; 30.
    - `hold`: generations that an action holds for, >= 1; 1.
    - `target`: score to reach; the task's `solved` by default.
    - `cost`: of as many evaluations as there are individuals, >= 0; 0.01.
    - `config`: an `EvolutionConfig` or a mapping for `EvolutionConfig.from_dict`; what suits the task by default.
    - `device`: where networks and episodes live: "auto", "cpu", "cuda" or "cuda:i"; "cpu" by default.
    - `render_mode`: "rgb_array" (best, median and spread over the generations), "ansi" or None.

    ## Version History
    - v0: first version
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        task: str | Mapping[str, Any] | Task = "CartPole-v1",
        *,
        population: int = 256,
        generations: int = 30,
        hold: int = 1,
        target: float | None = None,
        cost: float = 0.01,
        config: EvolutionConfig | Mapping[str, Any] | None = None,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        check_render_mode(self.metadata, render_mode)
        self.task = make_task(task)
        self.target = target_score("Steer-v0", self.task, target)
        if generations < 1 or hold < 1 or population < 2 or not cost >= 0:
            raise ValueError(
                f"Steer-v0: needs generations >= 1, hold >= 1, population >= 2 and cost >= 0, got {generations}, "
                f"{hold}, {population} and {cost}"
            )
        self.population, self.generations, self.hold, self.cost = population, generations, hold, cost
        self.config = evolution_config(config, suitable_config(self.task))
        self.device, self.render_mode = device, render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTIONS),), np.float32)
        self.observation_space = spaces.Box(-_BOUND, _BOUND, (len(OBSERVATIONS),), np.float32)
        self.evolution: Evolution | None = None
        self.history: list[dict[str, float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draw and measure a first generation."""
        self.prepare_reset(seed=seed, options=options)
        return self.finish_reset()

    def prepare_reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Draw a first generation, which `finish_reset` measures."""
        super().reset(seed=seed, options=options)
        evolution_seed = int(self.np_random.integers(2**31))
        self.evolution = Evolution(
            task=self.task, population=self.population, seed=evolution_seed, config=self.config, device=self.device
        )
        self.history, self._pays, self._probes = [], np.zeros(3), 0
        self.frozen_PK: NDArray[np.float64] | None = None

    def finish_reset(self) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Measure the first generation."""
        self._measure()
        self._best_0 = self._best = self.history[0]["best"]
        self._stagnation, self._gain = 0, 0.0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Reproduce under the settings that the action asks for, and measure the children."""
        total, held = 0.0, 0
        while True:
            self.prepare_step(action)
            observation, reward, terminated, truncated, info = self.finish_step()
            total, held = total + reward, held + 1
            if terminated or truncated or held == self.hold:
                return observation, total, terminated, truncated, info

    def prepare_step(self, action: Any) -> None:
        """Reproduce once under the settings that the action asks for; `finish_step` measures the children."""
        evolution = self.running
        action_ = np.asarray(action, np.float64)
        if action_.shape != (len(ACTIONS),) or not np.isfinite(action_).all():
            raise ValueError(f"Steer-v0: an action is {len(ACTIONS)} finite numbers in [-1, 1], got {action!r}")
        evolution.adjust(**self._within_bounds(steering(self.config, action_)))
        evolution.tell(self._fitness_P)

    def finish_step(self) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Measure the children."""
        lived = self._lived
        self._measure()
        best = max(self._best, self.history[-1]["best"])
        self._gain = (min(best, self.target) - min(self._best, self.target)) / self._span
        self._stagnation = 0 if best > self._best else self._stagnation + 1
        self._best = best
        reward = self._gain - self.cost * (self._lived - lived) / self.population
        truncated = len(self.history) > self.generations
        return self._observation(), float(reward), best >= self.target, truncated, self._info()

    def render(self) -> Any:
        """The course of the evolution: uint8 (320, 480, 3), or a line of text."""
        self.running  # noqa: B018 - raises before the first reset
        if self.render_mode == "rgb_array":
            return self._picture()
        if self.render_mode != "ansi":
            return None
        last = self.history[-1]
        return (
            f"{self.task.name}, generation {len(self.history) - 1} of {self.generations}: best {self._best:.4g} of "
            f"{self.target:.4g}, median {last['median']:.4g}, {last['neurons']:.1f} neurons, {last['edges']:.1f} edges"
        )

    @property
    def best_genome(self) -> Genome:
        """The best individual of the present generation."""
        return self.running.ask()[int(self._fitness_P.argmax())]

    @property
    def _span(self) -> float:
        """Target less best_0; not less than a thousandth of the target where the first generation is there already."""
        return max(self.target - self._best_0, 1e-3 * max(1.0, abs(self.target)))

    @property
    def _lived(self) -> int:
        """Episodes lived so far."""
        return self.running.episodes + self._probes

    @property
    def running(self) -> Evolution:
        """The evolution, after the first reset."""
        if self.evolution is None:
            raise gymnasium.error.ResetNeeded("Steer-v0: call reset first")
        return self.evolution

    def _within_bounds(self, settings: dict[str, float | int]) -> dict[str, float | int]:
        """The settings, without a drift of learning rates that are too small or too great already."""
        last, drift = self.history[-1], settings["plasticity_drift"]
        mean = abs(last["direct"]) + abs(last["reward"])
        if (drift < 0 and mean < LEAST_RATE) or (drift > 0 and mean > GREATEST_RATE):
            return {**settings, "plasticity_drift": 0.0}
        return settings

    def _measure(self) -> None:
        evolution = self.running
        self._fitness_P = evolution.measure()
        figures = population_statistics(
            evolution.ask(), self._fitness_P, [], evolution.rate_P, evolution.config.speciation
        )
        species = evolution.history[-1]["species"] if evolution.history else 1.0
        pays = what_pays(evolution.ask(), self._fitness_P, self.history[-1]["median"] if self.history else None)
        pays["learning_gains"] = self._learning_gains(evolution) if evolution.config.learns else 0.0
        newest = np.array([pays["learning_pays"], pays["size_pays"], pays["learning_gains"]])
        self._pays = newest if not self.history else _MEMORY * self._pays + (1 - _MEMORY) * newest
        self.history.append({**figures, "species": float(species), **pays})

    def _learning_gains(self, evolution: Evolution) -> float:
        """Mean score of the best quarter less what it is with plasticity off, in the same episodes."""
        best = order_by_fitness(self._fitness_P)[: max(1, self.population // 4)]
        seeds = self.episode_seeds()
        self._probes += len(best) * len(seeds)
        if self.frozen_PK is None:
            frozen = [still(evolution.ask()[i]) for i in best]
            score_MK = evaluate_together(evolution.measurement.evaluator, frozen, seeds).score_PK
        else:
            score_MK, self.frozen_PK = self.frozen_PK[best], None
        return float(self._fitness_P[best].mean() - score_MK.mean())

    def episode_seeds(self) -> list[int]:
        """Seeds of the episodes that the present generation lives."""
        evolution = self.running
        return episode_seeds(evolution.seed, "episode", evolution.generation, evolution.config.evaluation.episodes)

    def _observation(self) -> NDArray[np.float32]:
        last = self.history[-1]
        scores = [self._best, *(last[name] for name in ("best", "q90", "q75", "median", "q25", "q10", "mean"))]
        figures = [
            *((score - self._best_0) / self._span for score in scores),
            last["std"] / self._span,
            last["diversity"],
            last["species"] / 10,
            math.log2(last["neurons"] / 3),
            math.log2(1 + last["edges"]) / 8,
            last["rate"] / 100,
            math.asinh(100 * last["direct"]) / 10,
            math.asinh(100 * last["reward"]) / 10,
            self._stagnation / self.generations,
            1 - (len(self.history) - 1) / self.generations,
            self._gain,
            *self._pays[:2],
            last["success"],
            self._pays[2] / self._span,
        ]
        return np.clip(np.array(figures), -_BOUND, _BOUND).astype(np.float32)

    def _info(self) -> dict[str, Any]:
        return {
            "generation": len(self.history) - 1,
            "best": self._best,
            "episodes": self._lived,
            **_named(self.history[-1]),
        }

    def _picture(self) -> NDArray[np.uint8]:
        canvas = Canvas(_WIDTH, _HEIGHT)
        values = [record[name] for record in self.history for name in ("q10", "best")]
        low, high = min(*values, self.target), max(*values, self.target)
        span = max(high - low, 1e-9)

        def place(generation: int, score: float) -> tuple[float, float]:
            x = 20 + (_WIDTH - 40) * generation / self.generations
            return x, _HEIGHT - 20 - (_HEIGHT - 40) * (score - low) / span

        for generation, record in enumerate(self.history):
            canvas.line(place(generation, record["q10"]), place(generation, record["q90"]), LIGHT, 6)
        canvas.line(place(0, self.target), place(self.generations, self.target), GREEN, 2)
        canvas.line((20, _HEIGHT - 20), (_WIDTH - 20, _HEIGHT - 20), GREY, 1)
        for name, colour in (("median", BLACK), ("best", BLUE)):
            canvas.curve([place(g, record[name]) for g, record in enumerate(self.history)], colour)
        return canvas.pixels_HW3


def still(genome: Genome) -> Genome:
    """The genome without plasticity."""
    return genome.replace(rule=Rule(w_max=genome.rule.w_max))


def _named(record: dict[str, float]) -> dict[str, float]:
    """The figures of a generation under names of their own."""
    return {f"generation_{name}": value for name, value in record.items()}
