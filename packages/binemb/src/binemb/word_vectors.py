"""Words and their vectors.

Shapes: N words, D values a word: `vectors_ND`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from binemb.errors import UnknownWordError


@dataclass(frozen=True, eq=False, repr=False)
class WordVectors:
    """Words and their vectors, row by row.

    Args:
        words: N different words.
        vectors: float32, (N, D), finite.
        source: where they come from, as `load_vectors` was given it.
        dropped: rows left out on the way, by reason: "duplicate", "non_finite", "not_common".

    Raises:
        TypeError: `vectors` is not float32.
        ValueError: shapes that disagree, a word given twice or values that are not finite.
    """

    words: list[str]
    vectors: Tensor
    source: str
    dropped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectors.dtype != torch.float32:
            raise TypeError(f"WordVectors: vectors must be float32, got {self.vectors.dtype}; call .float() on them")
        if self.vectors.ndim != 2 or self.vectors.shape[1] == 0 or self.vectors.shape[0] != len(self.words):
            raise ValueError(
                f"WordVectors: {len(self.words)} words need vectors of shape ({len(self.words)}, D), "
                f"got {tuple(self.vectors.shape)}"
            )
        if len(self._rows) != len(self.words):
            twice = next(word for row, word in enumerate(self.words) if self._rows[word] != row)
            raise ValueError(f"WordVectors: the word {twice!r} is given twice; keep one row a word")
        finite_N = torch.isfinite(self.vectors).all(dim=1)
        if not finite_N.all():
            row = int((~finite_N).nonzero()[0])
            raise ValueError(f"WordVectors: the vector of {self.words[row]!r} (row {row}) has NaN or infinite values")

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words x {self.dim} from {self.source!r}, dropped={self.dropped})"

    def __contains__(self, word: str) -> bool:
        return word in self._rows

    @property
    def dim(self) -> int:
        """D, the number of values a word."""
        return self.vectors.shape[1]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    def index(self, word: str) -> int:
        """Return the row of a word.

        Raises:
            UnknownWordError: there is no such word; the message names close ones.
        """
        try:
            return self._rows[word]
        except KeyError:
            raise UnknownWordError(self._unknown(word)) from None

    def rows(self, words: Sequence[str]) -> Tensor:
        """Return the rows of several words, int64, (len(words),): `wv.vectors[wv.rows(["king", "queen"])]`.

        Raises:
            TypeError: one string instead of several.
            UnknownWordError: one of them is not there; the message names close ones.
        """
        if isinstance(words, str):
            raise TypeError(f"WordVectors.rows: expected several words, got the one string {words!r}; use index()")
        return torch.tensor([self.index(word) for word in words], dtype=torch.int64)

    def select(self, rows: Tensor | Sequence[int]) -> WordVectors:
        """Return these rows, in this order, as vectors of their own.

        Args:
            rows: row numbers, int, (K,), each once, -N <= row < N.

        Raises:
            IndexError: a row number that is out of range.
            ValueError: a row given twice.
        """
        rows_K = torch.as_tensor(rows, dtype=torch.int64)
        return WordVectors(
            [self.words[row] for row in rows_K.tolist()],
            self.vectors[rows_K.to(self.vectors.device)],
            self.source,
            dict(self.dropped),
        )

    def _unknown(self, word: str) -> str:
        lower = word.lower()
        if lower != word and lower in self._rows:
            return f"{word!r} is not among the {len(self)} words of {self.source}; {lower!r} is: write it in lower case"
        candidates = [
            other for other in self.words if other[:1].lower() == lower[:1] and abs(len(other) - len(word)) <= 2
        ]
        close = difflib.get_close_matches(word, candidates, n=3, cutoff=0.7)
        hint = f"; close: {', '.join(map(repr, close))}" if close else ""
        return f"{word!r} is not among the {len(self)} words of {self.source}{hint}"
