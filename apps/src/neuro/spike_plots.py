"""Pictures of `neuro spike eval`, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import spikecode as sc
import torch
from binemb import WordVectors

from neuro.plots import new_figure, save_figure
from neuro.spike_settings import SpikeEvalSettings

if TYPE_CHECKING:
    from neuro.scoreboard import Score
    from neuro.spike_eval import SpikeCode

_DRAWN = 512  # words whose values are drawn one by one


def draw(
    settings: SpikeEvalSettings,
    vocabulary: WordVectors,
    codes: Sequence[SpikeCode],
    scores: Sequence[Score],
    folder: Path,
) -> list[Path]:
    """Raster, tuning curves, rates, decoded against true, and measures against bits; of the largest code but the last.

    Args:
        settings: of the evaluation.
        vocabulary: words and vectors.
        codes: the spike codes.
        scores: of all codes.
        folder: where the pictures go.
    """
    code = max(codes, key=lambda code: code.report.neurons * code.report.steps)
    x_nD = vocabulary.vectors[:_DRAWN]
    train = code.codec.encode(x_nD[:4]).to("cpu")
    codec = code.codec.to("cpu")
    dimension = int(torch.argmax(codec.calibration.width_D))
    figures = {
        "raster": sc.plot_raster(codec, train, x_nD, token=0, dimension=dimension),
        "tuning": sc.plot_tuning_curves(codec, dimension=dimension),
        "rates": sc.plot_rate_histogram(train),
        "decoded": sc.plot_decoded(x_nD, code.decoded_nD[:_DRAWN], codec.bound(x_nD)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path)
        paths.append(path)
    return [*paths, measures_against_bytes(scores, folder / "quality.png", k=settings.evaluation.k)]


def measures_against_bytes(scores: Sequence[Score], path: Path, *, k: int) -> Path:
    """Each measure against the bytes of a code; float32 vectors as levels to reach.

    Args:
        scores: of all codes.
        path: where the picture goes.
        k: neighbours of the recall.
    """
    measures = {name: [score.similarity[name] for score in scores] for name in scores[0].similarity}
    measures["analogy accuracy"] = [score.analogy for score in scores]
    measures[f"recall@{k}"] = [score.recall for score in scores]
    measures["cosine of decoded vectors"] = [score.cosine for score in scores]
    measured = {name: values for name, values in measures.items() if any(value is not None for value in values)}
    styles = {"spikes": ("o", "tab:purple"), "binary": ("s", "tab:blue")}
    figure, axes = new_figure(len(measured))
    for axis, (name, values) in zip(axes, measured.items(), strict=True):
        for family, (marker, colour) in styles.items():
            for decoded in (True, False):
                points = [
                    (score.bytes_per_vector, value)
                    for score, value in zip(scores, values, strict=True)
                    if value is not None and score.name.startswith(family) and (score.compared == "decoded") == decoded
                ]
                if points:
                    label = f"{family}, {'decoded' if decoded else 'Hamming'}"
                    face = colour if decoded else "none"
                    axis.plot(*zip(*sorted(points), strict=True), marker, c=colour, mfc=face, ls="-", label=label)
        for score, value in zip(scores, values, strict=True):
            if value is not None and score.compared == "float":
                style = "--" if "prepared" in score.name else ":"
                axis.axhline(value, color="black", linestyle=style, linewidth=1, label=score.name)
        axis.set(xscale="log", xlabel="bytes a vector", title=name)
    axes[0].legend(fontsize="small")
    return save_figure(figure, path)
