"""The main job on real embeddings: load, train, encode, judge, search, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from binemb import MatryoshkaBinarizer, UnknownWordError, WordVectors
from ddp_utils import process_group, read_metrics, run_on_main, setup_logging

from neuro.embed_eval import Evaluation, evaluate, evaluation_sections
from neuro.embed_run import TrainedRun, read_vectors
from neuro.embed_search import Answer, Searcher, SearchOptions, SearchSpace
from neuro.embed_settings import EmbedTrainSettings, QuickstartSettings
from neuro.embed_train import describe, save_model, train_model
from neuro.output import print_json, print_table, say
from neuro.plots import training_curves
from neuro.report import Section, write_report
from neuro.run_folder import RunPlan, plan_run, running
from neuro.scoreboard import check_sets, score_notes, score_table

ANSWERS = 5
SPACES: tuple[SearchSpace, ...] = ("float", "binary")
log = logging.getLogger("neuro")


def quickstart(settings: QuickstartSettings, *, out: Path | None, resume: str, as_json: bool, quiet: bool) -> None:
    """Run the whole job; the main process trains with the others and then judges alone."""
    start = time.monotonic()
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("quickstart", settings, out=out, resume=resume))
        with running(plan, settings):
            check_sets(settings.evaluation)
            vectors = read_vectors(settings.vectors)
            log.info("%s; run folder %s", describe(vectors), plan.folder)
            training = EmbedTrainSettings(
                settings.vectors, settings.bits, settings.seed, settings.device, settings.train
            )
            model = train_model(training, vectors, plan, world, quiet=quiet, tensorboard=False)
            if world.is_main:
                _judge_and_report(settings, plan, model, vectors, start=start, as_json=as_json, quiet=quiet)


def _judge_and_report(
    settings: QuickstartSettings,
    plan: RunPlan,
    model: MatryoshkaBinarizer,
    vectors: WordVectors,
    *,
    start: float,
    as_json: bool,
    quiet: bool,
) -> None:
    save_model(plan.folder, model, vectors)
    sentence_model = settings.vectors.sentence_model if settings.vectors.holds_sentences else None
    run = TrainedRun(plan.folder, model, vectors, sentence_model)
    evaluation = evaluate(run, settings.evaluation, seed=settings.seed, plots=plan.folder / "plots", quiet=quiet)
    searches, unknown = _search_all(run, settings.queries)
    report = _write_report(settings, plan.folder, vectors, evaluation, searches, unknown)
    seconds = time.monotonic() - start
    if as_json:
        print_json(_summary(plan.folder, report, vectors, evaluation, searches, unknown, seconds))
        return
    print_table(f"{len(vectors):,} words of {vectors.source}", *score_table(evaluation.scores, settings.evaluation))
    say(score_notes(settings.evaluation, evaluation.missing) + "\n")
    print_table("Searches", ["query", "in", "nearest words"], _search_rows(searches, unknown, settings.bits[-1]))
    say("".join(f"Not answered (-): {reason}.\n" for reason in unknown.values()))
    say(f"{seconds:.0f} s. All of it with plots: {report}")
    example = next(reversed([query for query in searches if " " in query] or [*searches]), vectors.words[0])
    say(f'Next: uv run neuro embed search --model {plan.folder} --query "{example}" -k 5')


def _search_all(run: TrainedRun, queries: Sequence[str]) -> tuple[dict[str, dict[str, list[Answer]]], dict[str, str]]:
    """Answers by query and space, and query to reason for those that have words the vectors do not have."""
    searchers = {space: Searcher(run, SearchOptions(space=space)) for space in SPACES}
    answers: dict[str, dict[str, list[Answer]]] = {}
    unknown: dict[str, str] = {}
    for query in queries:
        try:
            answers[query] = {space: searcher.nearest(query, k=ANSWERS) for space, searcher in searchers.items()}
        except UnknownWordError as error:
            unknown[query] = str(error)
    return answers, unknown


def _search_rows(searches: dict[str, dict[str, list[Answer]]], unknown: dict[str, str], n_bits: int) -> list[list[str]]:
    names = {"float": "float32", "binary": f"{n_bits} bits"}
    found = [
        [query, names[space], ", ".join(answer.word for answer in answers)]
        for query, by_space in searches.items()
        for space, answers in by_space.items()
    ]
    return found + [[query, "-", "-"] for query in unknown]


def _write_report(
    settings: QuickstartSettings,
    folder: Path,
    vectors: WordVectors,
    evaluation: Evaluation,
    searches: dict[str, dict[str, list[Answer]]],
    unknown: dict[str, str],
) -> Path:
    curves = training_curves(read_metrics(folder), settings.bits, folder / "plots" / "training.png")
    columns = ["query", "in", "nearest words"]
    note = " ".join(f"Not answered (-): {reason}." for reason in unknown.values())
    sections = [
        Section("Vectors", text=f"{describe(vectors)}."),
        *evaluation_sections(evaluation, settings.evaluation),
        Section("Searches", columns=columns, rows=_search_rows(searches, unknown, settings.bits[-1]), note=note),
        Section("Training", pictures=[curves]),
        Section("Settings", preformatted=tomli_w.dumps(asdict(settings))),
    ]
    return write_report(folder / "report.html", "neuro quickstart", sections)


def _summary(
    folder: Path,
    report: Path,
    vectors: WordVectors,
    evaluation: Evaluation,
    searches: dict[str, dict[str, list[Answer]]],
    unknown: dict[str, str],
    seconds: float,
) -> dict[str, Any]:
    answers = {
        query: {space: [asdict(answer) for answer in found] for space, found in by_space.items()}
        for query, by_space in searches.items()
    }
    return {
        "run": str(folder),
        "report": str(report),
        "words": len(vectors),
        "seconds": seconds,
        "scores": [score.to_dict() for score in evaluation.scores],
        "searches": answers,
        "not_measured": evaluation.missing,
        "not_answered": unknown,
    }
