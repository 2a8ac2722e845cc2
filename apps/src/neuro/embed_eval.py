"""`neuro embed eval`: every code of a trained run, judged; tables, pictures, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from binemb import BinaryCodes, cosine
from ddp_utils import keyed_generator, progress
from torch import Tensor
from torch.nn.functional import cosine_similarity

from neuro.comparisons import Comparison, compare, comparison_note, comparison_table
from neuro.embed_run import TrainedRun
from neuro.embed_settings import EvaluationSettings
from neuro.plots import cosine_against_agreement, quality_against_bytes, reconstruction_histogram
from neuro.report import Section
from neuro.scoreboard import Candidate, Score, candidates, judge, score_notes, score_table, unframed

PAIRS_SHOWN = 300
ITEMS = "pairs, questions or queries"


@dataclass(frozen=True)
class Evaluation:
    """What was measured and drawn.

    Args:
        scores: one a code.
        missing: measure or code to reason for what could not be measured.
        pictures: PNG files.
        comparisons: binary codes against the prepared vectors in float32.
    """

    scores: list[Score]
    missing: dict[str, str]
    pictures: list[Path]
    comparisons: list[Comparison]


def evaluate(
    run: TrainedRun, settings: EvaluationSettings, *, seed: int, plots: Path, quiet: bool, frames: bool = True
) -> Evaluation:
    """Judge float, five-bit, binary and sigma-delta codes of a run's vectors, and draw what was found."""
    codes = run.codes
    found = candidates(run.vectors.vectors, run.model, codes, seed=seed, frames=frames)
    with progress("evaluating", len(found), unit="codes", quiet=quiet) as bar:
        scores, missing, outcomes = judge(
            found, run.vectors.words, run.prepared_ND, settings, seed=seed, on_done=lambda _: bar.advance()
        )
    missing |= unframed(run.model.dim, codes.levels) if frames else {}
    pictures = [
        quality_against_bytes(scores, plots / "quality.png", k=settings.k),
        reconstruction_histogram(_reconstruction(found, run.prepared_ND), plots / "reconstruction.png"),
        _draw_agreement(run.prepared_ND, codes, plots / "agreement.png", seed=seed),
    ]
    comparisons = compare(outcomes, "float32, prepared", resamples=settings.resamples, seed=seed)
    return Evaluation(scores, missing, pictures, comparisons)


def _reconstruction(found: list[Candidate], prepared_ND: Tensor) -> dict[str, Tensor]:
    """Cosine of decoded and prepared vectors of every code; binary codes once, though they are judged in two ways."""
    decoding = {c.name: c.decoded for c in found if c.decoded is not None and not c.name.endswith(", decoded")}
    return {name: cosine_similarity(decoded, prepared_ND) for name, decoded in decoding.items()}


def _draw_agreement(prepared_ND: Tensor, codes: BinaryCodes, path: Path, *, seed: int) -> Path:
    """All pairs among some words, each once, with close neighbours among them."""
    picked = torch.randperm(min(len(codes), 20_000), generator=keyed_generator(seed, "pairs"))[:PAIRS_SHOWN]
    similar = (prepared_ND[picked] @ prepared_ND.T).topk(min(4, len(codes))).indices.flatten()
    rows = torch.cat([picked, similar]).unique()
    left, right = torch.triu_indices(len(rows), len(rows), offset=1)
    cosines = (prepared_ND[rows] @ prepared_ND[rows].T)[left, right]
    agreements = {}
    for level in codes.levels:
        part = codes.truncate(level)[rows]
        agreements[level] = cosine(part, part)[left, right]
    return cosine_against_agreement(cosines, agreements, path)


def evaluation_sections(evaluation: Evaluation, settings: EvaluationSettings) -> list[Section]:
    """The evaluation as parts of a report."""
    columns, rows = score_table(evaluation.scores, settings)
    note = score_notes(settings, evaluation.missing)
    return [
        Section("Codes side by side", columns=columns, rows=rows, note=note, pictures=evaluation.pictures),
        *comparison_sections(evaluation.comparisons),
        intervals_section(evaluation.scores),
    ]


def comparison_sections(comparisons: list[Comparison]) -> list[Section]:
    """Codes beside float, if anything could be compared."""
    if not comparisons:
        return []
    columns, rows = comparison_table(comparisons)
    note = comparison_note(comparisons, items=ITEMS)
    return [Section("Binary codes beside float32, paired", columns=columns, rows=rows, note=note)]


def intervals_section(scores: list[Score]) -> Section:
    """How sure the similarity sets are, and what is stored once."""
    rows = [[score.name, *map(_range, score.intervals.values()), f"{score.fixed_bytes:,}"] for score in scores]
    sets = list(scores[0].intervals)
    return Section(
        "95% bootstrap intervals, and bytes stored once", columns=["code", *sets, "bytes stored once"], rows=rows
    )


def _range(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
