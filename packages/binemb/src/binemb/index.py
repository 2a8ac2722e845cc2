"""Search in binary codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from binemb.codes import BinaryCodes, n_bytes, pack_words, unpack_words

FORMAT, VERSION = "binemb.index", 1
IndexKind = Literal["flat"]


@dataclass(frozen=True, eq=False)
class Hits:
    """What a search found, best first.

    Args:
        ids: int64, (n_queries, k).
        distances: Hamming distance in bits, int32, (n_queries, k).
        similarity: 1 - distance / n_bits, float32, (n_queries, k), in [0, 1].
    """

    ids: Tensor
    distances: Tensor
    similarity: Tensor


def faiss_gpu_count() -> int:
    """GPUs that faiss can search on; 0 for its CPU build."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "GpuIndexBinaryFlat") else 0


class BinaryIndex:
    """Nearest codes by Hamming distance, on faiss.

    Args:
        n_bits: bits a code, >= 1.
        kind: "flat" compares with every code and is exact.
        device: "cpu", or "cuda" where faiss sees a GPU.

    Attributes:
        words: what the codes stand for, in the order they were added, if all came with words; else None.

    Raises:
        ValueError: an unknown kind or device, n_bits < 1, or a GPU that faiss does not see.
    """

    def __init__(self, n_bits: int, kind: IndexKind = "flat", *, device: str = "cpu") -> None:
        if kind not in get_args(IndexKind):
            raise ValueError(f"BinaryIndex: kind must be one of {', '.join(get_args(IndexKind))}, got {kind!r}")
        if n_bits < 1:
            raise ValueError(f"BinaryIndex: n_bits must be at least 1, got {n_bits}")
        self.n_bits, self.kind, self.device = n_bits, kind, device
        self._packed = torch.zeros(0, n_bytes(n_bits), dtype=torch.uint8)
        self._ids = torch.zeros(0, dtype=torch.int64)
        self.words: list[str] | None = None
        self._faiss = self._new_faiss()

    def _new_faiss(self) -> Any:
        import faiss

        width = 8 * n_bytes(self.n_bits)  # faiss counts whole bytes; padding bits are clear and never differ
        kind, _, number = self.device.partition(":")
        if kind not in ("cpu", "cuda") or not (number or "0").isdecimal():
            raise ValueError(f"BinaryIndex: device must be cpu, cuda or cuda:N, got {self.device!r}")
        if kind == "cpu":
            return faiss.IndexBinaryFlat(width)
        gpu = int(number or 0)
        n_gpus = faiss_gpu_count()
        if gpu >= n_gpus:
            seen = f"{n_gpus} GPUs" if n_gpus else "no GPU"
            raise ValueError(f"BinaryIndex: device {self.device!r} asked for, but faiss sees {seen}; use 'cpu'")
        config = faiss.GpuIndexBinaryFlatConfig()
        config.device = gpu
        return faiss.GpuIndexBinaryFlat(faiss.StandardGpuResources(), width, config)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, codes: BinaryCodes, ids: Tensor | None = None) -> BinaryIndex:
        """Add codes.

        Args:
            codes: codes of the index's number of bits.
            ids: what `search` returns for them, int64, different from each other and from those there; by default the
                numbers that follow on the largest id so far.

        Returns:
            The index itself.

        Raises:
            TypeError: ids are not whole numbers.
            ValueError: another number of bits, or ids that repeat or do not fit.
        """
        if codes.n_bits != self.n_bits:
            raise ValueError(f"add: the index holds codes of {self.n_bits} bits, got {codes.n_bits}; truncate them")
        start = int(self._ids.max()) + 1 if len(self) else 0
        if ids is not None and (ids.is_floating_point() or ids.is_complex()):
            raise TypeError(f"add: ids must be whole numbers, got {ids.dtype}")
        new_ids = torch.arange(start, start + len(codes)) if ids is None else ids.to(torch.int64).cpu()
        if new_ids.shape != (len(codes),):
            raise ValueError(f"add: {len(codes)} codes need as many ids, got shape {tuple(new_ids.shape)}")
        all_ids = torch.cat([self._ids, new_ids])
        if len(torch.unique(all_ids)) != len(all_ids):
            raise ValueError("add: ids must differ from each other and from those in the index")
        self._faiss.add(codes.packed.contiguous().numpy())
        all_have_words = codes.words is not None and (self.words is not None or not len(self))
        self.words = [*(self.words or []), *(codes.words or [])] if all_have_words else None
        self._packed, self._ids = torch.cat([self._packed, codes.packed]), all_ids
        return self

    def search(self, queries: BinaryCodes, k: int = 10) -> Hits:
        """The k nearest codes of each query.

        Args:
            queries: codes of the index's number of bits.
            k: how many; at most as many as there are come back. Equal distances come in no stated order.

        Raises:
            ValueError: k < 1, an empty index, or another number of bits.
        """
        if queries.n_bits != self.n_bits:
            raise ValueError(f"search: the index holds codes of {self.n_bits} bits, the queries have {queries.n_bits}")
        if k < 1 or not len(self):
            raise ValueError(f"search: needs k >= 1 and a filled index, got k={k} and {len(self)} codes")
        distances, rows = self._faiss.search(queries.packed.contiguous().numpy(), min(k, len(self)))
        distances = torch.from_numpy(np.ascontiguousarray(distances, np.int32))
        ids = self._ids[torch.from_numpy(np.ascontiguousarray(rows, np.int64))]
        return Hits(ids, distances, 1 - distances.float() / self.n_bits)

    def save(self, path: str | Path) -> None:
        """Write the index as one safetensors file with checksum, atomically."""
        metadata = {"n_bits": self.n_bits, "kind": self.kind, "has_words": self.words is not None}
        tensors = {"packed": self._packed, "ids": self._ids}
        if self.words is not None:
            tensors["words"] = pack_words(self.words)
        write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> BinaryIndex:
        """Read an index.

        Raises:
            FileNotFoundError: no such file.
            FileFormatError: truncated, changed, another format or a newer version.
        """
        tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
        try:
            words = unpack_words(tensors["words"], len(tensors["packed"])) if metadata["has_words"] else None
            # first: it bounds n_bits by the file's size
            codes = BinaryCodes(tensors["packed"], metadata["n_bits"], words=words)
            return cls(codes.n_bits, metadata["kind"], device=device).add(codes, tensors["ids"])
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: inconsistent index: {error}") from error
