"""Exact search in float vectors.

Legend: N rows of the index, Q queries, D dimensions.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from binemb.faiss_device import check_hits_on_gpu, gpu_index, gpu_number
from binemb.hits import FloatHits
from binemb.rescore import best, similarity, unit_rows
from binemb.row_labels import RowLabels

FORMAT, VERSION = "binemb.float_index", 1
ROWS_AT_ONCE = 16384
QUERIES_AT_ONCE = 4096
SPARE = 8  # more are found than asked for: faiss's float32 sums can swap neighbours whose scores nearly tie
BEYOND_FLOAT32 = "search: inner products go beyond float32; scale the vectors down"

Metric = Literal["cosine", "inner_product"]


class FloatIndex:
    """Nearest float vectors by exhaustive search on faiss, with the verbs of `BinaryIndex`.

        cosine:         s(q, x) = <q, x> / (|q| |x|);   0 where either is the zero vector
        inner_product:  s(q, x) = <q, x>

    faiss finds the vectors; their scores are computed again in double precision and rounded, so they do not depend on
    what else is asked, on threads or on the device. Which of several vectors that tie for the last place within
    rounding, 1e-6 of |q| |x|, is returned may.

    Args:
        dim: dimensions of a vector, >= 1.
        metric: "cosine", which keeps the vectors scaled to length 1, or "inner_product", which keeps them as they are.
        device: "cpu", "cuda" or "cuda:N". A GPU holds a copy of the vectors and finds at most 2,040 hits a query.

    Attributes:
        dim: dimensions of a vector.
        metric: as given.
        device: as given.

    Raises:
        ValueError: an unknown metric or device, dim < 1, or a GPU that faiss does not see.
    """

    def __init__(self, dim: int, metric: Metric = "cosine", *, device: str = "cpu") -> None:
        if metric not in get_args(Metric):
            raise ValueError(f"FloatIndex: metric must be one of {', '.join(get_args(Metric))}, got {metric!r}")
        if operator.index(dim) < 1:
            raise ValueError(f"FloatIndex: dim must be at least 1, got {dim}")
        gpu = gpu_number(device, function="FloatIndex")
        self.dim, self.metric, self.device = dim, metric, device
        self._parts: list[Tensor] = []
        self._labels = RowLabels()
        self._on_gpu: Any = None if gpu is None else gpu_index("GpuIndexFlatIP", dim, gpu)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def words(self) -> list[str] | None:
        """What the vectors stand for, in the order they were added, if all came with words; else None."""
        return self._labels.words

    @property
    def ids(self) -> Tensor:
        """What `search` returns for the vectors, in the order they were added, int64, (N,). Not to be written to."""
        return self._labels.ids

    @property
    def vectors(self) -> Tensor:
        """The vectors as they are kept, in the order they were added, float32, (N, D). Not to be written to."""
        if len(self._parts) != 1:
            self._parts = [torch.cat([torch.zeros(0, self.dim), *self._parts])]
        return self._parts[0]

    def add(self, vectors_ND: Tensor, ids: Tensor | None = None, *, words: list[str] | None = None) -> FloatIndex:
        """Add vectors.

        Args:
            vectors_ND: real and finite, (N, D).
            ids: what `search` returns for them, int64, different from each other and from those there; by default the
                numbers that follow on the largest id so far.
            words: what they stand for, N of them, without line breaks if the index is to be saved.

        Returns:
            The index itself.

        Raises:
            TypeError: ids are not whole numbers.
            ValueError: vectors of another shape or not finite, ids that repeat or do not fit, or too many or few words.
                The index is then as it was.
        """
        self._check("add", "vectors_ND", vectors_ND)
        if words is not None and len(words) != len(vectors_ND):
            raise ValueError(f"add: {len(words)} words for {len(vectors_ND)} vectors")
        new_ids = self._labels.checked(len(vectors_ND), ids)
        kept = self._kept(vectors_ND)
        if len(kept):
            if self._on_gpu is not None:
                self._on_gpu.add(kept.numpy())
            self._parts.append(kept)
        self._labels.extend(new_ids, words)
        return self

    def search(self, queries_QD: Tensor, k: int = 10) -> FloatHits:
        """The k vectors of each query with the highest scores; equal scores come in the order of addition.

        Args:
            queries_QD: real and finite, (Q, D).
            k: how many, >= 1; if there are fewer vectors, all come back.

        Raises:
            ValueError: k < 1, an empty index, queries of another shape or not finite, or scores beyond float32.
        """
        self._check("search", "queries_QD", queries_QD)
        k = operator.index(k)
        if k < 1 or not len(self):
            raise ValueError(f"search: needs k >= 1 and a filled index, got k={k} and {len(self)} vectors")
        k = min(k, len(self))
        parts = [self._search(part, k) for part in queries_QD.cpu().split(QUERIES_AT_ONCE)]
        ids, scores, cosines = (torch.cat(column) for column in zip(*parts, strict=True))
        if not scores.isfinite().all():
            raise ValueError(BEYOND_FLOAT32)
        return FloatHits(ids, scores, similarity(cosines).clamp_(0, 1))

    def _search(self, queries_QD: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, scores and cosines, each (Q, k)."""
        rows = self._near_rows(self._kept(queries_QD).numpy(), min(k + SPARE, len(self))).sort(1).values
        scores, cosines = torch.empty(2, *rows.shape)
        unit_QD = unit_rows(queries_QD)
        exact_QD = unit_QD if self.metric == "cosine" else queries_QD.double()
        for start in range(0, len(rows), max(1, ROWS_AT_ONCE // rows.shape[1])):
            part = slice(start, start + max(1, ROWS_AT_ONCE // rows.shape[1]))
            near = self.vectors[rows[part].flatten()]
            unit = unit_rows(near).view(*rows[part].shape, self.dim)
            cosines[part] = (unit @ unit_QD[part, :, None]).squeeze(2)
            exact = unit if self.metric == "cosine" else near.double().view_as(unit)
            scores[part] = (exact @ exact_QD[part, :, None]).squeeze(2)
        places = best(scores, k)
        return self._labels.ids[rows.gather(1, places)], scores.gather(1, places), cosines.gather(1, places)

    def _near_rows(self, queries: np.ndarray, k: int) -> Tensor:
        import faiss

        if not len(queries):
            return torch.zeros(0, k, dtype=torch.int64)
        if self._on_gpu is None:
            _, rows = faiss.knn(queries, self.vectors.numpy(), k, metric=faiss.METRIC_INNER_PRODUCT)
        else:
            check_hits_on_gpu(k, function="search")
            _, rows = self._on_gpu.search(queries, k)
        if (rows < 0).any():  # sums that are not numbers are never near
            raise ValueError(BEYOND_FLOAT32)
        return torch.from_numpy(rows)

    def _kept(self, x_ND: Tensor) -> Tensor:
        """Rows as the index keeps them: float32 on the CPU, in memory of their own, for cosine of length 1."""
        kept = torch.empty(tuple(x_ND.shape))
        for start in range(0, len(x_ND), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            kept[part] = unit_rows(x_ND[part].cpu()) if self.metric == "cosine" else x_ND[part]
        return kept

    def _check(self, function: str, name: str, x_ND: Tensor) -> None:
        if not isinstance(x_ND, Tensor):
            raise TypeError(f"{function}: {name} must be a tensor, got {type(x_ND).__name__}")
        if x_ND.ndim != 2 or x_ND.shape[1] != self.dim or x_ND.is_complex():
            raise ValueError(
                f"{function}: {name} must be real with rows of {self.dim} values, got {x_ND.dtype} {tuple(x_ND.shape)}"
            )
        if not (x_ND if self.metric == "cosine" else x_ND.float()).isfinite().all():
            raise ValueError(f"{function}: {name} holds values that are not finite in float32")

    def save(self, path: str | Path) -> None:
        """Write the index as one safetensors file with checksum, atomically; the same index gives the same bytes."""
        metadata = {"metric": self.metric, "has_words": self.words is not None}
        tensors = {"vectors": self.vectors, **self._labels.tensors()}
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu", memory_map: bool = False) -> FloatIndex:
        """Read an index; it gives the answers of the one that was saved.

        Args:
            path: the file.
            device: as for the class.
            memory_map: leave the vectors in the file and read them as they are searched; the file must then not be
                changed in place (writing a new one in its stead, as `save` does, is safe).

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: truncated, changed, another format or a newer version.
            ValueError: the device is not there.
        """
        gpu_number(device, function="FloatIndex")
        tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
        if not memory_map:
            tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        try:
            vectors = tensors["vectors"]
            if vectors.dtype != torch.float32 or vectors.ndim != 2:
                raise ValueError(f"vectors are {vectors.dtype} {tuple(vectors.shape)}")
            index = cls(vectors.shape[1], metadata["metric"], device=device)
            index._check("load", "vectors", vectors)
            norms = torch.linalg.vector_norm(vectors, dim=1)
            if index.metric == "cosine" and bool(((norms - 1).abs().minimum(norms) > 1e-3).any()):
                raise ValueError("vectors are not of length 1")
            index._labels = RowLabels.from_tensors(tensors, len(vectors), has_words=bool(metadata["has_words"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: inconsistent index: {error}") from error
        index._parts = [vectors]
        if index._on_gpu is not None:
            index._on_gpu.add(vectors.numpy())
        return index
