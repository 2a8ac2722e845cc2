"""State of an evolution as arrays, for checkpoints from which it goes on exactly.

Axes: P genomes; arrays of all genomes are joined, with the number of neurons and edges of each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evosnn.champions import Champion, Champions
from evosnn.genome import ARRAYS, NEURON_ARRAYS, Genome, genome_from_state, genome_state
from evosnn.speciation import Species


class EvolutionStateError(ValueError):
    """A checkpoint that is not one of an evolution, or not of this one; the message says what differs."""


def pack_genomes(genomes: Sequence[Genome]) -> dict[str, Any]:
    """Many genomes as a few arrays.

    Returns:
        The arrays of all genomes joined, `n_neurons` and `n_edges` int64 (P,), and one JSON text a genome.
    """
    return {
        "n_neurons": np.array([genome.n_neurons for genome in genomes], np.int64),
        "n_edges": np.array([genome.n_edges for genome in genomes], np.int64),
        "facts": [json.dumps(genome_state(genome)["facts"], sort_keys=True) for genome in genomes],
        "arrays": {
            name: np.concatenate([getattr(genome, name) for genome in genomes])
            if genomes
            else np.empty((0, 3) if name == "position" else 0, dtype)
            for name, dtype in ARRAYS.items()
        },
    }


def unpack_genomes(packed: Mapping[str, Any]) -> list[Genome]:
    """The genomes that `pack_genomes` joined.

    Raises:
        EvolutionStateError: something is missing, or is no genome.
    """
    try:
        neurons = np.concatenate([[0], np.cumsum(packed["n_neurons"])])
        edges = np.concatenate([[0], np.cumsum(packed["n_edges"])])
        genomes = []
        for i, facts in enumerate(packed["facts"]):
            cut = {
                name: array[slice(*(neurons if name in NEURON_ARRAYS else edges)[i : i + 2])]
                for name, array in packed["arrays"].items()
            }
            genomes.append(genome_from_state(cut | {"facts": json.loads(facts)}))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvolutionStateError(f"checkpoint: not the genomes of an evolution: {error}") from error
    return genomes


def pack_species(species: Sequence[Species]) -> dict[str, Any]:
    """Species without their members, which the next generation decides."""
    return {
        "numbers": [one.number for one in species],
        "best": [float(one.best) for one in species],
        "best_generation": [one.best_generation for one in species],
        "representatives": pack_genomes([one.representative for one in species]),
    }


def unpack_species(packed: Mapping[str, Any]) -> list[Species]:
    """What `pack_species` gave, as species without members.

    Raises:
        EvolutionStateError: something is missing.
    """
    try:
        columns = (packed["numbers"], unpack_genomes(packed["representatives"]), packed["best"])
        return [
            Species(number, genome, [], best, when)
            for number, genome, best, when in zip(*columns, packed["best_generation"], strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise EvolutionStateError(f"checkpoint: not the species of an evolution: {error}") from error


def pack_champions(champions: Champions) -> dict[str, Any]:
    """Champions as arrays and plain values, the holder last."""
    everyone = [*champions.standing, *([champions.holder] if champions.holder else [])]
    return {
        "genomes": pack_genomes([one.genome for one in everyone]),
        "facts": [[one.score, one.generation, one.episodes] for one in everyone],
        "proven": champions.proven,
    }


def unpack_champions(packed: Mapping[str, Any]) -> Champions:
    """What `pack_champions` gave.

    Raises:
        EvolutionStateError: something is missing.
    """
    try:
        facts = zip(unpack_genomes(packed["genomes"]), packed["facts"], strict=True)
        everyone = [Champion(genome, *fact) for genome, fact in facts]
        proven = packed["proven"]
        return Champions(everyone) if proven is None else Champions(everyone[:-1], everyone[-1], proven)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EvolutionStateError(f"checkpoint: not the champions of an evolution: {error}") from error


def check_identity(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Raise an EvolutionStateError that names what a state and this run do not share."""
    for name, value in own.items():
        if state.get(name) != value:
            raise EvolutionStateError(
                f"checkpoint: {name} is {state.get(name, 'missing')}, this run has {value}; go on with the same "
                "arguments, or use another folder"
            )
