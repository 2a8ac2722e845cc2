"""Other ways to the same number of bytes: rotations and signs, ITQ, product quantization, RaBitQ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import faiss
import numpy as np
import torch
from binemb import BinaryCodes, stacked_rotations
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks import codec_peers

PRODUCT_SETTINGS = 2  # of PQ that are tried at a size


def random_signs(x_ND: Tensor, n_bits: int, seed: int) -> BinaryCodes:
    """Signs of stacked random rotations."""
    return BinaryCodes.from_signs(x_ND @ stacked_rotations(x_ND.shape[1], n_bits, seed=seed).T)


def itq_signs(x_ND: Tensor, n_bits: int, seed: int) -> BinaryCodes:
    """faiss's ITQ: on as many principal components as bits; beyond the dimensions, of several rotated starts."""
    x, dim = x_ND.numpy(), x_ND.shape[1]
    parts = []
    for block in range(math.ceil(n_bits / dim)):
        rows = stacked_rotations(dim, dim, seed=seed * 100 + block).numpy()  # each block starts elsewhere
        if n_bits <= dim:
            itq = faiss.ITQTransform(dim, n_bits, True)
            itq.itq.seed = 123 + seed
            itq.train(x)
            parts.append(torch.from_numpy(itq.apply(x)))
        else:
            itq = faiss.ITQMatrix(dim)
            itq.seed = 123 + seed * 100 + block
            itq.train(x @ rows.T)
            parts.append(torch.from_numpy(itq.apply(x @ rows.T)))
    return BinaryCodes.from_signs(torch.cat(parts, dim=1)[:, :n_bits])


def product_sizes(x_ND: Tensor, n_bytes: int) -> list[tuple[int, int]]:
    """Parts and bits a symbol of PQ, those first that use the bytes best.

    Parts divide the dimensions, so that none of them is padding; symbols have 4 to 10 bits.
    """
    n, dim = x_ND.shape
    most = min(10, n.bit_length() - 1)  # not more centroids than vectors
    sizes = [(parts, min(most, 8 * n_bytes // parts)) for parts in range(1, dim + 1) if dim % parts == 0]
    return sorted((size for size in sizes if size[1] >= 4), key=lambda size: -size[0] * size[1])[:PRODUCT_SETTINGS]


def product_decoded(
    x_ND: Tensor, sizes: Sequence[tuple[int, int]], seeds: Sequence[int], *, rotated: bool = False
) -> Iterator[Tensor]:
    """PQ or OPQ, decoded, for each seed: of the sizes the one of least error with the first seed."""

    def decoded(size: tuple[int, int], seed: int) -> Tensor:
        peer = codec_peers.product(x_ND.shape[1], *size, rotated=rotated, seed=seed)
        return torch.from_numpy(codec_peers.run(peer, x_ND.numpy(), x_ND[:1].numpy()).vocabulary).float()

    tried = [(decoded(size, seeds[0]), size) for size in sizes]
    first, best = min(tried, key=lambda found: float((found[0] - x_ND).square().sum()))
    yield first
    yield from (decoded(best, seed) for seed in seeds[1:])


def rabitq_recalls(x_ND: Tensor, n_bytes: int, queries: Tensor, right: Tensor) -> Tensor | None:
    """Recall of each query by RaBitQ's own estimate of distances, of the best setting that fits; None if none does.

    Args:
        x_ND: unit vectors.
        n_bytes: bytes a vector, its factors counted.
        queries: rows asked for.
        right: their exact neighbours, (Q, k).
    """
    x, dim = x_ND.numpy(), x_ND.shape[1]
    best: Tensor | None = None
    for n_bits in range(1, 9):
        for kept in sorted({dim, min(dim, 8 * (n_bytes - 8) // n_bits)}):
            if kept < 8 or _rabitq_bytes(kept, n_bits) > n_bytes:
                continue
            pca = faiss.PCAMatrix(dim, kept, 0, True)
            pca.train(x)  # pyright: ignore[reportCallIssue]
            turned = pca.apply(x)
            index: Any = faiss.IndexRaBitQ(kept, faiss.METRIC_L2, n_bits)
            index.train(turned)
            index.add(turned)
            k = right.shape[1]
            _, ids = index.search(turned[queries.numpy()], k + 1)
            found = torch.from_numpy(ids)
            itself = found == queries[:, None]
            itself[:, -1] |= ~itself.any(1)
            recalls = (found[~itself].view(-1, k)[:, :, None] == right[:, None]).any(1).double().mean(1)
            if best is None or recalls.mean() > best.mean():
                best = recalls
    return best


def _rabitq_bytes(kept: int, n_bits: int) -> int:
    index: Any = faiss.IndexRaBitQ(kept, faiss.METRIC_L2, n_bits)
    return int(index.code_size)


def int8_decoded(x_ND: Tensor) -> Tensor:
    """sentence-transformers' int8: 256 steps between the least and greatest value of each dimension."""
    from sentence_transformers.util.quantization import quantize_embeddings

    low, high = x_ND.amin(0).numpy(), x_ND.amax(0).numpy()
    codes = np.asarray(quantize_embeddings(x_ND.numpy(), precision="int8", ranges=np.stack([low, high])))
    step = (high - low) / 255
    return normalize(torch.from_numpy((codes.astype(np.float32) + 128) * step + low))


def sign_codes(x_ND: Tensor) -> BinaryCodes:
    """sentence-transformers' ubinary: the signs of the values themselves."""
    from sentence_transformers.util.quantization import quantize_embeddings

    packed = np.asarray(quantize_embeddings(x_ND.numpy(), precision="ubinary"))
    bits = np.unpackbits(packed, axis=1, count=x_ND.shape[1])
    return BinaryCodes.from_signs(torch.from_numpy(bits).float() - 0.5)
