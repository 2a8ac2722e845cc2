"""Does one moved spike die out or spread?

Legend: A instants, F features.
"""

from __future__ import annotations

import numpy as np


def divergence_rate(first_AF: np.ndarray, second_AF: np.ndarray, at_A: np.ndarray) -> float:
    """Exponent with which two runs drift apart that differ by one moved spike.

        |x(t) - x'(t)| ~ exp(lambda t):   lambda = slope of log |x - x'| over t, by least squares

    Instants at which the two agree exactly are left out; where they agree at the last instant the difference has died
    out, and lambda is -inf.

    Args:
        first_AF: states of the run as it is, (A, F).
        second_AF: states of the run with one spike moved.
        at_A: instants in ms.

    Returns:
        lambda in 1/s: below 0 the liquid forgets, above 0 it is chaotic.

    References:
        Legenstein, Maass (2007), Neural Networks 20(3), section 2: the estimate of the Lyapunov exponent.
    """
    first_AF, second_AF = np.asarray(first_AF, np.float64), np.asarray(second_AF, np.float64)
    if first_AF.shape != second_AF.shape or len(first_AF) != len(at_A) or len(at_A) < 2:
        raise ValueError(f"divergence_rate: shapes {first_AF.shape}, {second_AF.shape} and {np.shape(at_A)} do not fit")
    distance_A = np.sqrt(((first_AF - second_AF) ** 2).sum(1))
    apart_A = distance_A > 0
    if not apart_A[-1] or apart_A.sum() < 2:
        return -np.inf
    return 1000.0 * float(np.polyfit(np.asarray(at_A, np.float64)[apart_A], np.log(distance_A[apart_A]), 1)[0])


def moved_spike(times_S: np.ndarray, *, which: int, by: float) -> np.ndarray:
    """The same spike times with one of them moved by some ms."""
    moved_S = np.array(times_S, np.float64)
    moved_S[which] += by
    return moved_S
