"""Searches in a trained run: words and sums of words, in float and in binary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from binemb import BinaryIndex, combine, parse_expression

from neuro.config import ConfigError
from neuro.embed_run import TrainedRun

SearchSpace = Literal["binary", "float"]
CHECKED = 16  # words that an index must know by their codes


@dataclass(frozen=True)
class Answer:
    """One word found.

    Args:
        word: the word.
        similarity: cosine in float space; share of agreeing bits in binary space.
        distance: differing bits, in binary space.
    """

    word: str
    similarity: float
    distance: int | None = None


def search(
    run: TrainedRun, query: str, *, k: int, space: SearchSpace, n_bits: int | None = None, index: Path | None = None
) -> list[Answer]:
    """Nearest words of a query; the query's own words are left out.

    Args:
        run: the trained run.
        query: "paris", or "king - man + woman".
        k: how many, >= 1.
        space: "binary" encodes the query and compares bits; "float" compares prepared vectors.
        n_bits: prefix to compare; all bits by default.
        index: an index that `embed index` made of this run's codes; by default one is built from the run's codes.

    Raises:
        ValueError: k, n_bits or the index do not fit; ExpressionError, UnknownWordError: the query does not.
    """
    if k < 1:
        raise ConfigError(f"-k must be at least 1, got {k}")
    query_D, own_rows = combine(parse_expression(query), run.vectors, run.prepared_ND)
    wanted = min(k + len(own_rows), len(run.vectors))
    if space == "float":
        if n_bits is not None or index is not None:
            raise ConfigError("--bits and --index are for the binary space; leave them out with --space float")
        scores_N = run.prepared_ND @ torch.nn.functional.normalize(query_D, dim=0)
        found = scores_N.topk(wanted)
        answers = [(row, Answer(run.vectors.words[row], score)) for row, score in _pairs(found.indices, found.values)]
    else:
        searched = _index_to_search(run, n_bits, index)
        hits = searched.search(run.model.encode_prepared(query_D[None]).truncate(searched.n_bits), wanted)
        words = run.vectors.words
        if int(hits.ids.max()) >= len(words):
            raise ConfigError(f"--index {index}: its ids go beyond the run's {len(words)} words: it is of another run")
        answers = [
            (row, Answer(words[row], float(hits.similarity[0, i]), int(hits.distances[0, i])))
            for i, row in enumerate(hits.ids[0].tolist())
        ]
    own = set(own_rows.tolist())
    return [answer for row, answer in answers if row not in own][:k]


def _index_to_search(run: TrainedRun, n_bits: int | None, path: Path | None) -> BinaryIndex:
    if path is None:
        codes = run.codes if n_bits is None else run.codes.truncate(n_bits)
        return BinaryIndex(codes.n_bits).add(codes)
    index = BinaryIndex.load(path)
    if n_bits not in (None, index.n_bits):
        raise ConfigError(f"--bits {n_bits}: the index holds {index.n_bits} bits; make one for {n_bits}")
    if index.n_bits > run.model.bits[-1]:
        raise ConfigError(
            f"--index {path}: of {index.n_bits} bits, the model has {run.model.bits[-1]}: it is of another run"
        )
    if index.words is not None:
        _check_vocabulary(index, run, path)
    return index


def _check_vocabulary(index: BinaryIndex, run: TrainedRun, path: Path) -> None:
    """Refuse an index of other words, or of another model's codes of the same words."""
    if index.words != run.vectors.words:
        raise ConfigError(
            f"--index {path}: of another vocabulary ({len(index)} words, the run has {len(run.vectors)}); give the "
            "--vectors and --limit that were encoded"
        )
    first = run.encode_first(CHECKED).truncate(index.n_bits)
    if index.search(first, 1).distances.any():  # each stands at distance 0 of its own code
        raise ConfigError(f"--index {path}: of another model's codes; index the codes of this one")


def _pairs(rows: torch.Tensor, values: torch.Tensor) -> list[tuple[int, float]]:
    return list(zip(rows.tolist(), values.tolist(), strict=True))
