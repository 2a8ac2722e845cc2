"""Spectral radius of the mean connection matrix of populations.

Legend: P populations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def spectral_radius(mean_PP: ArrayLike) -> float:
    """Greatest absolute eigenvalue of a matrix.

    Args:
        mean_PP: [target, source]: mean effect of a source population on a neuron of the target, for example in-degree
            times weight (mV), or in-degree times weight times the gain of a neuron.

    Returns:
        >= 0; of a matrix of gains: at 1 the mean activity neither dies out nor grows.
    """
    matrix_PP = np.asarray(mean_PP, np.float64)
    if matrix_PP.ndim != 2 or matrix_PP.shape[0] != matrix_PP.shape[1] or not np.isfinite(matrix_PP).all():
        raise ValueError(f"spectral_radius: needs a finite square matrix, got shape {matrix_PP.shape}")
    return float(np.abs(np.linalg.eigvals(matrix_PP)).max(initial=0.0))
