"""Opponent afferents: the positive and the negative part of one observation value.

Axes: C afferents, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def opponent_offset(n_afferents: int, metadata: Mapping[str, Any]) -> int:
    """How far an afferent's opponent is from it: C / 2 in the "rate" encoding, whose first half is of positive parts.

    Args:
        n_afferents: afferents C.
        metadata: of the genome; its encoder says what the afferents are.

    Returns:
        C / 2, or 0 where afferents have no opponents.
    """
    encoder = metadata.get("encoder")
    rate = isinstance(encoder, Mapping) and encoder.get("kind") == "rate"
    return n_afferents // 2 if rate and n_afferents % 2 == 0 else 0


def opponent_edges(source_E: np.ndarray, target_E: np.ndarray, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of edges from two opponent afferents to one neuron.

    Args:
        source_E: sources, (E,).
        target_E: targets, (E,).
        offset: as `opponent_offset` gives it.

    Returns:
        Indices of the edges of positive parts and of their opponents, int64, of one length.
    """
    if not offset:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    n = int(target_E.max(initial=0)) + 1
    key_E = source_E.astype(np.int64) * n + target_E
    positive = np.nonzero(source_E < offset)[0]
    negative = np.nonzero((source_E >= offset) & (source_E < 2 * offset))[0]
    _, at, opposite = np.intersect1d(key_E[positive], key_E[negative] - offset * n, return_indices=True)
    return positive[at], negative[opposite]
