"""`neuro spike encode` and `decode`: vectors or texts as spike trains, and back."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from binemb import WordVectors
from ddp_utils import progress, resolve_device, setup_logging
from spikecode import LanguageModel, SpikeCodec, SpikeTrain, TextSpikeEncoder

from neuro.config import ConfigError
from neuro.embed_run import read_vectors
from neuro.embed_settings import VectorSettings
from neuro.output import check_writable
from neuro.spike_files import SpikeFile
from neuro.spike_settings import SAMPLE_MODEL, MethodName, SpikeEncodeSettings, fit_arguments
from neuro.vector_files import check_suffix, write_parts

log = logging.getLogger("neuro")


def read_vocabulary(settings: VectorSettings) -> WordVectors:
    """Vectors and their words; of samples:minilm the whole table of input embeddings, unused entries included."""
    if settings.source != SAMPLE_MODEL:
        return read_vectors(settings)
    model = LanguageModel.load(SAMPLE_MODEL, 0)
    n_words = settings.limit or len(model.words)
    return WordVectors(model.words[:n_words], model.embeddings_VD[:n_words], settings.source)


def encode(
    settings: SpikeEncodeSettings, out: Path, *, text: str | None, codec_file: Path | None, quiet: bool
) -> dict[str, Any]:
    """Encode vectors, or the texts of a file, into a train file with its codec.

    Args:
        settings: what to encode and how.
        out: the train file.
        text: a file with texts, one a line, or "-" for the standard input; None for vectors.
        codec_file: a codec that is used as it is; None fits one.
        quiet: no progress.
    """
    check_writable(out)
    setup_logging(quiet=quiet)
    device = resolve_device(settings.device)
    codec = None if codec_file is None else SpikeCodec.load(codec_file).to(device)
    if text is None:
        kept = _encode_vectors(settings, codec, device)
    else:
        kept = _encode_texts(settings, read_texts(text), codec, device, quiet=quiet)
    kept.save(out)
    n, dim, neurons, steps = kept.train.shape
    return {
        "train": str(out),
        "codec": f"{out}.codec",
        "tokens": n,
        "texts": len(kept.lengths),
        "dimensions": dim,
        "neurons": neurons,
        "steps": steps,
        "density": kept.train.density,
        "clipped": kept.train.clipped,
        "layout": kept.train.layout,
        "bits_per_token": 8 * kept.train.nbytes / n,
        "file_bytes": out.stat().st_size,
    }


def read_texts(path: str) -> list[str]:
    """Texts of a file or of the standard input, one a line; blank lines are passed over.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: not UTF-8, or no text in it.
    """
    try:
        content = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--text {path}: not UTF-8 text: {error}") from error
    texts = [line.strip() for line in content.split("\n") if line.strip()]
    if not texts:
        raise ConfigError(f"--text {path}: no text in it")
    return texts


def _encode_vectors(settings: SpikeEncodeSettings, codec: SpikeCodec | None, device: torch.device) -> SpikeFile:
    vectors = read_vocabulary(settings.vectors)
    x_nD = vectors.vectors.to(device)
    if codec is None:
        code = settings.code
        arguments = fit_arguments(code)
        codec = SpikeCodec.fit(x_nD, neurons=code.neurons, steps=code.steps, seed=settings.seed, **arguments)
    try:
        train = codec.encode(x_nD)
    except MemoryError as error:
        said = str(error).rpartition(";")[0]
        raise ConfigError(f"{said}; lower --limit, --neurons or --steps") from error
    if train.clipped:
        log.warning("%d values lie outside the codec's range and were clipped", train.clipped)
    return SpikeFile(train.to("cpu"), codec.to("cpu"), vectors.words, [], None)


def _encode_texts(
    settings: SpikeEncodeSettings, texts: list[str], codec: SpikeCodec | None, device: torch.device, *, quiet: bool
) -> SpikeFile:
    code, model = settings.code, settings.text
    if codec is None:
        encoder = TextSpikeEncoder(
            model.model,
            layer=model.layer,
            neurons=code.neurons,
            steps=code.steps,
            seed=settings.seed,
            **fit_arguments(code),
        )
    else:
        encoder = TextSpikeEncoder.with_codec(codec.to("cpu"), model.model, layer=model.layer)
    encoder.codec = encoder.codec.to(device)
    trains: list[SpikeTrain] = []
    rows = 0
    with progress("encoding", len(texts), unit="texts", quiet=quiet) as bar:
        for number, text in enumerate(texts):
            train = replace(encoder.encode(text, number=number).to("cpu"), first_token=rows)
            trains.append(train)
            rows += len(train)
            bar.advance()
    lengths = [len(train) for train in trains]
    return SpikeFile(SpikeTrain.cat(trains), encoder.codec.to("cpu"), [], lengths, model)


def decode(path: Path, out: Path | None, *, method: MethodName, device: str, **reckon_with: float) -> dict[str, Any]:
    """Decode a train file into vectors in a file, or into texts.

    Args:
        path: the train file.
        out: where vectors or texts go; None returns texts only.
        method: the decoder.
        device: where to compute.
        reckon_with: "dead", "background" and "lost" of `SpikeCodec.decode`, those that are known.

    Raises:
        ConfigError: vectors without a file to go to.
    """
    where = resolve_device(device)
    kept = SpikeFile.load(path)
    codec, train = kept.codec.to(where), kept.train.to(where)
    if kept.text is not None:
        encoder = TextSpikeEncoder.with_codec(kept.codec, kept.text.model, layer=kept.text.layer)
        encoder.codec = codec
        texts, start = [], 0
        for length in kept.lengths:
            texts.append(encoder.decode(train[start : start + length], method=method, **reckon_with))
            start += length
        if out is not None:
            check_writable(out)
            out.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return {"train": str(path), "tokens": len(train), "texts": texts, "file": out and str(out)}
    if out is None:
        raise ConfigError(f"{path}: holds vectors; name the file they go to with --out NAME.npy")
    check_suffix(out)
    check_writable(out)
    decoded_nD = codec.decode(train, method=method, **reckon_with).cpu()
    files = write_parts(out, kept.words, [decoded_nD])
    return {"train": str(path), "tokens": len(train), "dimensions": decoded_nD.shape[1], "file": str(files[0])}
