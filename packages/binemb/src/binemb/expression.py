"""Sums and differences of words, as a query is typed: king - man + woman."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from binemb.errors import UnknownWordError

if TYPE_CHECKING:
    from binemb.word_vectors import WordVectors


class ExpressionError(ValueError):
    """A query that is no sum of words."""


def parse_expression(text: str) -> list[tuple[int, str]]:
    """Signs and words of a query.

    Words are separated by + and - that stand alone; a hyphen inside a word belongs to it.

    Args:
        text: for example "paris" or "king - man + woman".

    Returns:
        (+1 or -1, word) in order.

    Raises:
        ExpressionError: empty, two words or two signs in a row, or a sign at the end.
    """
    terms: list[tuple[int, str]] = []
    sign: int | None = None  # of the word to come
    for token in text.split():
        if token in ("+", "-"):
            if sign is not None:
                raise ExpressionError(f"query {text!r}: a word is missing before {token!r}")
            sign = 1 if token == "+" else -1
        elif sign is None and terms:
            raise ExpressionError(f"query {text!r}: put + or - between {terms[-1][1]!r} and {token!r}")
        else:
            terms.append((sign or 1, token))
            sign = None
    if not terms or sign is not None:
        raise ExpressionError(f"query {text!r}: expected a word, or words joined by + and -")
    return terms


def combine(terms: list[tuple[int, str]], vectors: WordVectors, unit_ND: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of signed unit vectors of a query's words.

    Args:
        terms: from `parse_expression`.
        vectors: the vocabulary; a word is looked up as written, then in lower case.
        unit_ND: unit vectors of the vocabulary, row by row, (N, D).

    Returns:
        The sum, (D,), and the words' rows, int64, which an answer leaves out.

    Raises:
        UnknownWordError: a word is not in the vocabulary.
        ExpressionError: every word is taken away again, and nothing is left to be near to.
    """
    rows = torch.tensor([_row(word, vectors) for _, word in terms])
    left: Counter[int] = Counter()
    for (sign, _), row in zip(terms, rows.tolist(), strict=True):
        left[row] += sign
    if not any(left.values()):
        raise ExpressionError(f"query {_written(terms)!r}: its words cancel out; nothing is left to search for")
    signs = unit_ND.new_tensor([sign for sign, _ in terms])
    return signs @ unit_ND[rows], rows


def _written(terms: list[tuple[int, str]]) -> str:
    return " ".join(f"{'+' if sign > 0 else '-'} {word}" for sign, word in terms).removeprefix("+ ")


def _row(word: str, vectors: WordVectors) -> int:
    try:
        return vectors.index(word)
    except UnknownWordError:
        if word == word.lower():
            raise
        return vectors.index(word.lower())
