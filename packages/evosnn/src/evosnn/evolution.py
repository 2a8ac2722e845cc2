"""Evolution of plastic spiking networks: ask, measure, tell.

Axes: P individuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import Checkpoints, SignalStop, Stopped

from evosnn import evolution_checkpoint as checkpoint
from evosnn.champions import Champion, Champions
from evosnn.evaluation import Evaluator, FitnessError, check_finite
from evosnn.evolution_config import EvolutionConfig
from evosnn.evolution_result import EvolutionResult
from evosnn.genome import Genome
from evosnn.interface import Interface
from evosnn.measurement import Measurement
from evosnn.population_statistics import population_statistics
from evosnn.reporters import Reporter
from evosnn.reproduction import first_generation, next_generation
from evosnn.speciation import FIRST_THRESHOLD, Species, note_leaders, speciate
from evosnn.task_evaluator import TaskEvaluator, joined
from evosnn.tasks.task import Task


class Evolution:
    """A population of genomes for one task.

    All processes of a group make one together, with the same arguments: each measures a slice of the population and
    all reproduce alike. What happens depends on the arguments alone, not on the number of processes.

        evolution = Evolution(task="CartPole-v1", population=512, seed=0)
        result = evolution.run(generations=50, target=475)

    or, with a fitness of one's own, again and again

        evolution.tell([fitness(genome) for genome in evolution.ask()])

    Args:
        task: name of a task, a `Task`, or an `Interface` that joins networks to one; networks are measured in closed
            loop. None: an evaluator is given.
        population: number of individuals P, >= 2.
        seed: everything random depends on it.
        config: all settings, or a mapping for `EvolutionConfig.from_dict`; by default those that suit the task.
        evaluator: what measures genomes instead of a task's closed loop.
        device: where networks and episodes live: "auto", "cpu", "cuda" or "cuda:i".

    Raises:
        TypeError: the configuration or the seed is of another type.
        ValueError: an argument is out of its range, there is no such task, or the configuration and the interface
            differ in whether networks learn.
    """

    def __init__(
        self,
        task: str | Task | Interface | None = None,
        *,
        population: int = 512,
        seed: int = 0,
        config: EvolutionConfig | Mapping[str, Any] | None = None,
        evaluator: Evaluator | None = None,
        device: str = "cpu",
    ) -> None:
        if isinstance(population, bool) or not isinstance(population, int) or population < 2:
            raise ValueError(f"Evolution: population must be a whole number of at least 2, got {population!r}")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"Evolution: seed must be a whole number, got {seed!r}")
        if (task is None) == (evaluator is None):
            raise ValueError("Evolution: give either a task or an evaluator")
        if isinstance(config, Mapping):
            config = EvolutionConfig.from_dict(config)
        if config is not None and not isinstance(config, EvolutionConfig):
            raise TypeError(f"Evolution: config must be an EvolutionConfig or a mapping, got {config!r}")
        if task is not None:
            interface, config = joined(task, config)
            evaluator = TaskEvaluator(interface, device=device)
        assert evaluator is not None
        self.measurement = Measurement(evaluator, seed)
        self.population, self.seed = population, seed
        self.config = config or EvolutionConfig()
        self._given_config = self.config
        self.generation = 0
        self.history: list[dict[str, Any]] = []
        self.champions = Champions()
        self._genomes = first_generation(
            evaluator.n_afferents, evaluator.n_outputs, population, seed, self.config, evaluator.metadata
        )
        self._species: list[Species] = []
        self._threshold, self._next_species = FIRST_THRESHOLD, 0
        self._rate_P = np.full(population, np.nan)
        self._best, self._best_generation = -np.inf, 0

    @property
    def episodes(self) -> int:
        """Episodes lived so far by all individuals, those of claims included."""
        return self.measurement.episodes

    @property
    def rate_P(self) -> np.ndarray:
        """Mean firing rates of the present generation in Hz, float64 (P,); NaN before `measure`."""
        return self._rate_P.copy()

    def ask(self) -> list[Genome]:
        """The individuals of the present generation, P genomes."""
        return list(self._genomes)

    def tell(self, fitness: Sequence[float] | np.ndarray) -> dict[str, Any]:
        """Take the fitness of the present generation and make the next one.

        Args:
            fitness: one finite number an individual, in the order of `ask`; larger is better. (P,).

        Returns:
            The record of the generation: its number, its figures (see `population_statistics`), `stagnation`
            (generations since the last new best) and `episodes` (lived so far).

        Raises:
            FitnessError: not one finite number an individual.
        """
        fitness_P = np.asarray(fitness, np.float64)
        if fitness_P.shape != (self.population,):
            raise FitnessError(f"tell: expected {self.population} fitness values, got shape {fitness_P.shape}")
        check_finite(fitness_P)
        self._group(fitness_P)
        if fitness_P.max() > self._best:
            self._best, self._best_generation = float(fitness_P.max()), self.generation
        best = int(fitness_P.argmax())
        self.champions.offer(Champion(self._genomes[best], float(fitness_P[best]), self.generation))
        figures = population_statistics(self._genomes, fitness_P, self._species, self._rate_P, self.config.speciation)
        record = {
            "generation": self.generation,
            **figures,
            "stagnation": self.generation - self._best_generation,
            "episodes": self.episodes,
        }
        self.history.append(record)
        self._genomes = next_generation(
            self._genomes, fitness_P, self._species, self.generation, self.seed, self.config
        )
        self.generation += 1
        self._rate_P = np.full(self.population, np.nan)
        return dict(record)

    def _group(self, fitness_P: np.ndarray) -> None:
        """Put the generation into species, and note for each whether it is better than ever."""
        species, self._threshold = speciate(
            self._genomes, self._species, self._threshold, self._next_species, self.config.speciation
        )
        self._next_species = max([self._next_species, *(one.number + 1 for one in species)])
        note_leaders(species, self._genomes, fitness_P, self.generation)
        self._species = species

    def measure(self) -> np.ndarray:
        """Fitness of the present generation: the mean score of each individual's episodes, float64 (P,).

        The best are measured on more episodes (see `EvaluationConfig`), and who was not is taken to be no better than
        the median of those who were.
        """
        fitness_P, self._rate_P = self.measurement.fitness(self._genomes, self.generation, self.config.evaluation)
        return fitness_P

    def step(self) -> dict[str, Any]:
        """Measure the present generation and go on to the next: the record, as `tell` gives it."""
        return self.tell(self.measure())

    def adjust(self, **settings: Any) -> None:
        """Change settings from the next reproduction on.

        Args:
            settings: settings of the configuration, named without their section, for example `weight_size=0.3`,
                `add_neuron=0.1`, `prune_below=0.05`, `plasticity_drift=0.1`, `tournament=4`.

        Raises:
            TypeError: a value is of another type.
            ValueError: there is no such setting, or a value is out of its range.
        """
        self.config = self.config.adjusted(**settings)

    def statistics(self) -> dict[str, float]:
        """Figures of the last generation that was told, and `budget_left`: share of the episodes that are left, 1 where
        there is no limit. Before the first generation is told only `budget_left`."""
        return {**(self.history[-1] if self.history else {}), "budget_left": self.measurement.share_left}

    def run(
        self,
        generations: int,
        target: float | None = None,
        *,
        max_episodes: int | None = None,
        reporters: Sequence[Reporter] = (),
        folder: str | Path | None = None,
        save_every: int = 1,
        stop: SignalStop | None = None,
    ) -> EvolutionResult:
        """Go on until so many generations are done, the target is held, or the episodes are used up.

        A champion that reaches the target is measured on `claim_episodes` unseen episodes; the run is solved when it
        holds the target on all of them together. Otherwise the best of the best champions, measured again, is given.

        Args:
            generations: generations in all, those of earlier calls included, >= 1.
            target: score to reach; None to run on.
            max_episodes: episodes in all that may be lived, claims included; at least those of one generation.
            reporters: told of each generation.
            folder: run folder; state is saved under `checkpoints/`, and a run that finds a state there goes on from it.
            save_every: generations between two checkpoints, >= 1.
            stop: a signal ends the run after the present generation, with its state saved.

        Returns:
            The result; the evolution may go on after it.

        Raises:
            ValueError: an argument is out of its range.
            FitnessError: a fitness is not finite.
            EvolutionStateError: the state in the folder is of another run.
            Stopped: a signal came, after the state was saved.
        """
        needed = self.population * self.config.evaluation.episodes
        if generations < 1 or save_every < 1 or (max_episodes is not None and max_episodes < needed):
            raise ValueError(
                f"run: got generations={generations}, save_every={save_every}, max_episodes={max_episodes}; the first "
                f"two must be at least 1, the last at least the episodes of one generation ({needed})"
            )
        if target is not None and np.isnan(target):
            raise ValueError("run: target must be a number or None, got nan")
        self.measurement.max_episodes = max_episodes
        checkpoints = None if folder is None else Checkpoints(Path(folder) / "checkpoints")
        if checkpoints is not None and (loaded := checkpoints.load()) is not None:
            self.load_state_dict(loaded.state)
        for reporter in reporters:
            reporter.start(self.generation)
        try:
            while self._wanted(generations, target) and self.measurement.fits(needed):
                fitness_P = self.measure()
                if target is not None and fitness_P.max() >= target:
                    fitness_P = self._claim(fitness_P, target)
                record = self.tell(fitness_P)
                for reporter in reporters:
                    reporter.report(record)
                last = not self._wanted(generations, target)
                stopped = stop is not None and stop.agreed()
                if checkpoints is not None and (last or stopped or self.generation % save_every == 0):
                    checkpoints.save(self.generation, self.state_dict())
                if stopped and not last:
                    raise Stopped(f"stopped after generation {self.generation - 1}; its state is saved")
        finally:
            for reporter in reporters:
                reporter.close()
        return self._result(target)

    def _wanted(self, generations: int, target: float | None) -> bool:
        return self.generation < generations and not self.champions.holds(target)

    def _claim(self, fitness_P: np.ndarray, target: float) -> np.ndarray:
        holder, fitness_P = self.measurement.claim(
            self._genomes, fitness_P, target, self.generation, self.config.evaluation
        )
        self.champions.holder = holder or self.champions.holder
        return fitness_P

    def _result(self, target: float | None) -> EvolutionResult:
        """With the holder of the target, or the best of the champions on episodes that none was chosen by."""
        solved = self.champions.holds(target)
        best = (self.champions.holder if solved else None) or self.measurement.best_of(
            self.champions.standing, self.generation, self.config.evaluation
        )
        return EvolutionResult(
            best.genome, best.score, best.episodes, solved, self.generation, self.episodes, list(self.history)
        )

    def state_dict(self) -> dict[str, Any]:
        """All that the next generations depend on, as plain values and arrays."""
        return {
            **self._identity(),
            "config": self.config.to_dict(),
            "generation": self.generation,
            "episodes": self.episodes,
            "history": self.history,
            "genomes": checkpoint.pack_genomes(self._genomes),
            "species": checkpoint.pack_species(self._species),
            "threshold": self._threshold,
            "next_species": self._next_species,
            "best": float(self._best),
            "best_generation": self._best_generation,
            "champions": checkpoint.pack_champions(self.champions),
        }

    def _identity(self) -> dict[str, Any]:
        """What two runs must share for one to go on with the other's state."""
        return {
            "seed": self.seed,
            "population": self.population,
            "given_config": self._given_config.to_dict(),
            "metadata": dict(self.measurement.evaluator.metadata),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            EvolutionStateError: it is not one, or of a run with another seed, population, task or configuration.
        """
        checkpoint.check_identity(state, self._identity())
        try:
            self.config = EvolutionConfig.from_dict(state["config"])
            self._genomes = checkpoint.unpack_genomes(state["genomes"])
            self._species = checkpoint.unpack_species(state["species"])
            self.champions = checkpoint.unpack_champions(state["champions"])
            self.generation, self.measurement.episodes = state["generation"], state["episodes"]
            self.history = [dict(record) for record in state["history"]]
            self._threshold, self._next_species = state["threshold"], state["next_species"]
            self._best, self._best_generation = state["best"], state["best_generation"]
        except (KeyError, TypeError, ValueError) as error:
            raise checkpoint.EvolutionStateError(f"checkpoint: not the state of an evolution: {error}") from error
        self._rate_P = np.full(self.population, np.nan)
