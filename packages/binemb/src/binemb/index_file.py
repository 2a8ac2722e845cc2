"""Files of binary indexes: version 1 held exact indexes, version 2 holds every kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from binemb.codes import BinaryCodes
from binemb.row_labels import RowLabels

FORMAT, VERSION = "binemb.index", 2


@dataclass(frozen=True, eq=False)
class StoredIndex:
    """What a file holds.

    Args:
        n_bits: bits a code.
        kind: kind of index.
        parameters: the kind's parameters by name, unchecked.
        packed: codes, uint8, (n, ceil(n_bits / 8)).
        labels: ids and words.
        structure: what the kind's searcher needs besides, unchecked.
    """

    n_bits: int
    kind: Any
    parameters: dict[str, Any]
    packed: Tensor
    labels: RowLabels
    structure: dict[str, Tensor]


def write_index(path: str | Path, stored: StoredIndex) -> None:
    """Write an index, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    metadata = {
        "n_bits": stored.n_bits,
        "kind": stored.kind,
        "parameters": stored.parameters,
        "has_words": stored.labels.words is not None,
    }
    tensors = {"packed": stored.packed, **stored.labels.tensors(), **stored.structure}
    write_tensor_file(path, tensors, kind=FORMAT, version=VERSION, metadata=metadata)


def read_index(path: str | Path, *, memory_map: bool) -> StoredIndex:
    """Read an index; codes and labels are checked, the kind, its parameters and the structure are not yet.

    Args:
        path: the file.
        memory_map: leave the tensors in the file instead of in memory.

    Raises:
        FileNotFoundError: no such file.
        FileFormatError: truncated, changed, another format or a newer version.
    """
    tensors, metadata = read_tensor_file(path, kind=FORMAT, version=VERSION)
    if not memory_map:
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    try:
        kind = metadata["kind"]
        parameters = metadata.get("parameters", {}) if kind == "flat" else metadata["parameters"]
        if not isinstance(parameters, dict):
            raise TypeError(f"parameters must be named, got {parameters!r}")
        # first: it bounds n_bits by the file's size
        codes = BinaryCodes(tensors["packed"], metadata["n_bits"])
        labels = RowLabels.from_tensors(tensors, len(codes), has_words=bool(metadata["has_words"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: inconsistent index: {error}") from error
    structure = {name: tensor for name, tensor in tensors.items() if name not in ("packed", "ids", "words")}
    return StoredIndex(codes.n_bits, kind, parameters, codes.packed, labels, structure)
