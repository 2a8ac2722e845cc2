"""Neurons in columns, and wiring of neurons to those near their own place in a column.

Legend: N neurons, S sources, T targets, E synapses. Places are (x, y, z): x counts columns, y in [0, 1) runs within a
column, z is depth.
"""

from __future__ import annotations

import numpy as np

from lsm.explicit import Explicit

COLUMN_WIDTH = 0.4


def column_places(n: int, columns: int, depth: float, rng: np.random.Generator) -> np.ndarray:
    """Places of neurons that are dealt evenly to columns, column by column.

    Args:
        n: neurons.
        columns: in a row; column c lies around x = c + 0.5.
        depth: z.
        rng: what draws.

    Returns:
        float64, (n, 3).
    """
    column_N = np.arange(n) * columns // n
    return np.column_stack(
        [column_N + 0.5 + COLUMN_WIDTH * (rng.random(n) - 0.5), rng.random(n), np.full(n, float(depth))]
    )


def column_of(places_N3: np.ndarray) -> np.ndarray:
    """Column of each place, int64 (N,)."""
    return np.floor(places_N3[:, 0]).astype(np.int64)


def near_in_column(
    sources_S3: np.ndarray,
    targets_T3: np.ndarray,
    k: int,
    sigma: float | None,
    rng: np.random.Generator,
    *,
    back: int | None = 0,
) -> Explicit:
    """Each target draws k sources in one column near its own y.

    The y of a source is drawn from a normal distribution around the target's, mirrored at 0 and 1, and the source next
    to it is taken.

    Args:
        sources_S3: places of the sources.
        targets_T3: places of the targets.
        k: synapses a target.
        sigma: standard deviation of y; None takes any source of the column.
        rng: what draws.
        back: the sources' column is the target's less this; None takes sources from all columns alike. Targets without
            such a column get no synapse.

    Returns:
        The rule.
    """
    columns_S, columns_T = column_of(sources_S3), column_of(targets_T3)
    sources, targets = [], []
    for column in np.unique(columns_T):
        of_T = np.flatnonzero(columns_T == column)
        of_S = np.arange(len(sources_S3)) if back is None else np.flatnonzero(columns_S == column - back)
        if not len(of_S) or not k:
            continue
        if sigma is None:
            drawn = of_S[rng.integers(0, len(of_S), (len(of_T), k))]
        else:
            of_S = of_S[np.argsort(sources_S3[of_S, 1], kind="stable")]
            y_Tk = np.abs(targets_T3[of_T, 1][:, None] + rng.normal(0, sigma, (len(of_T), k))) % 2
            y_Tk = np.where(y_Tk > 1, 2 - y_Tk, y_Tk)
            drawn = of_S[_nearest(sources_S3[of_S, 1], y_Tk)]
        sources.append(drawn.ravel())
        targets.append(np.repeat(of_T, k))
    if not sources:
        return Explicit(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Explicit(np.concatenate(sources), np.concatenate(targets))


def _nearest(rising: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index of the nearest of some rising numbers."""
    right = np.clip(np.searchsorted(rising, values), 1, max(1, len(rising) - 1))
    if len(rising) == 1:
        return np.zeros(values.shape, np.int64)
    return np.where(values - rising[right - 1] <= rising[right] - values, right - 1, right)
