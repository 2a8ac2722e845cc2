"""What a generation looks like in a few figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evosnn.evolution_config import SpeciationConfig
from evosnn.genome import Genome
from evosnn.speciation import Species, distances

DIVERSITY_SAMPLE = 16


def population_statistics(
    genomes: Sequence[Genome],
    fitness_P: np.ndarray,
    species: Sequence[Species],
    rate_P: np.ndarray,
    config: SpeciationConfig,
) -> dict[str, float]:
    """Figures of one generation: plain numbers without a clock, so that equal runs give equal ones.

    Args:
        genomes: the generation, P.
        fitness_P: fitness, (P,).
        species: its species.
        rate_P: mean firing rates in Hz, (P,); NaN where unknown.
        config: what the distance between genomes weighs.

    Returns:
        best, mean, std, q10, q25, median, q75, q90 of the fitness; diversity (mean distance of up to 16 evenly spaced
        individuals); species; neurons, edges (means of what is enabled), most_neurons; rate (Hz; 0 where unknown);
        direct, reward (mean learning rates).
    """
    quantiles = np.quantile(fitness_P, [0.1, 0.25, 0.5, 0.75, 0.9])
    sample = [genomes[i] for i in np.unique(np.linspace(0, len(genomes) - 1, DIVERSITY_SAMPLE).astype(int))]
    pairs = len(sample) * (len(sample) - 1)
    known = rate_P[np.isfinite(rate_P)]
    return {
        "best": float(fitness_P.max()),
        "mean": float(fitness_P.mean()),
        "std": float(fitness_P.std()),
        **dict(zip(("q10", "q25", "median", "q75", "q90"), map(float, quantiles), strict=True)),
        "diversity": float(distances(sample, sample, config).sum() / pairs) if pairs else 0.0,
        "species": float(len(species)),
        "neurons": float(np.mean([genome.n_neurons for genome in genomes])),
        "most_neurons": float(max(genome.n_neurons for genome in genomes)),
        "edges": float(np.mean([genome.n_enabled for genome in genomes])),
        "rate": float(known.mean()) if len(known) else 0.0,
        "direct": float(np.mean([genome.rule.direct for genome in genomes])),
        "reward": float(np.mean([genome.rule.reward for genome in genomes])),
    }
