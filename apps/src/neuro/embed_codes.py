"""Codes and indexes as files: `neuro embed encode`, `index` and `info`."""

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
    run_on_main,
    setup_logging,
)

from neuro.config import ConfigError
from neuro.embed_run import open_trained
from neuro.embed_settings import IndexSettings, VectorSettings
from neuro.output import check_writable


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
