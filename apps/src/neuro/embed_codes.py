"""Codes and indexes as files: `neuro embed encode`, `index` and `info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from binemb import BinaryCodes, BinaryIndex, MatryoshkaBinarizer, load_vectors
from binemb.vectors import detect_format
from ddp_utils import (
    Checkpoints,
    FileFormatError,
    gather_objects,
    process_group,
    read_metrics,
    run_on_main,
    setup_logging,
)
from safetensors import SafetensorError, safe_open

from neuro.embed_run import open_trained
from neuro.embed_settings import VectorSettings
from neuro.output import check_writable
from neuro.run_folder import CONFIG, MODEL


def encode(
    model_path: Path,
    out: Path,
    *,
    vectors: VectorSettings,
    n_bits: int | None,
    device: str,
    quiet: bool,
) -> dict[str, Any] | None:
    """Encode vectors, each process its share of the rows, into one codes file; None in all but the main process."""
    check_writable(out)
    with process_group(device) as world:
        setup_logging(quiet=quiet)
        run = open_trained(model_path, vectors)
        rows = run.vectors.vectors.tensor_split(world.world_size)[world.rank]
        model = run.model.to(world.device)
        packed = model.encode(rows).packed if len(rows) else torch.zeros(0, model.bits[-1] // 8, dtype=torch.uint8)
        whole = torch.cat(gather_objects(packed))
        codes = BinaryCodes(whole, model.bits[-1], model.bits, run.vectors.words)
        if n_bits is not None:
            codes = codes.truncate(n_bits)
        run_on_main(codes.save, out)
        if not world.is_main:
            return None
        size = {"n_bits": codes.n_bits, "bytes_per_vector": codes.bytes_per_vector, "file_bytes": out.stat().st_size}
        return {"codes": str(out), "words": len(codes), "dropped": run.vectors.dropped, **size}


def build_index(codes_path: Path, out: Path, *, n_bits: int | None, kind: str) -> dict[str, Any]:
    """Read codes, index them, write the index."""
    check_writable(out)
    codes = BinaryCodes.load(codes_path)
    if n_bits is not None:
        codes = codes.truncate(n_bits)
    index = BinaryIndex(codes.n_bits, kind).add(codes)  # pyright: ignore[reportArgumentType]
    index.save(out)
    return {"index": str(out), "codes": len(index), "n_bits": index.n_bits, "kind": index.kind}


def describe_path(path: Path) -> dict[str, Any]:
    """What a run folder or file holds.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is nothing that neuro knows.
    """
    if path.is_dir():
        return _describe_run(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or run folder")
    describe = DESCRIBE.get(_format_in_header(path))
    if describe is not None:
        return describe(path)
    vectors = load_vectors(str(path), non_finite="drop")  # counted, not refused: what holds them is asked
    return {"vectors": str(path), "words": len(vectors), "dim": vectors.dim, "dropped": vectors.dropped}


def _format_in_header(path: Path) -> str:
    """The format that a safetensors file of ours names; "" for any other file."""
    with path.open("rb") as file:
        if detect_format(file.read(4096)) != "safetensors":
            return ""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("header", "{}"))
    except (SafetensorError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: not a readable safetensors file (truncated or damaged): {error}") from error
    return str(header.get("format", "")) if isinstance(header, dict) else ""


def _describe_run(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise ValueError(f"{path}: no {CONFIG} in it: not a run folder")
    lines = read_metrics(path)
    facts: dict[str, Any] = {
        "run": str(path),
        "finished": (path / MODEL).is_file(),
        "checkpoints": Checkpoints(path / "checkpoints").steps(),
        "last_validation": lines[-1] if lines else None,
    }
    if facts["finished"]:
        facts |= _describe_model(path / MODEL)
    return facts


def _describe_model(path: Path) -> dict[str, Any]:
    model = MatryoshkaBinarizer.load(path)
    dropped = model.preparation.components_KD.shape[0]
    return {"model": str(path), "dim": model.dim, "bits": list(model.bits), "components_dropped": dropped}


def _describe_codes(path: Path) -> dict[str, Any]:
    codes = BinaryCodes.load(path)
    named = codes.words is not None
    return {
        "codes": str(path),
        "count": len(codes),
        "n_bits": codes.n_bits,
        "levels": list(codes.levels),
        "words": named,
    }


def _describe_index(path: Path) -> dict[str, Any]:
    index = BinaryIndex.load(path)
    return {"index": str(path), "count": len(index), "n_bits": index.n_bits, "kind": index.kind}


DESCRIBE = {
    "binemb.matryoshka": _describe_model,
    "binemb.codes": _describe_codes,
    "binemb.index": _describe_index,
}
