"""Settings of `neuro data`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DocumentsName = Literal["auto", "file", "line", "blank", "json"]
ErrorsName = Literal["skip", "replace", "fail"]


@dataclass(frozen=True)
class TextSourceSettings:
    """Which texts, and what in them is a document.

    Args:
        sources: files, folders, glob patterns, hf:DATASET[:CONFIG][:SPLIT], or - for the standard input.
        documents: "file", "line", "blank" (paragraphs, between blank lines), or "json" (objects, one a line); "auto" is
            "json" for *.jsonl and *.ndjson and "file" for all other files.
        field: where a JSON object or a row of a dataset has its text.
        errors: what to do with a record that cannot be read: "skip" it, "replace" what is not UTF-8, or "fail".
        bad_records: how many may be skipped or mended.
    """

    sources: tuple[str, ...] = ()
    documents: DocumentsName = "auto"
    field: str = "text"
    errors: ErrorsName = "skip"
    bad_records: int = 100

    def __post_init__(self) -> None:
        if self.bad_records < 0:
            raise ValueError(f"text.bad_records must not be negative, got {self.bad_records}")
        if "" in self.sources:
            raise ValueError("text.sources must name files, got ''")


@dataclass(frozen=True)
class SplitSettings:
    """What is kept out for validation.

    Args:
        validation: its share, in [0, 0.5]; 0 for none.
        by: "hash" draws documents by key. "last", which reads the sources twice, takes the last documents; where all
            documents are whole files the last characters, from the end of a line on. "auto" is "last" for these and
            "hash" elsewhere.
    """

    validation: float = 0.05
    by: Literal["auto", "hash", "last"] = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.validation <= 0.5:
            raise ValueError(f"split.validation must lie in [0, 0.5], got {self.validation}")


@dataclass(frozen=True)
class DataTokenizeSettings:
    """Settings of `neuro data tokenize`.

    Args:
        text: which texts.
        tokenizer: "bytes", "samples:minilm", a tokenizer.json, a folder of transformers, or a name on the hub.
        split: what is kept out for validation.
        shard_tokens: tokens after which a file is full.
        seed: keys what is drawn for validation.
    """

    text: TextSourceSettings = field(default_factory=TextSourceSettings)
    tokenizer: str = "bytes"
    split: SplitSettings = field(default_factory=SplitSettings)
    shard_tokens: int = 2**26
    seed: int = 0

    def __post_init__(self) -> None:
        if self.shard_tokens < 1:
            raise ValueError(f"shard_tokens must be at least 1, got {self.shard_tokens}")
        if not self.tokenizer:
            raise ValueError("tokenizer must name one, got ''")
