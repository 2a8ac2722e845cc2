"""From one generation to the next. Every child depends on (seed, generation, its index) and its parents alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ddp_utils import keyed_numpy_generator

from evosnn.crossover import crossover
from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome
from evosnn.mutation import mutate
from evosnn.selection import offspring_numbers, order_by_fitness, survivors, tournament
from evosnn.speciation import Species

SMALLEST_WITH_CHAMPION = 5  # members of a species whose best goes on unchanged


def first_generation(
    n_afferents: int, n_outputs: int, population: int, seed: int, config: EvolutionConfig, metadata: Mapping[str, Any]
) -> list[Genome]:
    """Draw generation 0: individual i depends on (seed, i) alone.

    Args:
        n_afferents: afferents of the task's encoding.
        n_outputs: outputs of the task's decoding.
        population: number of individuals P, >= 1.
        seed: the run's seed.
        config: all settings.
        metadata: kept in every genome.
    """
    return [
        initial_genome(n_afferents, n_outputs, keyed_numpy_generator(seed, "birth", i), config, metadata)
        for i in range(population)
    ]


def next_generation(
    genomes: Sequence[Genome],
    fitness_P: np.ndarray,
    species: Sequence[Species],
    generation: int,
    seed: int,
    config: EvolutionConfig,
) -> list[Genome]:
    """Make the next generation: elites first, then the children of each species, then immigrants.

    Args:
        genomes: the present generation, P.
        fitness_P: their fitness, finite, larger is better, (P,).
        species: the present species, with members.
        generation: number of the present generation, >= 0.
        seed: the run's seed.
        config: all settings.

    Returns:
        P genomes.
    """
    population, chosen = len(genomes), config.selection
    children = [genomes[i] for i in elite_indices(fitness_P, species, chosen.elites)]
    immigrants = int(chosen.immigrants * (population - len(children)))
    wanted = population - len(children) - immigrants
    numbers = offspring_numbers(species, fitness_P, wanted, generation, config.speciation.stagnation)
    for one, number in zip(species, numbers, strict=True):
        rng = keyed_numpy_generator(seed, f"survivors.{generation}", one.number)
        able_M = survivors(one.members, fitness_P, chosen, rng)
        for _ in range(number):
            rng = keyed_numpy_generator(seed, f"child.{generation + 1}", len(children))
            children.append(_child(genomes, fitness_P, able_M, config, rng))
    for _ in range(immigrants):
        rng = keyed_numpy_generator(seed, f"child.{generation + 1}", len(children))
        like = genomes[0]
        children.append(initial_genome(like.n_afferents, like.n_outputs, rng, config, like.metadata))
    return children


def elite_indices(fitness_P: np.ndarray, species: Sequence[Species], share: float) -> list[int]:
    """Who goes on unchanged: the best of all, and the best of each species that is not small.

    Args:
        fitness_P: fitness of all, (P,).
        species: the present species.
        share: share of the population, in [0, 0.5]; at least one individual goes on, and champions of species at most
            until a quarter of the population is reached.
    """
    population = len(fitness_P)
    best = order_by_fitness(fitness_P)[: max(1, int(share * population))].tolist()
    champions = [max(s.members, key=lambda i: (fitness_P[i], -i)) for s in species]
    large = [c for c, s in zip(champions, species, strict=True) if len(s.members) >= SMALLEST_WITH_CHAMPION]
    large.sort(key=lambda i: (-fitness_P[i], i))
    room = max(0, population // 4 - len(best))
    return best + [i for i in large if i not in best][:room]


def _child(
    genomes: Sequence[Genome],
    fitness_P: np.ndarray,
    able_M: np.ndarray,
    config: EvolutionConfig,
    rng: np.random.Generator,
) -> Genome:
    size = config.selection.tournament
    first = tournament(able_M, size, rng)
    child = genomes[first]
    if rng.random() < config.selection.crossover:
        second = tournament(able_M, size, rng)
        better, other = sorted((first, second), key=lambda i: (-fitness_P[i], i))
        if better != other:
            child = crossover(genomes[better], genomes[other], rng, dale=config.dale)
    return mutate(child, config, rng)
