"""`neuro embed fit`: read like a story: vectors, codec, files, judgement, report."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from binemb import WordVectors
from ddp_utils import atomic_file, resolve_device, setup_logging, write_environment
from sdquant import Codec

from neuro.codec_report import CodecReport, judge_codec, report_sections
from neuro.codec_run import CodecRun, check_directions, describe, split_held_out, tensors
from neuro.config import to_toml
from neuro.embed_run import read_parts
from neuro.embed_settings import EmbedFitSettings, EvaluationSettings
from neuro.report import Section, write_report
from neuro.run_folder import CODEC, CODES, CONFIG, REPORT, holding, plan_folder
from neuro.word_codes import words_file

log = logging.getLogger("neuro")


def fit(settings: EmbedFitSettings, *, out: Path | None, quiet: bool) -> tuple[dict[str, Any], CodecReport]:
    """Fit a codec and judge it; returns the summary and the report."""
    setup_logging(quiet=quiet)
    resolve_device(settings.device)
    folder = plan_folder("embed-fit", out)
    with holding(folder):
        parts = read_parts(settings.vectors)
        check_directions(parts, settings.codec.metric)
        log.info("%s; run folder %s", describe(parts), folder)
        run = fit_run(settings, *split_held_out(parts, settings.held_out, settings.seed))
        save_run(folder, settings, run)
        log.info("judging")
        report = judge_codec(run, EvaluationSettings(), plots=folder / "plots")
        sections = [
            Section("Vectors", text=f"{describe(parts)}."),
            *report_sections(run, report),
            Section("Settings", preformatted=to_toml(settings)),
        ]
        write_report(folder / REPORT, "neuro embed fit", sections)
        return _summary(folder, parts, run, report), report


def fit_run(settings: EmbedFitSettings, vocabulary: list[WordVectors], held_out: list[WordVectors]) -> CodecRun:
    """Fit to the vocabulary.

    Raises:
        CompressionError: the vocabulary does not allow the compression.
    """
    log.info("fitting a codec %gx smaller than %s words", settings.compression, f"{len(vocabulary[0]):,}")
    codec, codes = Codec.fit_encode(
        tensors(vocabulary, resolve_device(settings.device)),
        settings.compression,
        config=settings.codec,
        seed=settings.seed,
    )
    return CodecRun(codec.to("cpu"), vocabulary, codes, held_out)


def save_run(folder: Path, settings: EmbedFitSettings, run: CodecRun) -> None:
    """Write settings, codec, codes and words; none takes its place before all are whole, the codec last."""
    with contextlib.ExitStack() as whole:
        codec, config, words, codes = (
            whole.enter_context(atomic_file(path))
            for path in (folder / CODEC, folder / CONFIG, words_file(folder / CODES), folder / CODES)
        )
        run.codec.save(codec)
        config.write_text(to_toml(settings), encoding="utf-8")
        run.word_codes.write(codes, words)
    write_environment(folder)


def _summary(folder: Path, parts: list[WordVectors], run: CodecRun, report: CodecReport) -> dict[str, Any]:
    return {
        "run": str(folder),
        "codec": str(folder / CODEC),
        "codes": str(folder / CODES),
        "report": str(folder / REPORT),
        "plots": [str(path) for path in report.pictures],
        "words": len(run.words),
        "held_out": len(run.held_out[0]),
        "parts": [{"source": part.source, "dim": part.dim, "dropped": part.dropped} for part in parts],
        "figures": report.figures,
    }
