"""Exponential decay over whole steps, looked up: the same bits in every kernel, which no two `exp` promise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FINE = 1024
"""Steps of the fine half of a table; a power of two."""
_GONE = 45.0
"""Time constants after which a decay counts as 0: exp(-45) is 3e-20."""


class DecayTable(NamedTuple):
    """exp(-k h / tau) = fine[k mod 1024] coarse[k div 1024], 0 beyond the end of the table.

    Attributes:
        fine: exp(-k h / tau) for k < 1024.
        coarse: exp(-1024 k h / tau); the last entry is 0.
    """

    fine: np.ndarray
    coarse: np.ndarray


def decay_table(tau: float, step: float, dtype: type[np.floating] = np.float64) -> DecayTable:
    """Tabulate exp(-k h / tau).

    Args:
        tau: time constant in ms, >= 0; 0 decays at once.
        step: h in ms, > 0.
        dtype: float32 or float64.

    Raises:
        ValueError: more than 10^9 steps in a time constant.
    """
    if tau == 0:
        return DecayTable(np.zeros(FINE, dtype), np.zeros(1, dtype))
    if tau > 1e9 * step:
        raise ValueError(f"tau: at most 10^9 steps of {step} ms, got {tau} ms")
    blocks = int(np.ceil(_GONE * tau / step / FINE))
    fine = np.exp(-np.arange(FINE) * (step / tau))
    coarse = np.append(np.exp(-np.arange(blocks) * (FINE * step / tau)), 0.0)
    return DecayTable(fine.astype(dtype), coarse.astype(dtype))


def decayed(table: DecayTable, steps: np.ndarray | int) -> np.ndarray:
    """What is left after so many steps.

    Args:
        table: of `decay_table`.
        steps: k >= 0, any shape.

    Returns:
        exp(-k h / tau), in the type of the table.
    """
    steps = np.asarray(steps)
    return table.fine[steps % FINE] * table.coarse[np.minimum(steps // FINE, len(table.coarse) - 1)]
