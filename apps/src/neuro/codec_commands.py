"""`neuro embed fit` and `decode`, and what `encode` and `eval` do with a codec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from neuro.options import (
    AnyModel,
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    Quiet,
    RunFolder,
    Seed,
    Settings,
    SeveralVectors,
    join_sources,
)

if TYPE_CHECKING:
    from neuro.embed_settings import EmbedEvalSettings, VectorSettings


def fit(
    vectors: SeveralVectors = None,
    limit: Limit = None,
    compression: Annotated[
        float | None, typer.Option(help="Times smaller than float32, codec and codes together.")
    ] = None,
    metric: Annotated[
        Literal["euclidean", "cosine"] | None, typer.Option(help="Keep vectors as they are, or directions only.")
    ] = None,
    held_out: Annotated[int | None, typer.Option(help="Words to keep out of the fit and judge by.", min=0)] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    device: Device = None,
    seed: Seed = None,
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Fit a codec to vectors: 50 to 100 times smaller than float32, and every word found again."""
    from dataclasses import asdict

    from ddp_utils import resolve_device

    from neuro.config import resolve, to_toml
    from neuro.embed_settings import EmbedFitSettings
    from neuro.launching import check_single_process
    from neuro.output import print_json, print_table, say
    from neuro.run_folder import plan_folder

    flags = {
        "vectors.source": join_sources(vectors),
        "vectors.limit": limit,
        "compression": compression,
        "codec.metric": metric,
        "held_out": held_out,
        "seed": seed,
        "device": device,
    }
    resolved = resolve(EmbedFitSettings, file=config, assignments=settings or (), flags=flags)
    check_single_process("embed fit")
    if dry_run:
        folder = plan_folder("embed-fit", out)
        resolve_device(resolved.device)
        if as_json:
            print_json({"settings": asdict(resolved), "run": str(folder)})
        else:
            say(f"{to_toml(resolved)}\n# would fit a codec and write it, with codes and report, into {folder}")
        return
    from neuro import codec_fit, codec_report

    summary, report = codec_fit.fit(resolved, out=out, quiet=quiet)
    if as_json:
        print_json(summary)
        return
    print_table(f"{summary['words']:,} words", codec_report.COLUMNS, codec_report.report_rows(report))
    say(f"codec {summary['codec']}\ncodes {summary['codes']}\nreport {summary['report']}")


def check_encode(*, by_codec: bool, bits: int | None, no_verify: bool, nproc: int) -> None:
    """Refuse options of `embed encode` that are not for this kind of model.

    Raises:
        ConfigError: one is given.
    """
    from neuro.config import ConfigError

    if by_codec and bits is not None:
        raise ConfigError(f"--bits {bits}: is for binary codes; a codec's codes have no prefixes")
    if no_verify and not by_codec:
        raise ConfigError("--no-verify: is for codecs; binary codes are never verified")
    if by_codec and not no_verify and nproc > 1:
        raise ConfigError(
            f"--nproc {nproc}: every word is compared with all others, which is work for one process; leave --nproc "
            "out, or add --no-verify"
        )


def encode(
    model: Path, out: Path, vectors: VectorSettings, *, verify: bool, device: str, as_json: bool, quiet: bool
) -> None:
    """Encode vectors with a codec, and say what came out."""
    from neuro import codec_encode
    from neuro.output import print_json, say

    summary = codec_encode.encode(model, out, vectors=vectors, verify=verify, device=device, quiet=quiet)
    if summary is None:
        return
    if as_json:
        print_json(summary)
        return
    found = "every word is found again" if verify else "not verified"
    say(
        f"{summary['words']:,} words, {summary['bytes_per_word']:.2f} bytes each, {found}: {summary['codes']} and "
        f"{summary['codes']}.words"
    )


def decode(
    codes: Annotated[Path, typer.Option("--codes", help="Codes file of `embed fit`, `train` or `encode`.")],
    model: AnyModel,
    out: Annotated[
        Path,
        typer.Option("--out", help="NAME.npy, NAME.safetensors or NAME.txt; NAME.1.npy and so on for several parts."),
    ],
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Decode codes into vectors with their words, which every command reads; of binary codes, prepared directions."""
    from ddp_utils import setup_logging

    from neuro import codec_encode, embed_codes
    from neuro.file_kind import BINARY_CODES_KIND, kind_of
    from neuro.output import print_json, say

    setup_logging(quiet=True)
    binary = codes.is_file() and kind_of(codes) == BINARY_CODES_KIND
    summary = (embed_codes if binary else codec_encode).decode(codes, model, out, device=device or "auto")
    if as_json:
        print_json(summary)
        return
    for file, dim in zip(summary["vectors"], summary["dims"], strict=True):
        say(f"{summary['words']:,} words x {dim}: {file}")


def evaluate(model: Path, folder: Path, settings: EmbedEvalSettings, *, as_json: bool, quiet: bool) -> None:
    """Judge a codec; table, pictures and `eval.html` in the folder."""
    from dataclasses import asdict

    from ddp_utils import resolve_device, setup_logging

    from neuro import codec_eval, codec_report
    from neuro.codec_run import open_codec_run
    from neuro.output import print_json, print_table, say
    from neuro.report import write_report
    from neuro.scoreboard import check_sets, score_notes, score_table

    setup_logging(quiet=quiet)
    check_sets(settings.evaluation)
    run = open_codec_run(model, settings.vectors, resolve_device())
    plots = folder / "plots" / "eval"
    result = codec_eval.evaluate_codec(run, settings.evaluation, seed=settings.seed, plots=plots, quiet=quiet)
    sections = codec_eval.evaluation_sections(run, result, settings.evaluation)
    report = write_report(folder / "eval.html", "neuro embed eval", sections)
    if as_json:
        files = {"report": str(report), "plots": [str(path) for path in result.pictures]}
        scores = [asdict(score) for score in result.scores]
        figures = result.report.figures
        print_json({"model": str(model), "figures": figures, "scores": scores, "not_measured": result.missing, **files})
        return
    print_table(f"{len(run.words):,} words", codec_report.COLUMNS, codec_report.report_rows(result.report))
    print_table("Beside float32", *score_table(result.scores, settings.evaluation))
    say(score_notes(settings.evaluation, result.missing, about=codec_eval.ABOUT))
    say(f"\nplots {plots}\nreport {report}")
