"""What a liquid can tell apart, and what it takes for the same.

Legend: I inputs, F features.
"""

from __future__ import annotations

import numpy as np


def state_rank(states_IF: np.ndarray, *, tolerance: float = 1e-2) -> int:
    """Number of directions that the states of several inputs span.

    Of states of inputs that differ altogether it is the kernel rank (quality of separation: the greater the better), of
    states of noisy versions of one input the generalisation rank (the smaller the better).

    Args:
        states_IF: one state an input, (I, F).
        tolerance: singular values below this share of the greatest do not count, in (0, 1).

    Returns:
        0 to min(I, F).

    Raises:
        ValueError: states are not finite or not (I, F), or the tolerance is out of its range.

    References:
        Legenstein, Maass (2007), Edge of chaos and prediction of computational performance for neural circuit models,
        Neural Networks 20(3), section 3.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"state_rank: tolerance must lie in (0, 1), got {tolerance}")
    if np.ndim(states_IF) != 2 or not np.isfinite(states_IF).all():
        raise ValueError(f"state_rank: needs finite states (I, F), got shape {np.shape(states_IF)}")
    values = np.linalg.svd(np.asarray(states_IF, np.float64), compute_uv=False)
    return int((values > tolerance * values[0]).sum()) if len(values) and values[0] > 0 else 0


def separation(states_IF: np.ndarray, labels_I: np.ndarray) -> float:
    """Mean distance between the centres of classes, over one plus the mean scatter within them.

        d / (v + 1),   d = mean over pairs of |mu_a - mu_b|,   v = mean over classes of the mean of |x - mu|

    Args:
        states_IF: states, (I, F).
        labels_I: class of each, (I,), at least two classes.

    References:
        Norton, Ventura (2010), Improving liquid state machines through iterative refinement of the reservoir,
        Neurocomputing 73, section 3.
    """
    states_IF, labels_I = np.asarray(states_IF, np.float64), np.asarray(labels_I)
    if states_IF.ndim != 2 or labels_I.shape != (len(states_IF),):
        raise ValueError(f"separation: needs a label for each state, got {states_IF.shape} and {labels_I.shape}")
    names = np.unique(labels_I)
    if len(names) < 2:
        raise ValueError(f"separation: needs at least two classes, got {len(names)}")
    centres_KF = np.stack([states_IF[labels_I == name].mean(0) for name in names])
    between = np.sqrt(((centres_KF[:, None] - centres_KF) ** 2).sum(-1))[np.triu_indices(len(names), 1)].mean()
    within = np.mean(
        [np.sqrt(((states_IF[labels_I == n] - c) ** 2).sum(1)).mean() for n, c in zip(names, centres_KF, strict=True)]
    )
    return float(between / (within + 1))
