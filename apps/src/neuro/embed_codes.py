"""Codes and indexes as files: `neuro embed encode`, `decode` and `index`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from binemb import BinaryCodes, BinaryIndex
from binemb.index_parameters import IndexKind, IndexParameters
from ddp_utils import (
    gather_objects,
    process_group,
    resolve_device,
    run_on_main,
    setup_logging,
)

from neuro.config import ConfigError
from neuro.embed_run import load_model, open_trained
from neuro.embed_settings import IndexSettings, VectorSettings
from neuro.output import check_writable
from neuro.vector_files import check_suffix, write_parts


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
        check_bits(n_bits, load_model(model_path)[1].bits[-1])
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


def decode(codes_path: Path, model_path: Path, out: Path, *, device: str) -> dict[str, Any]:
    """Decode binary codes into a vector file: directions in the model's prepared space.

    Raises:
        ConfigError: codes without words, or a model that does not have their prefixes.
        FileFormatError: no codes, or no model.
    """
    check_suffix(out)
    check_writable(out)
    codes = BinaryCodes.load(codes_path)
    model_file, model = load_model(model_path)
    if codes.words is None:
        raise ConfigError(f"--codes {codes_path}: hold no words; make them by `embed encode`")
    if codes.levels != tuple(level for level in model.bits if level <= codes.n_bits):
        raise ConfigError(
            f"--codes {codes_path}: of prefixes {list(codes.levels)}; {model_file} decodes {list(model.bits)} bits"
        )
    decoded_ND = model.to(resolve_device(device)).decode(codes)
    files = write_parts(out, codes.words, [decoded_ND])
    return {"vectors": [str(file) for file in files], "words": len(codes), "dims": [model.dim]}


def check_bits(n_bits: int | None, most: int) -> None:
    """Refuse a prefix that codes of `most` bits do not have, before the work that it is for.

    Raises:
        ConfigError: it is out of range.
    """
    if n_bits is not None and not 1 <= n_bits <= most:
        raise ConfigError(f"--bits {n_bits}: must lie in [1, {most}]")


def build_index(
    codes_path: Path, out: Path, *, n_bits: int | None, kind: IndexKind, parameters: IndexSettings
) -> dict[str, Any]:
    """Read codes, index them, write the index.

    Raises:
        ConfigError: parameters that the kind does not have, or that do not fit the codes.
        FileFormatError: no codes.
    """
    check_writable(out)
    codes = BinaryCodes.load(codes_path)
    check_bits(n_bits, codes.n_bits)
    if n_bits is not None:
        codes = codes.truncate(n_bits)
    given: IndexParameters = {name: value for name, value in asdict(parameters).items() if value is not None}  # pyright: ignore[reportAssignmentType]
    try:
        index = BinaryIndex(codes.n_bits, kind, **given).add(codes)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--kind {kind}: {error}") from error
    index.save(out)
    facts = {"n_bits": index.n_bits, "kind": index.kind, "parameters": index.parameters}
    return {"index": str(out), "codes": len(index), **facts, "file_bytes": out.stat().st_size}
