"""Species: groups of alike genomes that compete within, so that a new structure has time to be tuned.

Axes: P genomes, K representatives, U edges of all genomes together, N neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evosnn.evolution_config import SpeciationConfig
from evosnn.genome import Genome
from evosnn.structure_mutation import edge_unit

DAMPING = 0.1  # larger steps of the threshold make the number of species swing between far too few and far too many
FIRST_THRESHOLD = 0.8  # distance of species; moves from generation to generation


@dataclass
class Species:
    """One species.

    Args:
        number: its number, never used again.
        representative: the genome that others are compared with.
        members: indices of its individuals in the present generation.
        best: best fitness that a member ever had.
        best_generation: when that was.
    """

    number: int
    representative: Genome
    members: list[int] = field(default_factory=list)
    best: float = -np.inf
    best_generation: int = 0


def distances(genomes: Sequence[Genome], others: Sequence[Genome], config: SpeciationConfig) -> np.ndarray:
    """How unlike genomes are.

        d = disjoint * (edges of one only) / max(E1, E2, 1)
          + weights  * mean over edges of both of |w1 - w2| / unit, tanh of it so that one edge does not decide
          + neurons  * mean over the outputs of |log tau_m1 / tau_m2| + |log tau_s1 / tau_s2|

    Args:
        genomes: P genomes.
        others: K genomes for the same task.
        config: the weights of the three parts.

    Returns:
        float64 (P, K), 0 for genomes with the same edges, weights and time constants.

    Departs from:
        Stanley and Miikkulainen (2002): excess and disjoint genes count alike, and weights in their natural unit.
    """
    columns = np.unique(np.concatenate([genome.edge_id for genome in (*genomes, *others)]))
    mine, theirs = _table(genomes, columns), _table(others, columns)
    result_PK = np.empty((len(genomes), len(others)))
    for k in range(len(others)):
        there_U, weight_U, tau_A = (part[k] for part in theirs)
        there_PU, weight_PU, tau_PA = mine
        both_PU = there_PU & there_U
        shared_P = both_PU.sum(1)
        mine_P, other = there_PU.sum(1), there_U.sum()
        disjoint_P = (mine_P + other - 2 * shared_P) / np.maximum(np.maximum(mine_P, other), 1)
        apart_P = (np.tanh(np.abs(weight_PU - weight_U)) * both_PU).sum(1) / np.maximum(shared_P, 1)
        tau_P = np.abs(tau_PA - tau_A).mean(1)
        result_PK[:, k] = config.disjoint * disjoint_P + config.weights * apart_P + config.neurons * tau_P
    return result_PK


def _table(genomes: Sequence[Genome], columns_U: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    there_PU = np.zeros((len(genomes), len(columns_U)), bool)
    weight_PU = np.zeros(there_PU.shape, np.float32)
    taus = []
    for i, genome in enumerate(genomes):
        at = np.searchsorted(columns_U, genome.edge_id)
        there_PU[i, at] = True
        weight_PU[i, at] = genome.weight / edge_unit(genome)
        a = genome.n_outputs
        taus.append(np.concatenate([np.log(genome.tau_m[:a]), np.log(genome.tau_s[:a])]))
    return there_PU, weight_PU, np.stack(taus)


def speciate(
    genomes: Sequence[Genome], former: Sequence[Species], threshold: float, next_number: int, config: SpeciationConfig
) -> tuple[list[Species], float]:
    """Put each genome into the first species whose representative is near, or found a new one.

    The representative of a species is a member of the generation before. The threshold moves towards the wanted number
    of species, threshold <- threshold (number / wanted)^0.1, and rests where the number is the wanted one.

    Args:
        genomes: the generation, P >= 1.
        former: the species of the generation before, with their representatives.
        threshold: distance below which genomes are of one species, > 0.
        next_number: number of the next species that is founded.
        config: the wanted number, and the weights of the distance.

    Returns:
        The species that have members, in order of number, and the next threshold.
    """
    species = [Species(s.number, s.representative, [], s.best, s.best_generation) for s in former]
    home_P = np.full(len(genomes), -1)
    if config.species == 1:
        species = species[:1] or [Species(next_number, genomes[0])]
        home_P[:] = 0
    elif species:
        near_PK = distances(genomes, [s.representative for s in species], config) < threshold
        home_P = np.where(near_PK.any(1), near_PK.argmax(1), -1)
    while (home_P < 0).any():
        left = np.nonzero(home_P < 0)[0].tolist()
        founder = genomes[left[0]]
        near = distances([genomes[i] for i in left], [founder], config)[:, 0] < threshold
        near[0] = True
        if len(species) >= 2 * config.species:  # the threshold is far too low: the rest goes to the nearest
            rest = distances([genomes[i] for i in left], [s.representative for s in species], config)
            home_P[left] = rest.argmin(1)
            break
        species.append(Species(next_number + len(species) - len(former), founder))
        home_P[np.array(left)[near]] = len(species) - 1
    for i, home in enumerate(home_P):
        species[home].members.append(i)
    species = [s for s in species if s.members]
    threshold *= (len(species) / config.species) ** DAMPING
    return species, float(np.clip(threshold, 1e-3, 1e3))


def note_leaders(species: Sequence[Species], genomes: Sequence[Genome], fitness_P: np.ndarray, generation: int) -> None:
    """Make the best member of each species its representative, and note whether it is better than ever.

    Args:
        species: what `speciate` gave; changed in place.
        genomes: the generation, P genomes.
        fitness_P: their fitness, (P,).
        generation: its number.
    """
    for one in species:
        leader = max(one.members, key=lambda i: (fitness_P[i], -i))
        one.representative = genomes[leader]
        if fitness_P[leader] > one.best:
            one.best, one.best_generation = float(fitness_P[leader]), generation
