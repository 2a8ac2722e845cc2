"""Evolution of plastic spiking networks: ask, measure, tell.

Axes: P individuals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evosnn import evolution_checkpoint as checkpoint
from evosnn.champions import Champion
from evosnn.evaluation import Evaluator, FitnessError, check_finite
from evosnn.evolution_config import EvaluationConfig, EvolutionConfig
from evosnn.genome import Genome
from evosnn.interface import Interface
from evosnn.population_statistics import population_statistics
from evosnn.reproduction import first_generation, next_generation
from evosnn.search import Search
from evosnn.speciation import FIRST_THRESHOLD, Species, note_leaders, speciate
from evosnn.task_evaluator import TaskEvaluator, joined
from evosnn.tasks.task import Task


class Evolution(Search):
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
        super().__init__(evaluator, population, seed)
        self.config = config or EvolutionConfig()
        self._given_config = self.config
        self._genomes = first_generation(
            evaluator.n_afferents, evaluator.n_outputs, population, seed, self.config, evaluator.metadata
        )
        self._species: list[Species] = []
        self._threshold, self._next_species = FIRST_THRESHOLD, 0
        self._rate_P = np.full(population, np.nan)
        self._best, self._best_generation = -np.inf, 0

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

    @property
    def evaluation(self) -> EvaluationConfig:
        """How fitness is measured."""
        return self.config.evaluation

    def statistics(self) -> dict[str, float]:
        """Figures of the last generation that was told, and `budget_left`: share of the episodes that are left, 1 where
        there is no limit. Before the first generation is told only `budget_left`."""
        return {**(self.history[-1] if self.history else {}), "budget_left": self.measurement.share_left}

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
