"""Who has how many children, and with whom. All by rank, so that the scale of the fitness does not matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evosnn.evolution_config import SelectionConfig
from evosnn.speciation import Species


def order_by_fitness(fitness_P: np.ndarray) -> np.ndarray:
    """Indices from the best to the worst; of equals the one of lower index comes first. int64 (P,)."""
    return np.argsort(-fitness_P, kind="stable")


def rank_score(fitness_P: np.ndarray) -> np.ndarray:
    """A score in (0, 1] by rank: 1 for the best, squared so that the better half counts more; equals score the same.

    Args:
        fitness_P: fitness, finite, (P,).

    Returns:
        float64 (P,).
    """
    _, level = np.unique(fitness_P, return_inverse=True)
    counts = np.bincount(level)
    below = np.cumsum(counts) - counts
    return ((below[level] + counts[level]) / len(fitness_P)) ** 2


def offspring_numbers(
    species: Sequence[Species], fitness_P: np.ndarray, children: int, generation: int, stagnation: int
) -> list[int]:
    """How many children each species has: in proportion to the mean rank score of its members (fitness sharing).

    Args:
        species: the species of this generation, each with members.
        fitness_P: fitness of all individuals, (P,).
        children: how many there are in all, >= 0.
        generation: the present one.
        stagnation: generations without a new best after which a species has no children; the best always has.

    Returns:
        One number a species, together `children`.
    """
    score_P = rank_score(fitness_P)
    share = np.array([score_P[s.members].mean() for s in species])
    leader = int(np.argmax([fitness_P[s.members].max() for s in species]))
    for k, one in enumerate(species):
        if k != leader and generation - one.best_generation >= stagnation:
            share[k] = 0.0
    exact = share / share.sum() * children
    numbers = np.floor(exact).astype(int)
    rest = np.argsort(-(exact - numbers), kind="stable")[: children - numbers.sum()]
    numbers[rest] += 1
    return numbers.tolist()


def survivors(
    members: Sequence[int], fitness_P: np.ndarray, config: SelectionConfig, rng: np.random.Generator
) -> np.ndarray:
    """The members of a species that may have children, best first: at least two where there are two.

    Equals stand in random order, so that on a plateau of the fitness new genomes take the place of old ones.

    Args:
        members: their indices.
        fitness_P: fitness of all individuals, (P,).
        config: the share that survives.
        rng: what is drawn from.
    """
    members_M = rng.permutation(np.asarray(members))
    kept = max(min(2, len(members_M)), int(np.ceil(config.survival * len(members_M))))
    return members_M[order_by_fitness(fitness_P[members_M])[:kept]]


def tournament(survivors_M: np.ndarray, size: int, rng: np.random.Generator) -> int:
    """The best of a few drawn with replacement: as survivors stand in order, that of the least place.

    Args:
        survivors_M: indices, best first, (M,), M >= 1.
        size: how many are drawn, >= 1.
        rng: what is drawn from.
    """
    return int(survivors_M[rng.integers(len(survivors_M), size=size).min()])
