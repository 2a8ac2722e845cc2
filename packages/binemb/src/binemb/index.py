"""Search in binary codes."""

from __future__ import annotations

import operator
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from ddp_utils.tensor_file import FileFormatError
from torch import Tensor

from binemb.codes import BinaryCodes, n_bytes
from binemb.faiss_device import faiss_gpu_count as faiss_gpu_count
from binemb.faiss_device import gpu_number
from binemb.hits import Hits
from binemb.index_file import StoredIndex, read_index, write_index
from binemb.index_kinds import Ivf, new_searcher
from binemb.index_parameters import IndexKind, IndexParameters, parameters_of, tuned
from binemb.rescore import (
    Rescore,
    asymmetric_cosines,
    best,
    check_rescoring,
    float_cosines,
    similarity,
)
from binemb.row_labels import RowLabels

QUERIES_AT_ONCE = 4096


class BinaryIndex:
    """Nearest codes by Hamming distance, on faiss.

    "flat" compares with every code and is exact. "ivf", "hnsw" and "hash" compare with fewer and can miss some; each
    keeps a second copy of the codes. Every kind finds min(k, n) codes: a query for which an approximate kind found
    fewer is answered by exact search.

    The same additions give the same index with any number of threads. The graph of "hnsw" depends on how codes were
    split into additions, and the lists of "ivf" on the first addition, which trains them unless `train` did.

    Args:
        n_bits: bits a code, >= 1.
        kind: "flat", "ivf" (inverted lists), "hnsw" (graph) or "hash" (tables of pieces of the code).
        device: "cpu", "cuda" or "cuda:N". A GPU holds a copy of the codes and finds at most 2,048 hits a query. faiss
            searches only "flat" there; another kind warns and runs on the CPU.
        **parameters: of the kind, whole numbers. ivf: `n_lists`, `n_probe`, `seed`. hnsw: `m`, `ef_construction`,
            `ef_search`, `seed`. hash: `hash_bits`, `n_tables`, `n_flips`. `binemb.index_parameters` has meanings,
            ranges and defaults.

    Attributes:
        n_bits: bits a code.
        kind: as given.
        device: as given.
        search_device: where searches run: the device, or "cpu" for a kind that faiss has no GPU search for.

    Raises:
        TypeError: a parameter that the kind does not have, or one that is no whole number.
        ValueError: an unknown kind or device, a number out of range, or a GPU that faiss does not see.
    """

    def __init__(
        self, n_bits: int, kind: IndexKind = "flat", *, device: str = "cpu", **parameters: Unpack[IndexParameters]
    ) -> None:
        n_bits = operator.index(n_bits)
        if n_bits < 1:
            raise ValueError(f"BinaryIndex: n_bits must be at least 1, got {n_bits}")
        checked = parameters_of(kind, parameters, n_bits)
        gpu = gpu_number(device, function="BinaryIndex")
        if gpu is not None and kind != "flat":
            warnings.warn(f"BinaryIndex: faiss has no {kind!r} on GPUs; it runs on the CPU", stacklevel=2)
            gpu = None
        self.n_bits, self.device = n_bits, device
        self.kind: IndexKind = kind
        self.search_device = "cpu" if gpu is None else device
        self._parts: list[Tensor] = []
        self._labels = RowLabels()
        self._parameters = checked
        self._searcher = new_searcher(n_bits, checked, gpu)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def words(self) -> list[str] | None:
        """What the codes stand for, in the order they were added, if all came with words; else None."""
        return self._labels.words

    @property
    def ids(self) -> Tensor:
        """What `search` returns for the codes, in the order they were added, int64, (n,). Not to be written to."""
        return self._labels.ids

    @property
    def parameters(self) -> dict[str, int | None]:
        """The kind's parameters in use, by name; those of "ivf" that follow from the codes are None until then."""
        return asdict(self._parameters if self._searcher is None else self._searcher.parameters)

    @property
    def packed(self) -> Tensor:
        """All codes in the order they were added, uint8, (n, ceil(n_bits / 8)). Not to be written to."""
        if len(self._parts) != 1:
            self._parts = [torch.cat([torch.zeros(0, n_bytes(self.n_bits), dtype=torch.uint8), *self._parts])]
        return self._parts[0]

    def train(self, codes: BinaryCodes) -> BinaryIndex:
        """Find the lists of an "ivf" index from these codes, which are not added.

        Args:
            codes: codes of the index's number of bits, like those that will be added.

        Returns:
            The index itself.

        Raises:
            ValueError: another kind, an index that is trained, too few codes, or another number of bits.
        """
        self._check_bits("train", codes)
        if not isinstance(self._searcher, Ivf):
            raise ValueError(f"train: only kind 'ivf' is trained, this index is {self.kind!r}")
        if self._searcher.is_trained:
            raise ValueError("train: the index is trained; make a new one")
        self._searcher.train(codes.packed.contiguous())
        return self

    def tune(self, **parameters: Unpack[IndexParameters]) -> BinaryIndex:
        """Change what a search may cost: `n_probe` of "ivf", `ef_search` of "hnsw", `n_flips` of "hash".

        Returns:
            The index itself.

        Raises:
            TypeError: a parameter that the kind's search does not have.
            ValueError: a number out of range.
        """
        changed = tuned(self.kind, self.parameters, parameters, self.n_bits)
        if self._searcher is not None:
            self._searcher.parameters = changed
        return self

    def add(self, codes: BinaryCodes, ids: Tensor | None = None) -> BinaryIndex:
        """Add codes. The first ones are kept in the memory, or the mapped file, that they are in.

        Args:
            codes: codes of the index's number of bits.
            ids: what `search` returns for them, int64, different from each other and from those there; by default the
                numbers that follow on the largest id so far.

        Returns:
            The index itself.

        Raises:
            TypeError: ids are not whole numbers.
            ValueError: another number of bits, ids that repeat or do not fit, or fewer codes than the `n_lists` to be
                trained on them. The index is then as it was.
        """
        self._check_bits("add", codes)
        new_ids = self._labels.checked(len(codes), ids)
        packed = codes.packed.contiguous()
        if self._searcher is not None:
            self._searcher.add(packed)
        if len(packed):
            self._parts.append(packed)
        self._labels.extend(new_ids, codes.words)
        return self

    def search(
        self,
        queries: BinaryCodes,
        k: int = 10,
        *,
        rescore: Rescore | None = None,
        oversample: int = 4,
        weights_QB: Tensor | None = None,
        queries_QD: Tensor | None = None,
        vectors_ND: Tensor | np.ndarray | None = None,
    ) -> Hits:
        """The k nearest codes of each query.

        Equal distances, and with `rescore` equal scores, come in the order of addition. "flat" on the CPU also chooses
        by it among codes that tie for the last place; the other kinds, and a GPU, return any of them.

        With `rescore`, k * oversample codes are found by Hamming distance and the best k of them by

            asymmetric:  cos = <w, c> / (|w| sqrt(n_bits)),   w a row of weights_QB, c the code as +1 and -1
            float:       cos = <q, x> / (|q| |x|),            q a row of queries_QD, x the code's row of vectors_ND

        are returned, with similarity (1 + cos) / 2; distances stay those of the bits.

        Args:
            queries: Q codes of the index's number of bits.
            k: how many, >= 1; if there are fewer codes, all come back.
            rescore: None, "asymmetric" or "float".
            oversample: codes found a hit that is returned, >= 1; only with `rescore`.
            weights_QB: for "asymmetric": float weights of the queries, (Q, n_bits).
            queries_QD: for "float": the queries as float vectors, (Q, D).
            vectors_ND: for "float": float vectors of all codes in the order they were added, (n, D). The index does
                not keep them: they may stay in a mapped file, and only those of codes that were found are read.

        Raises:
            ValueError: k or oversample < 1, an empty index, another number of bits, or arguments that do not fit
                `rescore`.
        """
        self._check_bits("search", queries)
        shape = (len(queries), len(self), self.n_bits)
        check_rescoring(rescore, oversample, shape, weights_QB=weights_QB, queries_QD=queries_QD, vectors_ND=vectors_ND)
        distances, rows = self.nearest_rows(queries, k * (oversample if rescore else 1))
        if rescore is None:
            return Hits(self._labels.ids[rows], distances, 1 - distances.float() / self.n_bits)
        rows, order = rows.sort(1)
        distances = distances.gather(1, order)
        if weights_QB is not None:
            cosines = asymmetric_cosines(weights_QB, self.packed, rows)
        else:
            assert queries_QD is not None
            assert vectors_ND is not None
            cosines = float_cosines(queries_QD, vectors_ND, rows)
        places = best(cosines, k)
        ids = self._labels.ids[rows.gather(1, places)]
        return Hits(ids, distances.gather(1, places), similarity(cosines.gather(1, places)))

    def nearest_rows(self, queries: BinaryCodes, k: int) -> tuple[Tensor, Tensor]:
        """`search` in terms of rows, which count the codes in the order they were added.

        Returns:
            Hamming distances, int32, and rows, int64, each (Q, min(k, n)).
        """
        self._check_bits("search", queries)
        k = operator.index(k)
        if k < 1 or not len(self):
            raise ValueError(f"search: needs k >= 1 and a filled index, got k={k} and {len(self)} codes")
        k = min(k, len(self))
        if not len(queries):
            return torch.zeros(0, k, dtype=torch.int32), torch.zeros(0, k, dtype=torch.int64)
        found = [self._nearest(part.contiguous().numpy(), k) for part in queries.packed.split(QUERIES_AT_ONCE)]
        return torch.cat([distances for distances, _ in found]), torch.cat([rows for _, rows in found])

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        import faiss

        packed = self.packed.numpy()
        if self._searcher is None:
            distances, rows = faiss.knn_hamming(queries, packed, k)
            return torch.from_numpy(distances), torch.from_numpy(rows)
        distances, rows = self._searcher.search(queries, k)
        too_few = (rows < 0).any(1)
        if too_few.any():
            distances[too_few], rows[too_few] = faiss.knn_hamming(queries[too_few], packed, k)
        order = np.lexsort((rows, distances), axis=1)
        distances, rows = (np.take_along_axis(found, order, 1) for found in (distances, rows))
        return torch.from_numpy(distances), torch.from_numpy(rows)

    def _check_bits(self, function: str, codes: BinaryCodes) -> None:
        if not isinstance(codes, BinaryCodes):
            raise TypeError(f"{function}: expected BinaryCodes, got {type(codes).__name__}")
        if codes.n_bits != self.n_bits:
            who = "the queries have" if function == "search" else "got"
            hint = "" if function == "search" else "; truncate them"
            raise ValueError(f"{function}: the index holds codes of {self.n_bits} bits, {who} {codes.n_bits}{hint}")

    def save(self, path: str | Path) -> None:
        """Write the index as one safetensors file with checksum, atomically; the same index gives the same bytes.

        It holds the codes once, and for "ivf" the centroids and each code's list, for "hnsw" the links.
        """
        structure = {} if self._searcher is None else self._searcher.tensors()
        stored = StoredIndex(self.n_bits, self.kind, self.parameters, self.packed, self._labels, structure)
        write_index(path, stored)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu", memory_map: bool = False) -> BinaryIndex:
        """Read an index; it gives the answers of the one that was saved.

        Args:
            path: the file; also one that the first version wrote.
            device: as for the class.
            memory_map: leave the codes in the file and read them as they are searched; the file must then not be
                changed in place (writing a new one in its stead, as `save` does, is safe). An approximate kind still
                makes its second copy.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: truncated, changed, another format or a newer version.
            ValueError: the device is not there.
        """
        gpu_number(device, function="BinaryIndex")
        stored = read_index(path, memory_map=memory_map)
        try:
            index = cls(stored.n_bits, stored.kind, device=device, **stored.parameters)
            index._parts, index._labels = [stored.packed], stored.labels
            if index._searcher is not None:
                index._searcher.restore(stored.packed, stored.structure)
            elif stored.structure:
                raise ValueError(f"kind 'flat' does not have {', '.join(stored.structure)}")
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: inconsistent index: {error}") from error
        return index
