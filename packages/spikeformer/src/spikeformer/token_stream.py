"""Tokens in memory, and any tokens as streams that are read side by side.

Shapes: n tokens; B streams, L tokens of each a step: tokens_BL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from ddp_utils.seed import key_bits
from torch import Tensor

from spikeformer.token_shards import BYTES, measure_bytes

BYTE_VOCABULARY, BYTE_END = 257, 256


class TokenSource(Protocol):
    """What training and evaluation read from: `TokenShards`, `TokenArray`, or anything like them."""

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the tokens, hexadecimal, that tells them from others."""
        ...

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens start to stop - 1, integers, (stop - start,)."""
        ...

    def measure(self, start: int, stop: int) -> tuple[float, float]:
        """UTF-8 bytes and characters of the text that the tokens start to stop - 1 are of."""
        ...


class TokenArray:
    """Tokens in memory.

    Args:
        ids: entries, integers, (n,).
        vocab_size: entries of the vocabulary.
        n_bytes: UTF-8 bytes of the text; a part of the tokens counts for its share.
        n_characters: code points of the text.

    Raises:
        ValueError: an entry is not in the vocabulary, or the entries do not stand in one row.
    """

    def __init__(
        self, ids: Sequence[int] | np.ndarray, vocab_size: int, *, n_bytes: float, n_characters: float
    ) -> None:
        self.ids_n = np.asarray(ids, dtype=np.int64)
        if self.ids_n.ndim != 1:
            raise ValueError(f"TokenArray: ids must have one dimension, got {self.ids_n.shape}")
        if len(self.ids_n) and not 0 <= self.ids_n.min() <= self.ids_n.max() < vocab_size:
            raise ValueError(
                f"TokenArray: entries {self.ids_n.min()} to {self.ids_n.max()} are not within the vocabulary of "
                f"{vocab_size}"
            )
        self.vocab_size, self.n_bytes, self.n_characters = vocab_size, n_bytes, n_characters
        self.tokenizer: dict[str, Any] = {"name": "array"}

    @classmethod
    def of_bytes(cls, text: str | bytes) -> TokenArray:
        """The bytes of a text, as `neuro data tokenize` writes them: 256 bytes and the end of document, which ends it.

        Args:
            text: the text; bytes are taken as they are.
        """
        content = text.encode() if isinstance(text, str) else text
        ids_n = np.append(np.frombuffer(content, dtype=np.uint8).astype(np.int64), BYTE_END)
        n_bytes, n_characters = measure_bytes(ids_n)
        array = cls(ids_n, BYTE_VOCABULARY, n_bytes=n_bytes, n_characters=n_characters)
        array.tokenizer = {"name": BYTES}
        return array

    @property
    def digest(self) -> str:
        """SHA-256 of the entries as little-endian int64, hexadecimal."""
        return hashlib.sha256(self.ids_n.astype("<i8").tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.ids_n)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens start to stop - 1, int64, (stop - start,).

        Raises:
            ValueError: the place is outside the sequence.
        """
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"TokenArray.read: {start}:{stop} is not within the {len(self)} tokens")
        return self.ids_n[start:stop]

    def measure(self, start: int, stop: int) -> tuple[float, float]:
        """Bytes and characters of the text of tokens start to stop - 1; exact for bytes, else a share of the whole."""
        if self.tokenizer["name"] == BYTES:
            return measure_bytes(self.read(start, stop))
        share = (stop - start) / max(1, len(self))
        return share * self.n_bytes, share * self.n_characters


@dataclass(frozen=True)
class TokenStream:
    """Tokens as B streams that go on from step to step, a pure function of the step.

        tokens_BL[b] of step k = tokens (o + b n / B + k L) to (... + L), modulo n

    Stream b begins at the b-th of B equal parts and walks on through all the tokens, so that after n / (B L) steps
    every token was read once and each stream is where the next one began. o is drawn once, by key.

    Args:
        source: the tokens, n >= B (L + 1).
        streams: B, >= 1.
        length: L, tokens of each stream a step, >= 1.
        seed: keys where the streams begin.

    Raises:
        ValueError: there are too few tokens; the message names settings that fit.
    """

    source: TokenSource
    streams: int
    length: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.streams < 1 or self.length < 1:
            raise ValueError(f"TokenStream: streams and length must be positive, got {self.streams} and {self.length}")
        if len(self.source) < self.streams * (self.length + 1):
            length = min(self.length, max(1, len(self.source) // 8))
            fits = f"{max(1, len(self.source) // (length + 1))} streams of length {length} fit"
            raise ValueError(
                f"TokenStream: {len(self.source):,} tokens do not fill {self.streams} streams of {self.length + 1}; "
                f"{fits if len(self.source) > 1 else 'at least 2 are needed'}"
            )

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every token is read once."""
        return len(self.source) / (self.streams * self.length)

    def batch(self, step: int, streams: Sequence[int]) -> Tensor:
        """Tokens of some streams in a step, and the token after each.

        Args:
            step: counted from 0.
            streams: which.

        Returns:
            int64, (len(streams), L + 1); all but the last column are read, all but the first are to be predicted.
        """
        n = len(self.source)
        origin = key_bits(self.seed, "token stream") % n
        rows = []
        for stream in streams:
            start = (origin + stream * n // self.streams + step * self.length) % n
            stop = start + self.length + 1
            row = self.source.read(start, min(stop, n)).astype(np.int64)
            rows.append(np.append(row, self.source.read(0, stop - n).astype(np.int64)) if stop > n else row)
        width = self.length + 1
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, width, dtype=torch.int64)
