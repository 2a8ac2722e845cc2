"""`neuro embed eval` of a codec: its figures, and what its vectors are worth beside those in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ddp_utils import progress
from torch import Tensor

from neuro.codec_plots import measures_beside_float
from neuro.codec_report import CodecReport, judge_codec, report_sections
from neuro.codec_run import CodecRun
from neuro.embed_eval import intervals_section
from neuro.embed_settings import EvaluationSettings
from neuro.report import Section
from neuro.scoreboard import Candidate, Score, judge, score_notes, score_table

ABOUT = (
    "B/vector counts all bytes, a part's by its share of the dimensions. Recall here is by cosine, of decoded vectors "
    "among each other."
)


@dataclass(frozen=True)
class CodecEvaluation:
    """What was measured and drawn.

    Args:
        report: the codec's own figures.
        scores: of vectors and decoded vectors; of all parts together, then of each of several.
        missing: measure to reason for what could not be measured.
        pictures: PNG files.
    """

    report: CodecReport
    scores: list[Score]
    missing: dict[str, str]
    pictures: list[Path]


def evaluate_codec(
    run: CodecRun, settings: EvaluationSettings, *, seed: int, plots: Path, quiet: bool
) -> CodecEvaluation:
    """Measure a codec, and judge its vectors by the sets that people have judged."""
    report = judge_codec(run, settings, plots=plots)
    sides = _sides(run, report.figures["compression"])
    scores: list[Score] = []
    missing: dict[str, str] = {}
    with progress("evaluating", 2 * len(sides), unit="sets of vectors", quiet=quiet) as bar:
        for given_ND, pair in sides:
            found, reasons, _ = judge(pair, run.words, given_ND, settings, seed=seed, on_done=lambda _: bar.advance())
            scores += found
            missing |= reasons
    picture = measures_beside_float(scores, plots / "quality.png", k=settings.k)
    return CodecEvaluation(report, scores, missing, [*report.pictures, picture])


def _sides(run: CodecRun, compression: float) -> list[tuple[Tensor, list[Candidate]]]:
    """Vectors, and as candidates they and what decodes: of all parts side by side, then of each of several."""
    sides = [("", run.joined_ND, run.decoded_ND)]
    if len(run.vocabulary) > 1:
        dims = list(run.codec.joining.dims)
        split = zip(run.joined_ND.split(dims, dim=1), run.decoded_ND.split(dims, dim=1), strict=True)
        sides += [(f", part {i}", *vectors) for i, vectors in enumerate(split, 1)]
    return [
        (
            given_ND,
            [
                Candidate(f"float32{name}", 4 * given_ND.shape[1], given_ND, None),
                Candidate(f"codec{name}", 4 * given_ND.shape[1] / compression, decoded_ND, decoded_ND),
            ],
        )
        for name, given_ND, decoded_ND in sides
    ]


def evaluation_sections(run: CodecRun, result: CodecEvaluation, settings: EvaluationSettings) -> list[Section]:
    """The evaluation as parts of a report."""
    columns, rows = score_table(result.scores, settings)
    note = score_notes(settings, result.missing, about=ABOUT)
    return [
        *report_sections(run, result.report),
        Section("Beside float32", columns=columns, rows=rows, note=note, pictures=result.pictures[-1:]),
        intervals_section(result.scores),
    ]
