"""Who is best, measured often enough to say so: one lucky episode makes no champion.

Axes: P individuals, K episodes, M finalists or candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from evosnn.genome import Genome
from evosnn.selection import order_by_fitness

KEPT = 6  # champions that a run remembers
SURE = 1.645  # standard errors, one-sided 95%
FIRST_CLAIM = 10  # episodes of the first round of a claim


@dataclass(frozen=True)
class Champion:
    """A genome that was the best of its generation.

    Args:
        genome: the genome.
        score: its mean score.
        generation: when.
        episodes: episodes that the score was measured on, unknown (0) before it was measured again.
    """

    genome: Genome
    score: float
    generation: int
    episodes: int = 0


@dataclass
class Champions:
    """The best of the best generations, best first, and who has held the target.

    Args:
        standing: at most six, no two of the same genome.
        holder: the champion that held a target in a claim.
        proven: that target.
    """

    standing: list[Champion] = field(default_factory=list)
    holder: Champion | None = None
    proven: float | None = None

    def offer(self, champion: Champion) -> None:
        """Take a champion in if it is among the best; of one genome the later score counts."""
        others = [one for one in self.standing if one.genome != champion.genome]
        self.standing = sorted([*others, champion], key=lambda one: (-one.score, -one.generation))[:KEPT]

    def holds(self, target: float | None) -> bool:
        """Whether a claim of this target, or a higher one, has been held."""
        return target is not None and self.proven is not None and self.proven >= target


def measured_finalists(
    score_PK: np.ndarray, finalists: int, measure_again: Callable[[list[int]], np.ndarray]
) -> np.ndarray:
    """Fitness from the scores of a generation, the best of which are measured again.

    The best by one episode are the best or the luckiest. A finalist's fitness is the mean of all of its episodes; who
    was not measured again is taken to be no better than the median finalist.

    Args:
        score_PK: scores, (P, K).
        finalists: how many of the best are measured again, >= 0.
        measure_again: indices of M individuals -> scores in more episodes, (M, K'), K' >= 0.

    Returns:
        float64 (P,).
    """
    fitness_P = score_PK.mean(1)
    chosen = order_by_fitness(fitness_P)[:finalists].tolist()
    if not chosen:
        return fitness_P
    again_MK = measure_again(chosen)
    if not again_MK.shape[1]:
        return fitness_P
    pooled_M = np.concatenate([score_PK[chosen], again_MK], axis=1).mean(1)
    fitness_P = np.minimum(fitness_P, np.median(pooled_M))
    fitness_P[chosen] = pooled_M
    return fitness_P


def claim_cost(candidates: int, episodes: int) -> int:
    """Episodes that a claim lives at most.

    Args:
        candidates: how many prove themselves, >= 0.
        episodes: of who goes through all rounds, >= 0.

    Returns:
        The number, if nobody falls under the target.
    """
    done, lived = 0, 0
    while candidates and done < episodes:
        count = min(max(FIRST_CLAIM, 3 * done), episodes - done)
        done, lived = done + count, lived + candidates * count
        candidates = (candidates + 1) // 2
    return lived


def claim(
    candidates: Sequence[int],
    target: float,
    episodes: int,
    measure: Callable[[list[int], int, int], np.ndarray],
) -> tuple[int | None, dict[int, float]]:
    """Let candidates prove on unseen episodes that their mean holds the target.

    In rounds of growing length: who is under the target after a round is out, and the better half goes on. Who has had
    all episodes holds the target if their mean is at least 1.645 standard errors above it: it then lies above it with
    95% confidence, though claims are many. Scores that are all the same have no error.

    Args:
        candidates: indices of individuals, best first.
        target: the mean score to hold.
        episodes: how many episodes, >= 1.
        measure: (indices, number of the first episode, count) -> scores (M, count).

    Returns:
        The individual that held the target, or None; and the mean of each candidate over the episodes that it had.
    """
    left, done = list(candidates), 0
    scores: dict[int, list[float]] = {i: [] for i in candidates}
    means: dict[int, float] = {}
    while left and done < episodes:
        count = min(max(FIRST_CLAIM, 3 * done), episodes - done)
        scores_MK = measure(left, done, count)
        done += count
        for i, scores_K in zip(left, scores_MK, strict=True):
            scores[i] += scores_K.tolist()
            means[i] = float(np.mean(scores[i]))
        left = sorted((i for i in left if means[i] >= target), key=lambda i: -means[i])
        left = left[: max(1, (len(left) + 1) // 2)]
    holders = [i for i in left if means[i] - SURE * np.std(scores[i]) / done**0.5 >= target]
    return (holders[0] if holders else None), means
