"""Connections between neurons in space: near ones are likelier, and how likely depends on their kinds.

Axes: N neurons, M sources, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BASE_PROBABILITY: Mapping[tuple[bool, bool], float] = {
    (True, True): 0.3,  # E to E
    (True, False): 0.2,  # E to I
    (False, True): 0.4,  # I to E
    (False, False): 0.1,  # I to I
}
REACH = 2.0


def pairwise_distance(source_M3: np.ndarray, target_N3: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs, float64 (M, N)."""
    difference = source_M3[:, None].astype(np.float64) - target_N3[None]
    return np.sqrt((difference**2).sum(-1))


def connection_probability(
    distance_MN: np.ndarray,
    excitatory_source_M: np.ndarray,
    excitatory_target_N: np.ndarray,
    *,
    reach: float = REACH,
    base: Mapping[tuple[bool, bool], float] = BASE_PROBABILITY,
) -> np.ndarray:
    """Probability that a neuron connects to another.

        P(D) = C exp(-(D / reach)^2),   C by the kinds of source and target

    Args:
        distance_MN: D, in units of the mean spacing, >= 0.
        excitatory_source_M: kind of each source, bool.
        excitatory_target_N: kind of each target, bool.
        reach: lambda, > 0.
        base: C of (source is excitatory, target is excitatory), in [0, 1].

    Returns:
        Probabilities, float64 (M, N).

    Raises:
        ValueError: reach is not positive, or a base probability is not in [0, 1].

    References:
        Maass, Natschlaeger, Markram (2002), Real-time computing without stable states, Neural Computation 14(11).
    """
    if not reach > 0:
        raise ValueError(f"connection_probability: reach must be > 0, got {reach}")
    if not all(0 <= value <= 1 for value in base.values()):
        raise ValueError(f"connection_probability: base must lie in [0, 1], got {dict(base)}")
    table = np.array([[base[source, target] for target in (False, True)] for source in (False, True)])
    kinds_MN = table[np.asarray(excitatory_source_M, np.intp)[:, None], np.asarray(excitatory_target_N, np.intp)]
    return kinds_MN * np.exp(-((distance_MN / reach) ** 2))


def sample_connections(
    position_N3: np.ndarray,
    excitatory_N: np.ndarray,
    rng: np.random.Generator,
    *,
    reach: float = REACH,
    base: Mapping[tuple[bool, bool], float] = BASE_PROBABILITY,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the connections among neurons, each pair by itself; no neuron connects to itself.

    Args:
        position_N3: places in space.
        excitatory_N: kinds, bool.
        rng: what draws.
        reach: as in `connection_probability`.
        base: as in `connection_probability`.

    Returns:
        Sources and targets, int64 (E,) each, in the order of the sources.
    """
    distance_NN = pairwise_distance(position_N3, position_N3)
    probability_NN = connection_probability(distance_NN, excitatory_N, excitatory_N, reach=reach, base=base)
    np.fill_diagonal(probability_NN, 0.0)
    source_E, target_E = np.nonzero(rng.random(probability_NN.shape) < probability_NN)
    return source_E, target_E
