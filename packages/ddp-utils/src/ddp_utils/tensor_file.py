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


def storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as safetensors takes them: on the CPU, contiguous, and no two in the same memory."""
    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        if own.untyped_storage().data_ptr() in taken:  # tied weights, views
            own = own.clone()
        taken.add(own.untyped_storage().data_ptr())
        plain[name] = own
    return plain


def save_tensors(tensors: Mapping[str, Tensor], path: Path, header: str = "") -> None:
    """Write a safetensors file; the same content gives the same bytes, with the permissions of any new file.

    Args:
        tensors: name to tensor.
        path: the file.
        header: text kept in the file's header. One entry: safetensors writes several in no fixed order.

    Raises:
        OSError: the file cannot be written.
    """
    path.touch()
    mode = path.stat().st_mode  # safetensors makes files that only their owner may read
    try:
        save_file(storable(tensors), path, metadata={"header": header} if header else None)
    except SafetensorError as error:  # how safetensors reports what the operating system said
        raise OSError(f"cannot write {path}: {error}") from error
    path.chmod(mode)


def checksum(tensors: Mapping[str, Tensor], description: str) -> str:
    """SHA-256 over the description and every tensor's name, dtype, shape and bytes, in order of name."""
    digest = hashlib.sha256(description.encode())
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
    plain = storable(tensors)
    header = {"format": kind, "version": str(version), "metadata": text}
    header["sha256"] = checksum(plain, json.dumps(header, sort_keys=True))
    with atomic_file(path) as temporary:
        save_tensors(plain, temporary, json.dumps(header, sort_keys=True))


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
            header = json.loads((file.metadata() or {}).get("header", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path}: not a readable {kind} file (truncated or damaged): {error}") from error
    if not isinstance(header, dict) or not all(isinstance(value, str) for value in header.values()):
        raise FileFormatError(f"{path}: not a readable {kind} file: its header is damaged")
    if header.get("format") != kind:
        raise FileFormatError(f"{path}: expected a {kind} file, found {header.get('format') or 'another kind'}")
    found = header.get("version", "")
    if found not in map(str, range(1, version + 1)):
        raise FileFormatError(f"{path}: {kind} version {found!r}; this release reads up to {version}: upgrade it")
    text = header.get("metadata", "")
    described = {"format": kind, "version": found, "metadata": text}
    if verify and checksum(tensors, json.dumps(described, sort_keys=True)) != header.get("sha256"):
        raise FileFormatError(f"{path}: checksum does not match: the file is damaged; write or fetch it again")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: unreadable metadata: {error}") from error
    if not isinstance(metadata, dict):
        raise FileFormatError(f"{path}: metadata is not a JSON object")
    return tensors, metadata
