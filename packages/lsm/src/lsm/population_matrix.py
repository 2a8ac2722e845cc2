"""The mean connection matrix of populations, and its spectral radius.

Legend: P populations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsm.distributions import Constant, Distribution, Listed, Normal
from lsm.network import Network


def mean_input_matrix(network: Network) -> NDArray[np.float64]:
    """What a spike of every neuron of a population brings to a neuron of another, in the mean.

        M[target, source] = sum over projections of in-degree * mean weight

    Args:
        network: built or not; nothing is drawn.

    Returns:
        float64, (P, P), in the unit of the targets' weights, populations in the network's order; the rows of inputs
        are 0. Of a normal distribution the mean is taken as it is without its bounds, of synapses that learn the
        weight at the start.
    """
    matrix_PP = np.zeros((len(network.populations), len(network.populations)))
    for projection in network.projections:
        indegree = projection.rule.expected(projection.pair(network.seed)) / projection.post.n
        matrix_PP[projection.post.index, projection.pre.index] += indegree * _mean(projection.weight)
    return matrix_PP


def spectral_radius(mean_PP: ArrayLike) -> float:
    """Greatest absolute eigenvalue of a matrix.

    Args:
        mean_PP: [target, source]: mean effect of a source population on a neuron of the target, for example that of
            `mean_input_matrix`, or in-degree times weight times the gain of a neuron.

    Returns:
        >= 0; of a matrix of gains: at 1 the mean activity neither dies out nor grows.

    Raises:
        ValueError: the matrix is not square or not finite.
    """
    matrix_PP = np.asarray(mean_PP, np.float64)
    if matrix_PP.ndim != 2 or matrix_PP.shape[0] != matrix_PP.shape[1] or not np.isfinite(matrix_PP).all():
        raise ValueError(f"spectral_radius: needs a finite square matrix, got shape {matrix_PP.shape}")
    return float(np.abs(np.linalg.eigvals(matrix_PP)).max(initial=0.0))


def _mean(weight: Distribution) -> float:
    if isinstance(weight, Constant):
        return weight.value
    if isinstance(weight, Listed):
        return float(weight.table.mean()) if len(weight.table) else 0.0
    return weight.mean if isinstance(weight, Normal) else (weight.low + weight.high) / 2
