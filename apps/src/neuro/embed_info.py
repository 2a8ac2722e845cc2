"""`neuro embed info`: what a run folder or a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from binemb import BinaryCodes, BinaryIndex, FloatIndex, MatryoshkaBinarizer, load_vectors
from ddp_utils import Checkpoints, read_metrics
from sdquant import Codec, CodecCodes

from neuro.file_kind import CODEC_CODES_KIND, CODEC_KIND, kind_of
from neuro.run_folder import CODEC, CODES, CONFIG, MODEL
from neuro.word_codes import KIND as WORDS_KIND
from neuro.word_codes import WordCodes, read_words, words_file


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
    describe = DESCRIBE.get(kind_of(path))
    if describe is not None:
        return describe(path)
    vectors = load_vectors(str(path), non_finite="drop")  # counted, not refused: what holds them is asked
    return {"vectors": str(path), "words": len(vectors), "dim": vectors.dim, "dropped": vectors.dropped}


def _describe_run(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise ValueError(f"{path}: no {CONFIG} in it: not a run folder")
    if (path / CODEC).is_file():
        return {
            "run": str(path),
            "finished": True,
            **_describe_codec(path / CODEC),
            **_describe_codec_codes(path / CODES),
        }
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
    index = BinaryIndex.load(path, memory_map=True)
    facts = {"n_bits": index.n_bits, "kind": index.kind, "parameters": index.parameters}
    return {"index": str(path), "count": len(index), **facts, "words": index.words is not None}


def _describe_float_index(path: Path) -> dict[str, Any]:
    index = FloatIndex.load(path, memory_map=True)
    facts = {"dim": index.dim, "metric": index.metric, "words": index.words is not None}
    return {"float_index": str(path), "count": len(index), **facts}


def _describe_codec(path: Path) -> dict[str, Any]:
    codec = Codec.load(path)
    return {
        "codec": str(path),
        "codec_id": codec.codec_id,
        "codec_bytes": path.stat().st_size,
        "dims": list(codec.joining.dims),
        "metric": codec.joining.metric,
        "compression": codec.compression,
        "symbols": codec.decoder.n_symbols,
        "bits_per_symbol": codec.decoder.bits_per_symbol,
        "refinement": codec.decoder.refinement is not None,
        "escape_stages": len(codec.decoder.stages),
    }


def _describe_codec_codes(path: Path) -> dict[str, Any]:
    codes = CodecCodes.load(path)
    has_words = words_file(path).is_file()
    if has_words:
        WordCodes.load(path)  # they are those of these codes
    return {
        "codes": str(path),
        "count": len(codes),
        "bits_per_word": codes.bits_per_row,
        "words_with_more_bits": codes.n_escapes,
        "kept_as_they_are": len(codes.exceptions[0]),
        "codes_bytes": path.stat().st_size,
        "codec_id": codes.codec_id,
        "words": has_words,
    }


def _describe_words(path: Path) -> dict[str, Any]:
    words, _ = read_words(path)
    return {"words": str(path), "count": len(words), "first": words[:5]}


DESCRIBE = {
    "binemb.matryoshka": _describe_model,
    "binemb.codes": _describe_codes,
    "binemb.index": _describe_index,
    "binemb.float_index": _describe_float_index,
    CODEC_KIND: _describe_codec,
    CODEC_CODES_KIND: _describe_codec_codes,
    WORDS_KIND: _describe_words,
}
