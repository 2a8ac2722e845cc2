"""`neuro embed encode` and `decode` with a codec."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from ddp_utils import gather_objects, process_group, resolve_device, run_on_main, setup_logging
from sdquant import CodecCodes
from sdquant.bit_stream import pack_numbers

from neuro.codec_run import describe, load_codec, read_for, tensors
from neuro.config import ConfigError
from neuro.embed_settings import VectorSettings
from neuro.output import check_writable
from neuro.vector_files import check_suffix, write_parts
from neuro.word_codes import WordCodes, identify

log = logging.getLogger("neuro")


def encode(
    model_path: Path, out: Path, *, vectors: VectorSettings, verify: bool, device: str, quiet: bool
) -> dict[str, Any] | None:
    """Encode vectors into codes and words; None in all but the main process.

    Verified, the vectors are a vocabulary in which every word is found again: that is work for one process. Else each
    process takes its share of the rows.
    """
    check_writable(out)
    with process_group(device) as world:
        setup_logging(quiet=quiet)
        if verify and world.world_size > 1:
            raise ConfigError(
                f"{world.world_size} processes: every word is compared with all others, which is work for one; leave "
                "--nproc out, or add --no-verify"
            )
        codec = load_codec(model_path)
        parts = read_for(codec, model_path, vectors)
        log.info("encoding %s", describe(parts))
        rows = torch.arange(len(parts[0])).tensor_split(world.world_size)[world.rank]
        share = [part[rows] for part in tensors(parts)]
        codes = codec.to(world.device).encode([part.to(world.device) for part in share], verify=verify)
        codes = concatenate(gather_objects(codes))
        run_on_main(WordCodes(codes, parts[0].words, identify(tensors(parts))).save, out)
        if not world.is_main:
            return None
        size = out.stat().st_size
        return {
            "codes": str(out),
            "words": len(codes),
            "dropped": [part.dropped for part in parts],
            "verified": verify,
            "bits_per_word": codes.bits_per_row,
            "words_with_more_bits": codes.n_escapes,
            "bytes_per_word": size / len(codes),
            "file_bytes": size,
        }


def concatenate(shares: Sequence[CodecCodes]) -> CodecCodes:
    """Join codes of consecutive rows, none of which has more bits than the others."""
    first, *others = shares
    if not others:
        return first
    assert all(codes.n_escapes == 0 for codes in shares)
    symbols = torch.cat([codes.symbols() for codes in shares])
    return replace(first, stream=pack_numbers(symbols.flatten(), first.bits_per_symbol), n_rows=len(symbols))


def decode(codes_path: Path, model_path: Path, out: Path, *, device: str) -> dict[str, Any]:
    """Decode codes into vector files, one a part."""
    check_suffix(out)
    check_writable(out)
    where = resolve_device(device)
    kept = WordCodes.load(codes_path)
    decoded = load_codec(model_path).to(where).decode(kept.codes)
    parts = [part.cpu() for part in (decoded if isinstance(decoded, list) else [decoded])]
    files = write_parts(out, kept.words, parts)
    return {"vectors": [str(file) for file in files], "words": len(kept.words), "dims": [p.shape[1] for p in parts]}
