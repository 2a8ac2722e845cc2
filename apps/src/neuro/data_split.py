"""Which texts are kept out for validation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from ddp_utils.seed import key_bits

from neuro.config import ConfigError
from neuro.data_settings import DataTokenizeSettings
from neuro.text_files import is_repeatable
from neuro.text_sources import TextRecord, documents_of

TRAIN, VALIDATION = "train", "validation"
NEAR = 2**12  # characters within which a cut is moved back to the end of a line, or else of a word; at most half way
Way = Literal["none", "hash", "last documents", "last characters"]
log = logging.getLogger("neuro")


def way_to_split(sources: list[str], settings: DataTokenizeSettings) -> Way:
    """How documents are shared out.

    Raises:
        ConfigError: a source that can be read once only would have to be read twice.
    """
    if not settings.split.validation:
        return "none"
    files = all(documents_of(source, settings.text) == "file" for source in sources)
    if settings.split.by == "hash" or (settings.split.by == "auto" and not files):
        return "hash"
    for source in sources:
        if not is_repeatable(source):
            raise ConfigError(
                f"{source}: cannot be read twice, and its end is to validate; use a file, --documents line with "
                "split.by=hash, or --validation 0"
            )
    return "last characters" if files else "last documents"


def assign(
    records: Iterable[TextRecord], way: Way, settings: DataTokenizeSettings
) -> Iterator[tuple[str, int, TextRecord]]:
    """Where each record goes, its number and itself.

    A record ends a document only where one was begun; what could not be read begins none.

    Args:
        records: of all sources; read twice for the last documents or characters.
        way: what `way_to_split` gave.
        settings: the share, and the seed that draws.

    Raises:
        ConfigError: there is too little text to keep any out.
    """
    if way == "last characters":
        placed = _by_characters(records, settings.split.validation)
    else:
        placed = _by_documents(records, way, settings)
    begun = False
    for number, (name, record) in enumerate(placed):
        begun = begun or record.text is not None
        yield name, number, record if begun else replace(record, ends=False)
        begun = begun and not record.ends


def _by_documents(
    records: Iterable[TextRecord], way: Way, settings: DataTokenizeSettings
) -> Iterator[tuple[str, TextRecord]]:
    share, first = settings.split.validation, 0
    if way == "last documents":
        total = _count(records)[0]
        first = total - _kept_out(total, share, "document")
    document = 0
    for record in records:
        match way:
            case "hash":
                validates = key_bits(settings.seed, "validation", document) < share * 2**64
            case "last documents":
                validates = document >= first
            case _:
                validates = False
        yield VALIDATION if validates else TRAIN, record
        document += record.ends


def _by_characters(records: Iterable[TextRecord], share: float) -> Iterator[tuple[str, TextRecord]]:
    """The document that the cut falls into ends there, and another begins."""
    total = _count(records)[1]
    left, name = total - _kept_out(total, share, "character"), TRAIN
    for record in records:
        text = record.text or ""
        if name == TRAIN and text and left <= len(text):
            cut = _text_end(text, left)
            yield TRAIN, replace(record, text=text[:cut], ends=True)
            name = VALIDATION
            if cut < len(text):
                yield VALIDATION, replace(record, text=text[cut:])
        else:
            yield name, record
        left -= len(text)


def _text_end(text: str, at: int) -> int:
    """The end of a line, or else of a word, shortly before a place >= 1; the place itself where there is none."""
    start = max(at // 2, at - NEAR)
    return text.rfind("\n", start, at) + 1 or text.rfind(" ", start, at) + 1 or at


def _kept_out(total: int, share: float, unit: str) -> int:
    if total == 1:
        raise ConfigError(
            f"split.validation: the texts are one {unit}, nothing is left to train on; use --validation 0, or more text"
        )
    return max(1, round(total * share)) if total else 0


def _count(records: Iterable[TextRecord]) -> tuple[int, int]:
    """Documents and characters."""
    documents = characters = 0
    level = log.level
    log.setLevel(logging.ERROR)  # what is skipped is told of when it is tokenized
    try:
        for record in records:
            documents += record.ends
            characters += len(record.text or "")
    finally:
        log.setLevel(level)
    return documents, characters
