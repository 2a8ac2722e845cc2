"""Fitness of genomes: episodes in closed loop, shared among processes.

Axes: P genomes, K episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ddp_utils import gather_objects, raise_together, rank, world_size
from ddp_utils.seed import key_bits

from evosnn.genome import Genome


class FitnessError(ValueError):
    """A fitness that nobody can be selected by: not a number, infinite, or not one for each individual."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        score_PK: score of each genome in each episode, float64 (P, K).
        rate_P: mean firing rate of each genome's neurons in Hz, float64 (P,); NaN where it is not known.
        steps: environment steps in all.
    """

    score_PK: np.ndarray
    rate_P: np.ndarray
    steps: int = 0


class Evaluator(Protocol):
    """What measures genomes, and says what genomes it measures."""

    n_afferents: int
    n_outputs: int
    metadata: Mapping[str, Any]

    def __call__(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
        """One episode a genome and seed; a genome's scores must not depend on the others."""
        ...


class FunctionEvaluator:
    """A user's own fitness function as an `Evaluator`.

    Args:
        function: (genomes, seeds) -> scores, (P, K), or (P,) for the mean over the seeds.
        n_afferents: afferents of the genomes, >= 0.
        n_outputs: outputs of the genomes, >= 1.
        metadata: kept in the genomes.
    """

    def __init__(
        self,
        function: Callable[[Sequence[Genome], Sequence[int]], Any],
        n_afferents: int,
        n_outputs: int,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.function, self.n_afferents, self.n_outputs = function, n_afferents, n_outputs
        self.metadata: Mapping[str, Any] = dict(metadata or {})

    def __call__(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
        """See `Evaluator`."""
        scores = np.asarray(self.function(genomes, seeds), np.float64)
        if scores.shape == (len(genomes),):
            scores = np.repeat(scores[:, None], len(seeds), axis=1)
        if scores.shape != (len(genomes), len(seeds)):
            raise FitnessError(
                f"fitness function: expected scores ({len(genomes)}, {len(seeds)}) or ({len(genomes)},), "
                f"got {scores.shape}"
            )
        return Evaluation(scores, np.full(len(genomes), np.nan))


def episode_seeds(seed: int, what: str, generation: int, count: int, first: int = 0) -> list[int]:
    """Seeds of episodes, the same for all individuals of a generation.

    Args:
        seed: the run's seed.
        what: which set of episodes.
        generation: number of the generation, >= 0.
        count: how many.
        first: number of the first of them.

    Returns:
        Integers in [0, 2**31).
    """
    return [key_bits(seed, f"{what}.{generation}", first + k, n_bytes=4) >> 1 for k in range(count)]


def evaluate_together(evaluator: Evaluator, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
    """Measure genomes on all processes: each takes a slice, and all get all results.

    The slices differ by at most one genome where the population does not divide.

    Args:
        evaluator: what measures.
        genomes: the same P genomes in every process.
        seeds: seeds of K episodes.

    Returns:
        The evaluation of all genomes, the same in every process and for any number of processes.

    Raises:
        FitnessError: a score is not finite; it names the individual and the seed of the episode.
        RemoteError: another process failed; with its message.
    """
    if not genomes or not seeds:
        return Evaluation(np.empty((len(genomes), len(seeds))), np.full(len(genomes), np.nan))
    n, processes = len(genomes), world_size()
    low, high = rank() * n // processes, (rank() + 1) * n // processes
    failure, own = None, None
    try:
        own = evaluator(genomes[low:high], seeds) if high > low else None
        if own is not None:
            check_finite(own.score_PK, first=low, seeds=seeds)
    except Exception as error:  # noqa: BLE001 - whatever it is, all processes must hear of it
        failure = error
    raise_together(failure)
    parts = [part for part in gather_objects(own) if part is not None]
    return Evaluation(
        np.concatenate([part.score_PK for part in parts]),
        np.concatenate([part.rate_P for part in parts]),
        sum(part.steps for part in parts),
    )


def check_finite(score_PK: np.ndarray, *, first: int = 0, seeds: Sequence[int] | None = None) -> None:
    """Raise a FitnessError that names the first score which is not finite.

    Args:
        score_PK: scores, (P,) or (P, K).
        first: number of the first individual.
        seeds: seeds of the K episodes.
    """
    rows, *episodes = (indices.tolist() for indices in np.nonzero(~np.isfinite(score_PK)))
    if rows:
        value = score_PK[(rows[0], *(index[0] for index in episodes))]
        episode = f" in the episode of seed {seeds[episodes[0][0]]}" if seeds is not None and episodes else ""
        raise FitnessError(f"fitness of individual {first + rows[0]} is {value}{episode}; it must be finite")
