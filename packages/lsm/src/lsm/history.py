"""The spikes of the last steps, which are still to arrive."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm.kernels import history
from lsm.kernels.arrays import SpikeArrays
from lsm.layout import Layout
from lsm.network import Network

CHUNK_STEPS = 256  # steps that a call of the kernel takes where that costs little memory
_MOST_ENTRIES = 1 << 26


def empty_history(layout: Layout, least_steps: int) -> SpikeArrays:
    """Make a history without spikes.

    Args:
        layout: partitions and populations.
        least_steps: that it must hold.

    Returns:
        The arrays. Memory for ids is taken up only where spikes are written.
    """
    n_partitions, most = layout.n_partitions, layout.most_local
    n_slots = max(least_steps, min(CHUNK_STEPS, _MOST_ENTRIES // (n_partitions * most)))
    return SpikeArrays(
        np.zeros((n_slots, n_partitions, len(layout.sizes) + 1), np.int32),
        np.empty((n_slots, n_partitions, most), np.int32),
    )


def chunk_spikes(
    spikes: SpikeArrays, network: Network, since: int, n_steps: int, kept_G: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Read the spikes of the last steps.

    Args:
        spikes: the history.
        network: its populations.
        since: first step.
        n_steps: number of steps, all still in the history.
        kept_G: populations whose spikes are listed, bool, (G,).

    Returns:
        Spikes of each population, (G,); step from `since` on and global id of those listed, sorted by both.
    """
    first_G = np.array([population.first for population in network.populations], np.int64)
    slot_T = np.arange(since, since + n_steps) % len(spikes.start_WPG)
    count_G = np.diff(spikes.start_WPG[slot_T], axis=2).sum(axis=(0, 1), dtype=np.int64)
    n = int(count_G[kept_G].sum())
    step_n, id_n = np.empty(n, np.int64), np.empty(n, np.int64)
    if n:
        history.collect(spikes.start_WPG, spikes.id_WPN, slot_T, first_G, kept_G, step_n, id_n)
    return count_G, step_n, id_n
