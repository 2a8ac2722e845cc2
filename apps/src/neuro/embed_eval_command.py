"""`neuro embed eval`: options; the work is in `embed_eval`, `embed_retrieval` and `codec_eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuro import codec_commands
from neuro.options import (
    AnyModel,
    ConfigFile,
    DryRun,
    Json,
    Limit,
    Quiet,
    RunFolder,
    Seed,
    SentenceModel,
    Settings,
    SeveralVectors,
    join_sources,
)

if TYPE_CHECKING:
    from neuro.embed_settings import EmbedEvalSettings


def evaluate(
    model: AnyModel,
    vectors: SeveralVectors = None,
    limit: Limit = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option(help="Word similarity set: wordsim353, simlex999, or a file (MEN, ...). Repeatable."),
    ] = None,
    analogies: Annotated[str | None, typer.Option(help='Analogy set: google, a file, or "" for none.')] = None,
    retrieval: Annotated[
        str | None,
        typer.Option(
            help="Judge retrieval instead of words, by a test collection in the layout of BEIR or of Cranfield. Needs "
            "a run of `embed train --vectors sentences:FILE`, or --sentence-model.",
            metavar="FOLDER",
        ),
    ] = None,
    sentence_model: SentenceModel = None,
    config: ConfigFile = None,
    settings: Settings = None,
    seed: Seed = None,
    out: RunFolder = None,
    as_json: Json = False,
    quiet: Quiet = False,
    dry_run: DryRun = False,
) -> None:
    """Judge a codec or a run's codes beside float32: similarity, analogies, recall, reconstruction; or retrieval."""
    from dataclasses import asdict

    from neuro.config import ConfigError, to_toml
    from neuro.embed_run import resolve_for_model
    from neuro.embed_settings import EmbedEvalSettings
    from neuro.file_kind import holds_codec
    from neuro.output import check_writable, print_json, say

    flags = {
        "vectors.source": join_sources(vectors),
        "vectors.limit": limit,
        "evaluation.pairs": pairs,
        "evaluation.analogies": analogies,
        "retrieval.path": retrieval,
        "retrieval.sentence_model": sentence_model,
        "seed": seed,
    }
    resolved = resolve_for_model(EmbedEvalSettings, model, file=config, assignments=settings or (), flags=flags)
    retrieves = bool(resolved.retrieval.path)
    given = {"--pairs": pairs, "--analogies": analogies, "--limit": limit, "--vectors": vectors}
    for option, value in given.items() if retrieves else ():
        if value is not None:
            raise ConfigError(f"{option}: is for words; --retrieval judges the texts of {resolved.retrieval.path}")
    page = "retrieval.html" if retrieves else "eval.html"
    folder = out or (model if model.is_dir() else model.parent)
    check_writable(folder / page)
    if dry_run:
        print_json(asdict(resolved)) if as_json else say(
            f"{to_toml(resolved)}\n# would write plots and {page} to {folder}"
        )
        return
    if holds_codec(model):
        if retrieves:
            raise ConfigError(f"--retrieval: is for binary codes of `embed train`; {model} holds a codec")
        codec_commands.evaluate(model, folder, resolved, as_json=as_json, quiet=quiet)
    elif retrieves:
        _evaluate_retrieval(model, folder, resolved, as_json=as_json, quiet=quiet)
    else:
        _evaluate_words(model, folder, resolved, as_json=as_json, quiet=quiet)


def _evaluate_words(model: Path, folder: Path, settings: EmbedEvalSettings, *, as_json: bool, quiet: bool) -> None:
    from ddp_utils import setup_logging

    from neuro import embed_eval
    from neuro.comparisons import comparison_note, comparison_table
    from neuro.embed_run import open_trained
    from neuro.output import print_json, print_table, say
    from neuro.report import write_report
    from neuro.scoreboard import check_sets, score_notes, score_table

    setup_logging(quiet=quiet)
    check_sets(settings.evaluation)
    run = open_trained(model, settings.vectors)
    plots = folder / "plots"
    result = embed_eval.evaluate(run, settings.evaluation, seed=settings.seed, plots=plots, quiet=quiet)
    sections = embed_eval.evaluation_sections(result, settings.evaluation)
    report = write_report(folder / "eval.html", "neuro embed eval", sections)
    if as_json:
        print_json(
            {
                "model": str(model),
                "scores": [score.to_dict() for score in result.scores],
                "comparisons": [comparison.to_dict() for comparison in result.comparisons],
                "not_measured": result.missing,
                "report": str(report),
                "plots": [str(path) for path in result.pictures],
            }
        )
        return
    print_table(f"{len(run.vectors):,} words of {run.vectors.source}", *score_table(result.scores, settings.evaluation))
    say(score_notes(settings.evaluation, result.missing) + "\n")
    if result.comparisons:
        print_table("Binary codes beside float32, paired", *comparison_table(result.comparisons))
        say(comparison_note(result.comparisons, items=embed_eval.ITEMS))
    say(f"\nplots {plots}\nreport {report}")


def _evaluate_retrieval(model: Path, folder: Path, settings: EmbedEvalSettings, *, as_json: bool, quiet: bool) -> None:
    from dataclasses import asdict

    from ddp_utils import setup_logging

    from neuro import embed_retrieval
    from neuro.embed_run import load_model
    from neuro.output import print_json, print_table, say
    from neuro.report import write_report

    setup_logging(quiet=quiet)
    sentence_model = embed_retrieval.choose_sentence_model(settings.retrieval, settings.vectors)
    _, trained = load_model(model)
    found = embed_retrieval.evaluate(
        trained,
        settings.retrieval,
        settings.evaluation,
        sentence_model=sentence_model,
        seed=settings.seed,
        plots=folder / "plots",
        quiet=quiet,
    )
    sections = embed_retrieval.retrieval_sections(found)
    report = write_report(folder / "retrieval.html", "neuro embed eval --retrieval", sections)
    if as_json:
        document = {**asdict(found), "scores": [score.to_dict() for score in found.scores]}
        document |= {"comparisons": [comparison.to_dict() for comparison in found.comparisons]}
        document |= {"picture": str(found.picture)}
        print_json({"model": str(model), **document, "report": str(report)})
        return
    title = f"{found.name}: {found.documents:,} documents, {found.queries:,} queries"
    print_table(title, *embed_retrieval.retrieval_table(found))
    say(embed_retrieval.retrieval_note(found))
    say(f"\nplots {folder / 'plots'}\nreport {report}")
