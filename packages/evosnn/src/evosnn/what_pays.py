"""What the fitness of a generation goes with: hints for who steers.

Axes: P individuals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evosnn.genome import Genome


def rank_correlation(x_P: np.ndarray, y_P: np.ndarray) -> float:
    """Spearman's rank correlation, equals at their mean rank; 0 where one of the two does not vary.

    Args:
        x_P: finite, (P,).
        y_P: finite, (P,).

    Returns:
        In [-1, 1].
    """
    x, y = (_ranks(values) for values in (x_P, y_P))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / spread, -1.0, 1.0)) if spread else 0.0


def _ranks(values_P: np.ndarray) -> np.ndarray:
    """Ranks less their mean."""
    _, level_P, counts = np.unique(values_P, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return middle[level_P] - middle[level_P].mean()


def what_pays(genomes: Sequence[Genome], fitness_P: np.ndarray, median_before: float | None) -> dict[str, float]:
    """What the fitness of a generation goes with.

    Args:
        genomes: the generation, P.
        fitness_P: fitness, (P,).
        median_before: median fitness of the generation before; None for the first.

    Returns:
        learning_pays and size_pays: rank correlations of the fitness with the learning rates (their sum) and with the
        number of enabled edges; success: share of the generation above the median of the one before, one half in the
        first.
    """
    rate_P = np.array([abs(genome.rule.direct) + abs(genome.rule.reward) for genome in genomes])
    edges_P = np.array([genome.n_enabled for genome in genomes])
    return {
        "learning_pays": rank_correlation(fitness_P, rate_P),
        "size_pays": rank_correlation(fitness_P, edges_P),
        "success": 0.5 if median_before is None else float((fitness_P > median_before).mean()),
    }
