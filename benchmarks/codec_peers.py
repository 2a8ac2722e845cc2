"""faiss quantizers as codecs: what they decode vectors to, and every byte they take.

Tables are counted in half precision, half of what faiss keeps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

TABLE_BYTES = 2  # a number
ALL_POINTS = 1 << 20  # of a centroid: faiss would train on 256
NARROW = 128  # dimensions up to which LSQ trains in minutes


@dataclass(frozen=True)
class Peer:
    """A quantizer of a size.

    Args:
        name: its family.
        setting: its size.
        code_bytes: of a vector.
        table_bytes: of codebooks and rotations together.
        train: from vectors to a pair (encode to bytes, decode them).
    """

    name: str
    setting: str
    code_bytes: float
    table_bytes: float
    train: Callable[[np.ndarray], tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]]


@dataclass(frozen=True)
class Decoded:
    """What a peer made of the vectors, and the seconds it took."""

    vocabulary: np.ndarray
    held_out: np.ndarray
    train_s: float
    encode_s: float


def run(peer: Peer, vocabulary: np.ndarray, held_out: np.ndarray) -> Decoded:
    """Train on the vocabulary, encode and decode both."""
    start = time.perf_counter()
    encode, decode = peer.train(vocabulary)
    trained = time.perf_counter()
    codes = encode(vocabulary)
    encoded = time.perf_counter()
    return Decoded(decode(codes), decode(encode(held_out)), trained - start, encoded - trained)


def product(dim: int, n_parts: int, n_bits: int, *, rotated: bool, seed: int = 0) -> Peer:
    """PQ, or OPQ where rotated; dimensions are padded to a multiple of the parts; faiss's own seed for 0."""
    padded = math.ceil(dim / n_parts) * n_parts

    def train(x: np.ndarray):
        if rotated:
            matrix = faiss.OPQMatrix(dim, n_parts, padded)
            matrix.train(x)  # pyright: ignore[reportCallIssue]
        else:
            matrix = faiss.LinearTransform(dim, padded, False)
            faiss.copy_array_to_vector(np.eye(padded, dim, dtype=np.float32).ravel(), matrix.A)
            matrix.is_trained = matrix.is_orthonormal = True
        quantizer = faiss.ProductQuantizer(padded, n_parts, n_bits)
        quantizer.cp.max_points_per_centroid = ALL_POINTS
        quantizer.cp.seed += seed
        quantizer.train(matrix.apply(x))

        def encode(v: np.ndarray) -> np.ndarray:
            return quantizer.compute_codes(matrix.apply(v))

        def decode(codes: np.ndarray) -> np.ndarray:
            return matrix.reverse_transform(quantizer.decode(codes))  # pyright: ignore[reportCallIssue]

        return encode, decode

    tables = 2**n_bits * padded + (dim * padded if rotated else 0)
    name = "OPQ" if rotated else "PQ"
    return Peer(name, f"{n_parts}x{n_bits}", n_parts * n_bits / 8, TABLE_BYTES * tables, train)


def additive(dim: int, n_stages: int, n_bits: int, *, local_search: bool = False) -> Peer:
    """RQ with faiss's beam of 5, or LSQ."""

    def train(x: np.ndarray):
        quantizer: Any = (faiss.LocalSearchQuantizer if local_search else faiss.ResidualQuantizer)(
            dim, n_stages, n_bits
        )
        if not local_search:
            quantizer.cp.max_points_per_centroid = ALL_POINTS
            quantizer.use_beam_LUT = 1  # the same codes, twice as fast
        quantizer.train(x)
        return quantizer.compute_codes, quantizer.decode

    tables = n_stages * 2**n_bits * dim
    name = "LSQ" if local_search else "RQ"
    return Peer(name, f"{n_stages}x{n_bits}", n_stages * n_bits / 8, TABLE_BYTES * tables, train)


def itq(dim: int, n_bits: int) -> Peer:
    """PCA, iterative quantization and signs (LSH after a learned rotation), decoded by least squares on the bits."""

    def train(x: np.ndarray):
        rotation = faiss.ITQTransform(dim, n_bits, True)
        rotation.train(x)
        mean = x.mean(0)

        def signs(v: np.ndarray) -> np.ndarray:
            return np.where(rotation.apply(v) >= 0, 1, -1).astype(np.float32)

        known = signs(x)
        decoder, *_ = np.linalg.lstsq(known.T @ known, known.T @ (x - mean), rcond=None)
        return (
            lambda v: np.packbits(signs(v) > 0, axis=1),
            lambda c: mean + (np.unpackbits(c, axis=1, count=n_bits) * 2 - np.float32(1)) @ decoder,
        )

    return Peer("ITQ", f"{n_bits} bits", n_bits / 8, TABLE_BYTES * (dim * n_bits + n_bits + dim), train)


def rabitq(dim: int, kept: int) -> Peer:
    """PCA to `kept` dimensions, then RaBitQ: a bit each and 8 bytes of factors a vector."""

    def train(x: np.ndarray):
        pca = faiss.PCAMatrix(dim, kept, 0, True)  # with the random rotation that RaBitQ asks for
        pca.train(x)
        quantizer = faiss.IndexRaBitQ(kept, faiss.METRIC_L2)
        quantizer.train(pca.apply(x))
        mean = x.mean(0)
        offset = pca.apply(mean[None])

        def decode(codes: np.ndarray) -> np.ndarray:
            return mean + pca.reverse_transform(quantizer.sa_decode(codes) - offset) - pca.reverse_transform(0 * offset)

        return lambda v: quantizer.sa_encode(pca.apply(v)), decode

    return Peer("RaBitQ", f"PCA {kept}", math.ceil(kept / 8) + 8, TABLE_BYTES * (dim * kept + dim + kept), train)


def within(budget: float, n_rows: int, dim: int) -> Iterator[Peer]:
    """For each family the largest sizes whose codes and tables, spread over the rows, take at most `budget` bytes."""
    makers: list[Callable[[int], Peer]] = []
    makers += [lambda n, r=rotated: product(dim, n, 8, rotated=r) for rotated in (False, True)]
    makers.append(lambda n: additive(dim, n, 4))  # tables of 8 bits, one a stage, leave few bytes for codes
    if dim <= NARROW:
        makers.append(lambda n: additive(dim, n, 4, local_search=True))
    makers.append(lambda n: itq(dim, min(n, dim)))
    makers.append(lambda n: rabitq(dim, min(n, dim)))
    for make in makers:
        fitting = [n for n in range(1, dim + 1) if _total(make(n), n_rows) <= budget]
        if fitting:
            yield make(max(fitting))


def _total(peer: Peer, n_rows: int) -> float:
    return peer.code_bytes + peer.table_bytes / n_rows
