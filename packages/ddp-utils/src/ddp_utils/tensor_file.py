"""One file of named tensors with a format name, a version, metadata and a checksum; nothing in it is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddp_utils.atomic import atomic_file


class FileFormatError(ValueError):
    """A file that cannot be used: damaged, of another kind, or written by a newer version. The message names it."""


def checksum(tensors: Mapping[str, Tensor], metadata: str) -> str:
    """SHA-256 over the metadata and every tensor's name, dtype, shape and bytes, in order of name."""
    digest = hashlib.sha256(metadata.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensor_file(
    path: str | Path, tensors: Mapping[str, Tensor], *, kind: str, version: int, metadata: Mapping[str, Any]
) -> None:
    """Write tensors and metadata as one safetensors file, atomically.

    Args:
        path: the file; what was there stays until the new one is whole.
        tensors: name to tensor, any dtype and shape.
        kind: name of the format, for example "binemb.codes".
        version: version of the format, >= 1.
        metadata: JSON-able description that the tensors cannot carry.

    Raises:
        OSError: the file cannot be written (full disk, no permission); what was there before is still there.
    """
    path = Path(path)
    text = json.dumps(metadata, sort_keys=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": kind, "version": str(version), "metadata": text, "sha256": checksum(plain, text)}
    with atomic_file(path) as temporary:
        try:
            save_file(plain, temporary, metadata=header)
        except SafetensorError as error:  # how safetensors reports what the operating system said
            raise OSError(f"cannot write {path}: {error}") from error


def read_tensor_file(
    path: str | Path, *, kind: str, version: int, verify: bool = True
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensor_file` wrote. Tensors are memory-mapped: they cost memory when they are touched.

    Args:
        path: the file.
        kind: the expected format name.
        version: the newest version that the caller understands.
        verify: compare the checksum, which reads the whole file. Leave it on but for files too large to read at once.

    Returns:
        The tensors and the metadata.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: truncated, changed, another format, or a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, UnicodeDecodeError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise FileFormatError(f"{path}: not a readable {kind} file (truncated or damaged): {error}") from error
    if header.get("format") != kind:
        raise FileFormatError(f"{path}: expected a {kind} file, found {header.get('format') or 'another kind'}")
    found = header.get("version", "")
    if not found.isdecimal() or not 1 <= int(found) <= version:
        raise FileFormatError(f"{path}: {kind} version {found!r}; this release reads up to {version}: upgrade it")
    text = header.get("metadata", "")
    if verify and checksum(tensors, text) != header.get("sha256"):
        raise FileFormatError(f"{path}: checksum does not match: the file is damaged; write or fetch it again")
    try:
        metadata = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(f"{path}: unreadable metadata: {error}") from error
    if not isinstance(metadata, dict):
        raise FileFormatError(f"{path}: metadata is not a JSON object")
    return tensors, metadata
