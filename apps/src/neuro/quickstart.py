"""The main job on real embeddings: load, train, encode, judge, search, report."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from binemb import MatryoshkaBinarizer, WordVectors
from ddp_utils import lock_run_folder, process_group, read_metrics, run_on_main, setup_logging

from neuro.embed_eval import Evaluation, evaluate, evaluation_sections
from neuro.embed_run import TrainedRun, read_vectors
from neuro.embed_search import Answer, search
from neuro.embed_settings import EmbedTrainSettings, QuickstartSettings
from neuro.embed_train import describe, save_model, train_model
from neuro.output import print_json, print_table, say
from neuro.plots import training_curves
from neuro.report import Section, write_report
from neuro.run_folder import RunPlan, open_run, plan_run
from neuro.scoreboard import score_notes, score_table

ANSWERS = 5
log = logging.getLogger("neuro")


def quickstart(settings: QuickstartSettings, *, out: Path | None, resume: str, as_json: bool, quiet: bool) -> None:
    """Run the whole job; the main process trains with the others and then judges alone."""
    start = time.monotonic()
    with process_group(settings.device) as world:
        setup_logging(quiet=quiet)
        plan = run_on_main(lambda: plan_run("quickstart", settings, out=out, resume=resume))
        with lock_run_folder(plan.folder) if world.is_main else contextlib.nullcontext():
            run_on_main(open_run, plan, settings)
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
    run = TrainedRun(plan.folder, model, vectors)
    evaluation = evaluate(run, settings.evaluation, seed=settings.seed, plots=plan.folder / "plots", quiet=quiet)
    searches = {
        query: {space: search(run, query, k=ANSWERS, space=space) for space in ("float", "binary")}
        for query in settings.queries
    }
    report = _write_report(settings, plan.folder, vectors, evaluation, searches)
    seconds = time.monotonic() - start
    if as_json:
        print_json(_summary(plan.folder, report, vectors, evaluation, searches, seconds))
        return
    print_table(f"{len(vectors):,} words of {vectors.source}", *score_table(evaluation.scores, settings.evaluation))
    say(score_notes(settings.evaluation) + "\n")
    print_table("Searches", ["query", "in", "nearest words"], _search_rows(searches, settings.bits[-1]))
    say(f"{seconds:.0f} s. All of it with plots: {report}")
    say(f'Next: uv run neuro embed search --model {plan.folder} --query "king - man + woman" -k 5')


def _search_rows(searches: dict[str, dict[str, list[Answer]]], n_bits: int) -> list[list[str]]:
    names = {"float": "float32", "binary": f"{n_bits} bits"}
    return [
        [query, names[space], ", ".join(answer.word for answer in answers)]
        for query, by_space in searches.items()
        for space, answers in by_space.items()
    ]


def _write_report(
    settings: QuickstartSettings,
    folder: Path,
    vectors: WordVectors,
    evaluation: Evaluation,
    searches: dict[str, dict[str, list[Answer]]],
) -> Path:
    curves = training_curves(read_metrics(folder), settings.bits, folder / "plots" / "training.png")
    columns = ["query", "in", "nearest words"]
    sections = [
        Section("Vectors", text=f"{describe(vectors)}."),
        *evaluation_sections(evaluation, settings.evaluation),
        Section("Searches", columns=columns, rows=_search_rows(searches, settings.bits[-1])),
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
    }
