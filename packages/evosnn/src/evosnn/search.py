"""What all searches share: generations measured until one holds the target, the budget is used up, or a signal comes.

Axes: P individuals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import Checkpoints, SignalStop, Stopped

from evosnn.champions import Champion, Champions
from evosnn.evaluation import Evaluator
from evosnn.evolution_config import EvaluationConfig
from evosnn.evolution_result import EvolutionResult
from evosnn.genome import Genome
from evosnn.measurement import Measurement
from evosnn.reporters import Reporter


class Search(ABC):
    """A search by generations: ask, measure, tell.

    Args:
        evaluator: what measures genomes.
        population: individuals of a generation, P.
        seed: everything random depends on it.
    """

    def __init__(self, evaluator: Evaluator, population: int, seed: int) -> None:
        self.measurement = Measurement(evaluator, seed)
        self.population, self.seed, self.generation = population, seed, 0
        self.history: list[dict[str, Any]] = []
        self.champions = Champions()

    @property
    def episodes(self) -> int:
        """Episodes lived so far by all individuals, those of claims included."""
        return self.measurement.episodes

    @property
    @abstractmethod
    def evaluation(self) -> EvaluationConfig:
        """How fitness is measured."""

    @abstractmethod
    def ask(self) -> list[Genome]:
        """The individuals of the present generation, P genomes."""

    @abstractmethod
    def measure(self) -> np.ndarray:
        """Fitness of the present generation, float64 (P,)."""

    @abstractmethod
    def tell(self, fitness: Sequence[float] | np.ndarray) -> dict[str, Any]:
        """Take the fitness of the present generation and go on to the next: the record of the generation."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that the next generations depend on, as plain values and arrays."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""

    def step(self) -> dict[str, Any]:
        """Measure the present generation and go on to the next: the record, as `tell` gives it."""
        return self.tell(self.measure())

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
        needed = self.population * self.evaluation.episodes
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
        holder, fitness_P = self.measurement.claim(self.ask(), fitness_P, target, self.generation, self.evaluation)
        if holder is not None:
            self.champions.holder, self.champions.proven = holder, target
        return fitness_P

    def _contenders(self) -> list[Champion]:
        """Who may be the best where nobody holds the target, best first."""
        return self.champions.standing

    def _result(self, target: float | None) -> EvolutionResult:
        """With the holder of the target, or the best of the champions on episodes that none was chosen by."""
        solved = self.champions.holds(target)
        best = (self.champions.holder if solved else None) or self.measurement.best_of(
            self._contenders(), self.generation, self.evaluation
        )
        return EvolutionResult(
            best.genome, best.score, best.episodes, solved, self.generation, self.episodes, list(self.history)
        )
