"""Centroids of binary codes."""

from __future__ import annotations

import numpy as np
import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

ITERATIONS = 10
CODES_A_LIST = 64  # more of them hardly move the centroids
BYTES_AT_ONCE = 8


def nearest_centroids(packed: Tensor, centroids: Tensor) -> Tensor:
    """The centroid at the smallest Hamming distance; of equally near ones the first.

    Args:
        packed: codes, uint8, (N, bytes).
        centroids: codes of the same width, (L, bytes), at least one.

    Returns:
        int64, (N,), in [0, L).
    """
    import faiss

    if not len(packed):
        return torch.zeros(0, dtype=torch.int64)
    _, nearest = faiss.knn_hamming(packed.contiguous().numpy(), centroids.contiguous().numpy(), 1)
    return torch.from_numpy(nearest[:, 0].copy())


def k_majority(packed: Tensor, n_lists: int, *, seed: int) -> Tensor:
    """Centroids whose every bit is the one that most of their codes have.

    As in k-means, in Hamming space: codes go to the nearest centroid; each centroid's bit becomes the majority's, and
    stays as it was where the votes are equal. Ten rounds, or until nothing moves, over at most 64 codes a list. Counts
    are integers, so the result does not depend on the number of threads. A list that nothing is near keeps its
    centroid.

    Args:
        packed: codes, uint8, (N, bytes), N >= n_lists.
        n_lists: how many centroids, >= 1.
        seed: keys the draw of the sample and of the first centroids.

    Returns:
        uint8, (n_lists, bytes).

    References:
        Grana, Borghesani, Manfredi, Cucchiara (2013), Proc. SPIE 8655, "A fast approach for integrating ORB
        descriptors in the bag of words model", section 2.2.
    """
    assert len(packed) >= n_lists >= 1
    order = torch.randperm(len(packed), generator=keyed_generator(seed, "ivf centroids"))
    centroids = packed[order[:n_lists]]
    sample = packed[order[: n_lists * CODES_A_LIST].sort().values]
    for _ in range(ITERATIONS):
        moved = _majority(sample, nearest_centroids(sample, centroids), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _majority(packed: Tensor, lists_N: Tensor, centroids: Tensor) -> Tensor:
    """Centroids by majority of the codes in each list."""
    lists, order = lists_N.sort(stable=True)
    filled, sizes = torch.unique_consecutive(lists, return_counts=True)
    starts = (sizes.cumsum(0) - sizes).numpy()
    moved = centroids.clone()
    for first in range(0, packed.shape[1], BYTES_AT_ONCE):
        part = slice(first, first + BYTES_AT_ONCE)
        bits_NB = np.unpackbits(packed[order, part].numpy(), axis=1, bitorder="little")
        before_LB = np.unpackbits(centroids[filled, part].numpy(), axis=1, bitorder="little")
        votes_LB = 2 * np.add.reduceat(bits_NB, starts, axis=0, dtype=np.int64) - sizes.numpy()[:, None]
        after_LB = np.where(votes_LB == 0, before_LB, votes_LB > 0).astype(np.uint8)
        moved[filled, part] = torch.from_numpy(np.packbits(after_LB, axis=1, bitorder="little"))
    return moved
