"""What an action of `evosnn/Steer-v0` means for an evolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evosnn.evolution_config import EvolutionConfig

LEAST_RATE, GREATEST_RATE = 1e-6, 1e2  # of learning: beyond these no action moves it
ACTIONS = ("mutation rate", "mutation size", "growth", "pruning", "plasticity rates", "selection pressure")
DRIFT = 1.5


def steering(config: EvolutionConfig, action: NDArray[np.float64]) -> dict[str, float | int]:
    """The settings that an action asks for, as `Evolution.adjust` takes them.

    Each entry scales what the configuration says; 0 leaves it as it is:

        mutation rate       weight_share 2^a
        mutation size       weight_size 4^a
        growth              add_edge, add_neuron and duplicate 4^a
        pruning             remove_edge 4^a, and prune_below 0.3 a where a > 0
        plasticity rates    plasticity_drift 1.5 a: the learning rates of all children grow by e^(1.5 a)
        selection pressure  survival 3^-a, tournament 2^a, and species 2^-a, in which there is less shelter

    Args:
        config: the configuration at the start.
        action: in [-1, 1], (6,).
    """
    rate, size, growth, pruning, plasticity, pressure = (float(a) for a in np.clip(action, -1, 1))
    mutation, selection = config.mutation, config.selection

    def share(base: float, factor: float) -> float:
        return min(1.0, base * factor)

    return {
        "weight_share": share(mutation.weight_share, 2**rate),
        "weight_size": mutation.weight_size * 4**size,
        "add_edge": share(mutation.add_edge, 4**growth),
        "add_neuron": share(mutation.add_neuron, 4**growth),
        "duplicate": share(mutation.duplicate, 4**growth),
        "remove_edge": share(mutation.remove_edge, 4**pruning),
        "prune_below": mutation.prune_below + 0.3 * max(pruning, 0.0),
        "plasticity_drift": mutation.plasticity_drift + DRIFT * plasticity,
        "survival": share(selection.survival, 3**-pressure),
        "tournament": max(1, round(selection.tournament * 2**pressure)),
        "species": max(1, round(config.speciation.species * 2**-pressure)),
    }
