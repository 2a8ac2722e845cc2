"""What faiss searches in, for each kind of binary index.

Each class takes codes row by row in the order of the index, says which rows are near, and turns into plain tensors and
back. Nothing of faiss's own file format is stored: a file's numbers can be checked in full before faiss sees them, and
codes are stored once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from ddp_utils.seed import keyed_numpy_generator
from torch import Tensor

from binemb.binary_kmeans import k_majority, nearest_centroids
from binemb.codes import BinaryCodes, n_bytes
from binemb.faiss_device import check_hits_on_gpu, gpu_index
from binemb.index_parameters import FlatParameters, HashParameters, HnswParameters, IvfParameters

ROWS_AT_ONCE = 65536
READ_AHEAD = 8  # bytes: faiss reads a code's pieces as 64-bit words


P = TypeVar("P", bound=FlatParameters)


class Searcher(ABC, Generic[P]):
    """Rows of codes that can be searched.

    Args:
        parameters: the kind's parameters; those of the search may be replaced at any time.
    """

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    @abstractmethod
    def add(self, packed: Tensor) -> None:
        """Take in more rows, uint8, (N, bytes), contiguous."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances and row numbers, (Q, k), of queries, uint8, (Q, bytes), contiguous.

        Where fewer than k rows are found, the numbers that are left are negative.
        """

    def tensors(self) -> dict[str, Tensor]:
        """What a file must hold besides the codes and the parameters."""
        return {}

    def restore(self, packed: Tensor, tensors: dict[str, Tensor]) -> None:
        """Fill an empty searcher with all rows and what `tensors` gave.

        Raises:
            KeyError, TypeError, ValueError: they do not fit.
        """
        if tensors:
            raise ValueError(f"the kind does not have {', '.join(tensors)}")
        self.add(packed)


class GpuFlat(Searcher[FlatParameters]):
    """Exact search on a GPU, which holds a copy of the codes."""

    def __init__(self, n_bits: int, parameters: FlatParameters, gpu: int) -> None:
        super().__init__(parameters)
        self._faiss = gpu_index("GpuIndexBinaryFlat", 8 * n_bytes(n_bits), gpu)

    def add(self, packed: Tensor) -> None:
        self._faiss.add(packed.numpy())

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        check_hits_on_gpu(k, function="search")
        return self._faiss.search(queries, k)


class Ivf(Searcher[IvfParameters]):
    """Codes in the lists of their nearest centroids."""

    def __init__(self, n_bits: int, parameters: IvfParameters) -> None:
        super().__init__(parameters)
        self.n_bits = n_bits
        self._faiss: Any = None
        self._centroids: Tensor | None = None
        self._lists: list[Tensor] = []

    @property
    def is_trained(self) -> bool:
        """Whether the lists are there."""
        return self._centroids is not None

    def train(self, packed: Tensor) -> None:
        """Find centroids; ValueError for fewer codes than lists."""
        wanted = self.parameters.n_lists
        if len(packed) < (wanted or 1):
            raise ValueError(f"BinaryIndex: {wanted or 1} lists need as many codes to train on, got {len(packed)}")
        parameters = self.parameters.resolved(len(packed))
        assert parameters.n_lists is not None
        self._set_centroids(k_majority(packed, parameters.n_lists, seed=parameters.seed))
        self.parameters = parameters

    def _set_centroids(self, centroids: Tensor) -> None:
        import faiss

        width = 8 * centroids.shape[1]
        coarse = faiss.IndexBinaryFlat(width)
        coarse.add(centroids.contiguous().numpy())  # pyright: ignore[reportCallIssue] - the stubs show the C++ call
        self._faiss, self._centroids = faiss.IndexBinaryIVF(coarse, width, len(centroids)), centroids

    def add(self, packed: Tensor) -> None:
        if not len(packed):
            return
        if self._centroids is None:
            self.train(packed)
        assert self._centroids is not None
        self._add_to(packed, nearest_centroids(packed, self._centroids))

    def _add_to(self, packed: Tensor, lists_N: Tensor) -> None:
        import faiss

        codes, lists = packed.numpy(), np.ascontiguousarray(lists_N.numpy(), np.int64)
        self._faiss.add_core(len(codes), faiss.swig_ptr(codes), None, faiss.swig_ptr(lists))
        self._lists.append(lists_N.to(torch.int32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self._faiss.nprobe = self.parameters.n_probe
        return self._faiss.search(queries, k)

    def tensors(self) -> dict[str, Tensor]:
        if self._centroids is None:
            return {}
        return {"centroids": self._centroids, "lists": torch.cat([torch.zeros(0, dtype=torch.int32), *self._lists])}

    def restore(self, packed: Tensor, tensors: dict[str, Tensor]) -> None:
        if "centroids" not in tensors:
            if len(packed):
                raise ValueError("codes, but no centroids")
            return
        centroids = BinaryCodes(tensors["centroids"], self.n_bits).packed
        lists_N, n_lists, n_probe = tensors["lists"], self.parameters.n_lists, self.parameters.n_probe
        if n_lists is None or n_probe is None or len(centroids) != n_lists:
            raise ValueError(f"{len(centroids)} centroids, n_lists={n_lists}, n_probe={n_probe}")
        _check_integers("lists", lists_N, (len(packed),), 0, n_lists - 1)
        self._set_centroids(centroids)
        if len(packed):
            self._add_to(packed, lists_N)


class Hnsw(Searcher[HnswParameters]):
    """A graph of links between near codes."""

    def __init__(self, n_bits: int, parameters: HnswParameters) -> None:
        import faiss

        super().__init__(parameters)
        self._faiss = faiss.IndexBinaryHNSW(8 * n_bytes(n_bits), parameters.m)
        self._faiss.hnsw.efConstruction = parameters.ef_construction
        self._slots = faiss.vector_to_array(self._faiss.hnsw.cum_nneighbor_per_level)  # of the levels below each

    def add(self, packed: Tensor) -> None:
        import faiss

        if not len(packed):
            return
        graph, count = self._faiss.hnsw, self._faiss.ntotal + len(packed)
        # Every level drawn by the row's number: they depend neither on how additions were split nor on a reload.
        uniform = 1 - keyed_numpy_generator(self.parameters.seed, "hnsw levels").random(count)
        levels = 1 + np.minimum(-np.log(uniform) / np.log(self.parameters.m), len(self._slots) - 2).astype(np.int32)
        kept = faiss.vector_to_array(graph.levels)
        faiss.copy_array_to_vector(np.concatenate([kept, levels[len(kept) :]]), graph.levels)
        threads = faiss.omp_get_max_threads()
        if not hasattr(faiss, "hnsw_add_vertices_deterministic"):
            faiss.omp_set_num_threads(1)  # before 1.15 the links depended on which thread came first
        try:
            self._faiss.add(packed.numpy())  # pyright: ignore[reportCallIssue]
        finally:
            faiss.omp_set_num_threads(threads)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self._faiss.hnsw.efSearch = self.parameters.ef_search
        return self._faiss.search(queries, k)  # pyright: ignore[reportCallIssue]

    def tensors(self) -> dict[str, Tensor]:
        import faiss

        graph = self._faiss.hnsw
        return {
            "levels": torch.from_numpy(faiss.vector_to_array(graph.levels)),
            "links": torch.from_numpy(faiss.vector_to_array(graph.neighbors)),
            "entry": torch.tensor(graph.entry_point),
        }

    def restore(self, packed: Tensor, tensors: dict[str, Tensor]) -> None:
        import faiss

        count, (levels, links, entry) = len(packed), (tensors[name] for name in ("levels", "links", "entry"))
        _check_integers("levels", levels, (count,), 1, len(self._slots) - 1)
        ends = np.cumsum(self._slots[levels.numpy()], dtype=np.int64)
        _check_integers("links", links, (int(ends[-1]) if count else 0,), -1, count - 1)
        _check_integers("entry", entry, (), 0 if count else -1, count - 1)
        if not count:
            return
        top = int(levels.max())
        if int(levels[entry]) != top:
            raise ValueError("the search does not start at the highest level")
        starts = np.concatenate([np.zeros(1, np.int64), ends])
        for level in range(1, top):  # a code must have the levels on which others link to it
            on_it = np.flatnonzero(levels.numpy() > level)
            slots = starts[on_it, None] + np.arange(self._slots[level], self._slots[level + 1])
            linked = links.numpy()[slots]
            if (levels.numpy()[linked[linked >= 0]] <= level).any():
                raise ValueError("a link leads to a code that is not on its level")
        faiss.downcast_IndexBinary(self._faiss.storage).add(packed.numpy())
        self._faiss.ntotal = count
        graph = self._faiss.hnsw
        for array, vector in ((levels, graph.levels), (links, graph.neighbors)):
            faiss.copy_array_to_vector(np.ascontiguousarray(array.numpy(), np.int32), vector)
        faiss.copy_array_to_vector(starts.astype(np.uint64), graph.offsets)
        graph.entry_point, graph.max_level = int(entry), top - 1


class Hash(Searcher[HashParameters]):
    """Tables of pieces of the codes."""

    def __init__(self, n_bits: int, parameters: HashParameters) -> None:
        import faiss

        full = parameters.resolved(n_bits)
        assert full.n_tables is not None
        assert full.hash_bits is not None
        super().__init__(full)
        self._faiss = faiss.IndexBinaryMultiHash(8 * n_bytes(n_bits), full.n_tables, full.hash_bits)

    def add(self, packed: Tensor) -> None:
        for rows in packed.split(ROWS_AT_ONCE):
            self._faiss.add(_readable_ahead(rows.numpy()))  # pyright: ignore[reportCallIssue]

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self._faiss.nflip = self.parameters.n_flips
        return self._faiss.search(_readable_ahead(queries), k)  # pyright: ignore[reportCallIssue]


def new_searcher(n_bits: int, parameters: FlatParameters, gpu: int | None) -> Searcher[Any] | None:
    """An empty searcher of the parameters' kind; None for exact search on the CPU, which needs only the codes."""
    match parameters:
        case IvfParameters():
            return Ivf(n_bits, parameters)
        case HnswParameters():
            return Hnsw(n_bits, parameters)
        case HashParameters():
            return Hash(n_bits, parameters)
    return None if gpu is None else GpuFlat(n_bits, parameters, gpu)


def _readable_ahead(packed: np.ndarray) -> np.ndarray:
    """The same codes in memory that may be read a little beyond the last of them."""
    memory = np.zeros(packed.size + READ_AHEAD, np.uint8)
    copy = memory[: packed.size].reshape(packed.shape)
    copy[:] = packed
    return copy


def _check_integers(name: str, tensor: Tensor, shape: tuple[int, ...], low: int, high: int) -> None:
    if tensor.dtype not in (torch.int32, torch.int64) or tensor.shape != shape:
        raise ValueError(f"{name}: {tensor.dtype} {tuple(tensor.shape)} where whole numbers {shape} belong")
    if tensor.numel() and not low <= int(tensor.min()) <= int(tensor.max()) <= high:
        raise ValueError(f"{name}: numbers outside [{low}, {high}]")
