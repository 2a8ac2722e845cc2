"""What a codec makes of its words: figures, a table, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import cosine_similarity

from neuro.codec_plots import bytes_bars, cosine_histograms, distance_scatter
from neuro.codec_run import CodecRun, tensors
from neuro.embed_settings import EvaluationSettings
from neuro.report import Section

COLUMNS = ["", "vocabulary", "held out"]
NOTE = (
    "All bytes are counted: codes, codec, and what words take that need more bits than the others. Words themselves "
    "are needed for vectors of any form and are not. Found again: the nearest of all different vectors to a decoded "
    "one is the one that was coded. Recall: share of a word's nearest others that a search in the decoded vectors "
    "returns, asked with the vector as it was, or decoded too; held-out words are asked for in the vocabulary. Squared "
    "error: over the mean squared distance from the mean. Held out: words that the codec was not fitted to."
)


@dataclass(frozen=True)
class CodecReport:
    """What was measured and drawn.

    Args:
        figures: by name, as `sdquant.Codec.report` has them, and cosines.
        k: neighbours of the recalls.
        pictures: PNG files.
    """

    figures: dict[str, Any]
    k: int
    pictures: list[Path]


def judge_codec(run: CodecRun, settings: EvaluationSettings, *, plots: Path) -> CodecReport:
    """Measure bytes, identity, neighbours and errors, and draw them."""
    has_held_out = len(run.held_out[0]) > 0
    figures = run.codec.report(
        tensors(run.vocabulary),
        codes=run.codes,
        held_out=tensors(run.held_out) if has_held_out else None,
        queries=settings.queries,
        k=settings.k,
    )
    cosines: dict[str, Tensor] = {"vocabulary": cosine_similarity(run.decoded_ND, run.joined_ND)}
    if has_held_out:
        cosines["held out"] = cosine_similarity(run.held_out_decoded_HD, run.held_out_HD)
        figures["held_out_cosine"] = float(cosines["held out"].mean())
    figures["cosine"] = float(cosines["vocabulary"].mean())
    pictures = [
        bytes_bars(figures, plots / "bytes.png"),
        cosine_histograms(cosines, plots / "cosine.png"),
        distance_scatter(run.joined_ND, run.decoded_ND, plots / "distances.png"),
    ]
    return CodecReport(figures, settings.k, pictures)


def report_rows(report: CodecReport) -> list[list[str]]:
    """The figures as rows of text, for `COLUMNS`."""
    of, k = report.figures, report.k
    symbols = f"{of['symbols']} symbols of {of['bits_per_symbol']} bits" + ", refined" * of["refinement"]
    return [
        ["words", f"{of['rows']:,}", f"{of['held_out_rows']:,}" if "held_out_rows" in of else "-"],
        ["different vectors", f"{of['distinct']:,}", ""],
        ["a word's code", symbols, ""],
        ["times smaller than float32", f"{of['compression']:.1f}x", ""],
        ["bytes a word", f"{of['bytes_per_row']:.2f}", ""],
        ["bytes of codes", f"{of['bytes_codes']:,}", ""],
        ["  of them for words with more bits", f"{of['bytes_escapes']:,}", ""],
        ["bytes of codec", f"{of['bytes_codec']:,}", ""],
        ["words with more bits", f"{of['escape_rate']:.2%}", ""],
        ["  of them kept as they are", f"{of['exceptions']:,}", ""],
        ["found again", f"{of['identity']:.2%}", ""],
        [f"recall@{k}, asked as it was", *_both(of, "recall_asymmetric")],
        [f"recall@{k}, asked decoded", f"{of['recall_symmetric']:.3f}", ""],
        ["squared error over variance", *_both(of, "mse_over_variance", digits=4)],
        ["cosine", *_both(of, "cosine", digits=4)],
        ["error of distances", f"{of['distance_distortion']:.2%}", ""],
    ]


def _both(figures: dict[str, Any], name: str, *, digits: int = 3) -> list[str]:
    found = (figures.get(name), figures.get(f"held_out_{name}"))
    return ["-" if value is None else f"{value:.{digits}f}" for value in found]


def report_sections(run: CodecRun, report: CodecReport) -> list[Section]:
    """The figures as part of a report."""
    parts = " + ".join(map(str, run.codec.joining.dims))
    text = f"Of {parts} dimensions, compared by {run.codec.joining.metric} distance."
    if run.codec.joining.metric == "cosine":
        text = f"Of {parts} dimensions, each vector at unit length: directions are compared."
    table = Section("Codec", text=text, columns=COLUMNS, rows=report_rows(report), note=NOTE, pictures=report.pictures)
    return [table]
