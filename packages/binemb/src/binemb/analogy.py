"""Analogies: a is to b as c is to what?

Legend: U different words in the questions, Q questions, N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from binemb.codes import BinaryCodes
from binemb.errors import TooFewKnownError
from binemb.evaluation_sets import Analogies, load_analogies, row_of
from binemb.space import AsymmetricSpace, Space, check_rows

if TYPE_CHECKING:
    from binemb.matryoshka import MatryoshkaBinarizer

QUESTIONS_AT_ONCE = 128
MUL_EPSILON = 1e-3

AnalogyMethod = Literal["add", "mul"]


@dataclass(frozen=True)
class AnalogyResult:
    """Share of questions answered right.

    Args:
        name: name of the set.
        accuracy: over all known questions, in [0, 1].
        sections: section to (right, asked).
        questions: questions asked.
        coverage: share of the set's questions whose four words are known.
        outcomes: whether each question asked was answered right, in the order of the set; for `paired_bootstrap`.
    """

    name: str
    accuracy: float
    sections: dict[str, tuple[int, int]]
    questions: int
    coverage: float
    outcomes: tuple[bool, ...] = field(repr=False)


def evaluate_analogy(
    rows: Tensor | BinaryCodes,
    words: Sequence[str],
    dataset: str | Path | Analogies = "google",
    *,
    method: AnalogyMethod = "add",
    decoder: MatryoshkaBinarizer | None = None,
) -> AnalogyResult:
    """Answer every question by the best candidate among all words but the three given.

        add:  argmax_d  cos(d, b) - cos(d, a) + cos(d, c)
        mul:  argmax_d  s(d, b) s(d, c) / (s(d, a) + 0.001),   s = (1 + cos) / 2

    In binary space the cosines are those of the +-1 vectors: a count of agreeing bits. With `decoder` only the
    candidates stay bits: the three words of a question are decoded, and instead of cos(d, x) stands the inner product
    of d's decoded vector, not scaled, with x's of unit length, which is a weighted count of d's bits and needs nothing
    but the codes and the model (`asymmetric`). Equal scores go to the word that comes first.

    Args:
        rows: float vectors, (N, D), or binary codes of N words.
        words: the N words; a question's word is looked up as written, then in lower case.
        dataset: "google", a file, or loaded questions.
        method: "add" or "mul".
        decoder: the model that the codes are of, whole or truncated to one of its levels, to compare asymmetrically.

    Raises:
        TypeError: rows are neither codes nor floating point, or vectors with a decoder.
        ValueError: rows and words disagree, values that are not finite, an unknown method, or no question is known.

    References:
        Mikolov, Yih, Zweig (2013), NAACL, section 4. Levy, Goldberg (2014), CoNLL, sections 3 and 6. Gordo,
        Perronnin, Gong, Lazebnik (2014), IEEE TPAMI 36(1), "Asymmetric distances for binary embeddings".
    """
    check_rows(rows, words, "evaluate_analogy")
    if method not in ("add", "mul"):
        raise ValueError(f"evaluate_analogy: method must be add or mul, got {method!r}")
    if decoder is None:
        space = Space(rows)
    elif isinstance(rows, BinaryCodes):
        space = AsymmetricSpace(rows, decoder)
    else:
        raise TypeError("evaluate_analogy: decoder is for codes; vectors are compared as they are")
    data = dataset if isinstance(dataset, Analogies) else load_analogies(dataset)
    lookup = {word: row for row, word in enumerate(words)}
    titles, known, total = [], [], 0
    for title, questions in data.sections.items():
        for question in questions:
            total += 1
            found = [row_of(word, lookup) for word in question]
            if None not in found:
                titles.append(title)
                known.append(found)
    if not known:
        raise TooFewKnownError(f"{data.name}: no question has all four words in the vocabulary")
    questions_Q4 = torch.tensor(known)
    right_Q = (answer_analogies(space, questions_Q4[:, :3], method=method) == questions_Q4[:, 3]).tolist()
    sections: dict[str, tuple[int, int]] = {}
    for title, right in zip(titles, right_Q, strict=True):
        before = sections.get(title, (0, 0))
        sections[title] = (before[0] + right, before[1] + 1)
    return AnalogyResult(data.name, sum(right_Q) / len(known), sections, len(known), len(known) / total, tuple(right_Q))


def answer_analogies(space: Space, questions_Q3: Tensor, *, method: AnalogyMethod = "add") -> Tensor:
    """The best candidate of each question.

    Few words make many questions (905 words the 19,544 of the Google set), so each candidate is compared once with
    every such word, and a question's score is a sum or product of three of these numbers.

    Args:
        space: the candidates.
        questions_Q3: rows of a, b, c, int64, (Q, 3).
        method: "add" or "mul".

    Returns:
        Rows of the answers, int64, (Q,).
    """
    asked_U, slots = torch.unique(questions_Q3, return_inverse=True)
    asked_UD = space.asked(asked_U)
    best_Q = torch.full((len(questions_Q3),), -torch.inf)
    answer_Q = torch.zeros(len(questions_Q3), dtype=torch.int64)
    for block in space.blocks():
        products_UN = asked_UD @ space.take(block).T
        if method == "mul":
            # decoded vectors can be longer than 1
            products_UN = ((1 + products_UN / space.norm_squared) / 2).clamp_min(0)
        for start in range(0, len(questions_Q3), QUESTIONS_AT_ONCE):
            part = slice(start, start + QUESTIONS_AT_ONCE)
            a, b, c = (products_UN[slots[part, i]] for i in range(3))
            scores = b - a + c if method == "add" else b * c / (a + MUL_EPSILON)
            _exclude(scores, questions_Q3[part] - block.start)
            best, where = scores.max(1)
            better = best > best_Q[part]
            best_Q[part] = torch.where(better, best, best_Q[part])
            answer_Q[part] = torch.where(better, where + block.start, answer_Q[part])
    return answer_Q


def _exclude(scores_QN: Tensor, given_Q3: Tensor) -> None:
    """Take the given words out of the candidates, in place; those outside this block are passed over."""
    inside = (given_Q3 >= 0) & (given_Q3 < scores_QN.shape[1])
    question, word = inside.nonzero(as_tuple=True)
    scores_QN[question, given_Q3[question, word]] = -torch.inf
