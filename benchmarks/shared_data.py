"""Data that stands beside the checkout, or what is embedded in its stead."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import torch
from binemb import WordVectors, load_vectors

DATA = Path(__file__).parents[2] / "shared" / "data"
GLOVE = DATA / "vectors" / "glove.6B.100d.top100k.f16.npy"


def glove(limit: int) -> WordVectors:
    """GloVe 6B 100-d where it is there, else the embedded 50-d."""
    if not GLOVE.exists():
        return load_vectors("samples:glove-50d", limit=limit)
    name = GLOVE.name.replace(".f16.npy", ".vocab.txt")
    words = GLOVE.with_name(name).read_text(encoding="utf-8").split("\n")[:limit]
    return WordVectors(words, torch.from_numpy(np.load(GLOVE, mmap_mode="r")[:limit].astype(np.float32)), "GloVe 100-d")


TEXT = DATA / "text" / "english_ccby_pd.txt.xz"
_LABELLED = {  # first line and number of lines of the labelled blocks of that text, and the label
    "polarity": [("simplistic , silly and tedious .", 5331, 0), ("the rock is destined to be the 21st", 5331, 1)],
    "subjectivity": [("the movie begins in the past where", 5000, 0), ("smart and alert , thirteen con", 5000, 1)],
}


def english() -> str:
    """14.7 MB of English where it is there, else the news that come with gensim."""
    if TEXT.exists():
        return lzma.decompress(TEXT.read_bytes()).decode()
    from gensim.test.utils import datapath

    return Path(datapath("lee_background.cor")).read_text(encoding="utf-8")


def split_text(text: str, *, lines: int = 100, every: int = 150) -> tuple[str, str, str]:
    """Text to train on, to choose by and to judge by: of so many blocks of lines one each for the latter two.

    Both are spread over the whole text; long lines that the training part holds too are left out of them.
    """
    rows = text.splitlines(keepends=True)
    lines = max(1, min(lines, len(rows) // (2 * every)))  # of a short text, shorter blocks
    parts: list[list[str]] = [[], [], []]
    for i in range(0, len(rows), lines):
        place = i // lines % every
        parts[1 if place == every // 3 else 2 if place == 2 * every // 3 else 0] += rows[i : i + lines]
    known = {row for row in parts[0] if len(row) > 30}
    train, choose, judge = (
        "".join(row for row in part if part is parts[0] or row not in known) for part in parts
    )  # fmt: skip
    return train, choose, judge


def labelled_sentences(name: str) -> tuple[list[str], list[int]]:
    """Sentences and labels of "polarity" (negative, positive) or "subjectivity" (objective, subjective).

    References:
        Pang, Lee (2004), ACL, and (2005), ACL: the subjectivity and sentence polarity sets.
    """
    rows = english().split("\n")
    texts: list[str] = []
    labels: list[int] = []
    for first, count, label in _LABELLED[name]:
        start = max(i for i, row in enumerate(rows) if row.startswith(first))  # the other set quotes some, before
        texts += [row.strip() for row in rows[start : start + count]]
        labels += [label] * count
    return texts, labels
