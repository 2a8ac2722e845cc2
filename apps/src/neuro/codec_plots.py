"""Pictures of a codec, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ddp_utils import keyed_generator
from torch import Tensor

from neuro.plots import new_figure, save_figure

if TYPE_CHECKING:
    from neuro.scoreboard import Score

COLOURS = {"vocabulary": "tab:blue", "held out": "tab:orange"}
PAIRS = 20_000


def bytes_bars(figures: dict[str, Any], path: Path) -> Path:
    """Bytes a word: codes, escapes and the codec's share."""
    figure, (axis,) = new_figure(1, height=2.2)
    figure.set_figwidth(8)
    rows = figures["rows"]
    shares = {
        "codes": (figures["bytes_codes"] - figures["bytes_escapes"]) / rows,
        "words with more bits": figures["bytes_escapes"] / rows,
        "codec": figures["bytes_codec"] / rows,
    }
    left = 0.0
    for name, share in shares.items():
        axis.barh(0, share, left=left, label=f"{name} {share:.2f}")
        left += share
    axis.set(yticks=[], xlabel=f"bytes a word, {left:.2f} in all; float32 takes {4 * figures['dim']:,}")
    figure.legend(loc="outside upper center", ncols=len(shares))
    return save_figure(figure, path)


def cosine_histograms(cosines: dict[str, Tensor], path: Path) -> Path:
    """Share of words by the cosine of their decoded vector with the vector itself.

    Args:
        cosines: by set of words, (N,) each.
        path: where the picture goes.
    """
    figure, (axis,) = new_figure(1)
    figure.set_figwidth(8)
    low = min(float(values.min()) for values in cosines.values())
    for name, values in cosines.items():
        weights = torch.full_like(values, 1 / len(values)).numpy()
        label = f"{name}: {len(values):,} words, mean {float(values.mean()):.3f}"
        axis.hist(values.numpy(), bins=60, range=(low, 1), weights=weights, alpha=0.6, color=COLOURS[name], label=label)
    axis.set(xlabel="cosine of decoded and given vector", ylabel="share of words")
    axis.legend(loc="upper left")
    return save_figure(figure, path)


def distance_scatter(joined_ND: Tensor, decoded_ND: Tensor, path: Path) -> Path:
    """Distances of decoded vectors against those of the vectors: random pairs, and each with a near one.

    Args:
        joined_ND: vectors, (N, D).
        decoded_ND: what their codes give back, (N, D).
        path: where the picture goes.
    """
    n_words = len(joined_ND)
    generator = keyed_generator(0, "pairs")
    left, right = (torch.randint(n_words, (PAIRS,), generator=generator) for _ in range(2))
    asked = torch.randperm(n_words, generator=generator)[:100]
    near = torch.cdist(joined_ND[asked], joined_ND).topk(min(20, n_words), largest=False).indices
    left = torch.cat([left, asked[:, None].expand_as(near).flatten()])
    right = torch.cat([right, near.flatten()])
    given_P = (joined_ND[left] - joined_ND[right]).norm(dim=1)
    found_P = (decoded_ND[left] - decoded_ND[right]).norm(dim=1)
    apart_P = left != right
    figure, (axis,) = new_figure(1, height=4.4)
    figure.set_figwidth(5)
    axis.hexbin(given_P[apart_P].numpy(), found_P[apart_P].numpy(), gridsize=60, bins="log", cmap="Blues", mincnt=1)
    top = float(given_P.max())
    axis.plot([0, top], [0, top], color="tab:red", linewidth=1, label="no error")
    axis.set(xlabel="distance of the vectors", ylabel="distance of the decoded vectors")
    axis.legend(loc="upper left")
    return save_figure(figure, path)


def measures_beside_float(scores: Sequence[Score], path: Path, *, k: int) -> Path:
    """Each measure as bars: vectors as they are, and decoded."""
    measures = {name: [score.similarity[name] for score in scores] for name in scores[0].similarity}
    measures["analogy accuracy"] = [score.analogy for score in scores]
    measures[f"recall@{k}"] = [score.recall for score in scores]
    measures["cosine"] = [score.cosine for score in scores]
    names = [name for name, values in measures.items() if any(value is not None for value in values)]
    figure, (axis,) = new_figure(1)
    figure.set_figwidth(max(6.0, 1.8 * len(names)))
    width = 0.8 / len(scores)
    for i, score in enumerate(scores):
        at = [place + (i - (len(scores) - 1) / 2) * width for place in range(len(names))]
        axis.bar(at, [measures[name][i] or 0.0 for name in names], width, label=score.name)
    axis.set_xticks(range(len(names)), names)
    axis.axhline(0, color="black", linewidth=0.8)
    figure.legend(loc="outside upper center", ncols=2)
    return save_figure(figure, path)
