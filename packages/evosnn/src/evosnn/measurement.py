"""How often who is measured: the episodes of a generation, of its finalists, of claims, and the budget of them all.

Axes: P individuals, K episodes, M chosen ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evosnn.champions import FIRST_CLAIM, Champion, claim, claim_cost, measured_finalists
from evosnn.evaluation import Evaluation, Evaluator, episode_seeds, evaluate_together
from evosnn.evolution_config import EvaluationConfig
from evosnn.genome import Genome
from evosnn.selection import order_by_fitness

MOST_CANDIDATES = 4  # champions of one generation that may claim the target


class Measurement:
    """Measures genomes for one run and counts the episodes.

    Args:
        evaluator: what measures.
        seed: the run's seed; episodes of a generation depend on it, on the generation and on what they are for.
    """

    def __init__(self, evaluator: Evaluator, seed: int) -> None:
        self.evaluator, self.seed = evaluator, seed
        self.episodes = 0
        self.max_episodes: int | None = None

    @property
    def room(self) -> int | None:
        """Episodes that are left, None where there is no limit."""
        return None if self.max_episodes is None else max(0, self.max_episodes - self.episodes)

    @property
    def share_left(self) -> float:
        """Share of the episodes that are left, 1 where there is no limit."""
        return 1.0 if self.room is None or not self.max_episodes else self.room / self.max_episodes

    def fits(self, episodes: int) -> bool:
        """Whether so many episodes are left."""
        return self.room is None or self.room >= episodes

    def _evaluate(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
        self.episodes += len(genomes) * len(seeds)
        return evaluate_together(self.evaluator, genomes, seeds)

    def fitness(
        self, genomes: Sequence[Genome], generation: int, settings: EvaluationConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fitness of a generation, the best measured again as the budget allows; see `measured_finalists`.

        Returns:
            Fitness and mean firing rates in Hz, float64 (P,) both.
        """
        evaluation = self._evaluate(genomes, episode_seeds(self.seed, "episode", generation, settings.episodes))
        more = settings.final_episodes
        count = min(settings.finalists, len(genomes)) if more else 0
        if self.room is not None:
            count = min(count, self.room // max(more, 1))

        def measure_again(chosen: list[int]) -> np.ndarray:
            seeds = episode_seeds(self.seed, "final", generation, more)
            return self._evaluate([genomes[i] for i in chosen], seeds).score_PK

        return measured_finalists(evaluation.score_PK, count, measure_again), evaluation.rate_P

    def claim(
        self,
        genomes: Sequence[Genome],
        fitness_P: np.ndarray,
        target: float,
        generation: int,
        settings: EvaluationConfig,
    ) -> tuple[Champion | None, np.ndarray]:
        """Let the best of a generation prove on unseen episodes that they hold a target; see `champions.claim`.

        Returns:
            Who held it, or None; and the fitness, in which that of the candidates is what they showed.
        """
        candidates = [int(i) for i in order_by_fitness(fitness_P)[:MOST_CANDIDATES] if fitness_P[i] >= target]
        episodes = settings.claim_episodes
        if self.room is not None:
            episodes = min(episodes, self.room)
            while len(candidates) > 1 and claim_cost(len(candidates), episodes) > self.room:
                candidates.pop()
        if not candidates or not episodes:
            return None, fitness_P

        def measure(chosen: list[int], first: int, count: int) -> np.ndarray:
            seeds = episode_seeds(self.seed, "claim", generation, count, first)
            return self._evaluate([genomes[i] for i in chosen], seeds).score_PK

        holder, means = claim(candidates, target, episodes, measure)
        shown_P = fitness_P.copy()
        shown_P[list(means)] = list(means.values())
        champion = None if holder is None else Champion(genomes[holder], means[holder], generation, episodes)
        return champion, shown_P

    def best_of(self, standing: Sequence[Champion], generation: int, settings: EvaluationConfig) -> Champion:
        """The best of several champions, best first, on episodes that none of them was chosen by."""
        episodes = settings.claim_episodes
        if self.room is not None:
            standing = standing[: max(1, self.room // FIRST_CLAIM)]
            episodes = min(episodes, self.room // len(standing))
        if not episodes:
            return standing[0]
        seeds = episode_seeds(self.seed, "last", generation, episodes)
        means = self._evaluate([one.genome for one in standing], seeds).score_PK.mean(1)
        best = int(means.argmax())
        return Champion(standing[best].genome, float(means[best]), standing[best].generation, episodes)
