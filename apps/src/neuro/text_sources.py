"""Texts as records, from files, datasets and the standard input, in a fixed order and in little memory.

A record is a document, or a part of a long one. What cannot be read is a record too, with the reason in place of a
text, so that the numbers of those after it do not depend on what becomes of it.
"""

from __future__ import annotations

import gzip
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuro.config import ConfigError
from neuro.data_settings import TextSourceSettings
from neuro.text_files import HUB, JSON_SUFFIXES, numbered_lines, open_text, plain_suffix

PART = 2**12  # bytes after which a long document is cut, at the end of a line where there is one


@dataclass(frozen=True)
class TextRecord:
    """A document, a part of one, or what could not be read.

    Args:
        where: file and line, or dataset and row.
        text: None for what could not be read.
        ends: True if a document ends here; of what could not be read, if parts of it came before.
        problem: what is wrong with it; with a text, what was replaced. "" where nothing is.
    """

    where: str
    text: str | None
    ends: bool = True
    problem: str = ""


def documents_of(source: str, settings: TextSourceSettings) -> str:
    """What is a document in a source: "file", "line", "blank", "json", or "row" of a dataset."""
    if source.startswith(HUB):
        return "row"
    if settings.documents != "auto":
        return settings.documents
    return "json" if plain_suffix(Path(source)) in JSON_SUFFIXES else "file"


def read_records(source: str, settings: TextSourceSettings) -> Iterator[TextRecord]:
    """The records of one source, always the same in the same order.

    Args:
        source: one that `expand_sources` gave.
        settings: what is a document, where its text is, and what to do with bytes that are not UTF-8.

    Raises:
        ConfigError: a packed file is damaged, or a dataset cannot be read.
        OSError: a file cannot be read.
    """
    documents = documents_of(source, settings)
    if documents == "row":
        yield from _read_dataset(source, settings.field)
        return
    try:
        with closing(open_text(source)) as file:
            lines = numbered_lines(file)
            if documents == "json":
                yield from _read_json(source, lines, settings)
            elif documents == "line":
                for number, line in lines:
                    if line.strip():
                        yield _decoded(line.rstrip(b"\r\n"), f"{source}:{number}", settings)
            else:
                yield from _read_parts(source, lines, settings, paragraphs=documents == "blank")
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{source}: damaged: {error}; fetch it again") from error
    except OSError as error:
        if error.errno is None and not error.filename:  # what bz2 and zstd say of bad data
            raise ConfigError(f"{source}: damaged: {error}; fetch it again") from error
        raise


def _decoded(content: bytes, where: str, settings: TextSourceSettings, *, ends: bool = True) -> TextRecord:
    try:
        return TextRecord(where, content.decode(), ends)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: {error.reason} at byte {error.start} of the line"
        text = content.decode(errors="replace") if settings.errors == "replace" else None
        return TextRecord(where, text, ends and text is not None, problem)


def _read_json(source: str, lines: Iterable[tuple[int, bytes]], settings: TextSourceSettings) -> Iterator[TextRecord]:
    for number, line in lines:
        if not line.strip():
            continue
        record = _decoded(line, f"{source}:{number}", settings)
        if record.text is None:
            yield record
            continue
        try:
            text, problem = _field_of(json.loads(record.text), settings.field), record.problem
        except (ValueError, RecursionError) as error:
            text, problem = None, f"not a JSON object with a text: {error}"
        yield TextRecord(record.where, text, text is not None, problem)


def _field_of(row: Any, field: str) -> str:
    """Text of a row.

    Raises:
        ValueError: it has no such field, or no text in it.
    """
    if not isinstance(row, dict) or field not in row:
        fields = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise ValueError(f"no field {field!r}; there is {fields}")
    text = row[field]
    if not isinstance(text, str):
        raise ValueError(f"field {field!r} holds {type(text).__name__}, no text")
    text.encode()  # a lone surrogate is no text
    return text


def _read_parts(
    source: str, lines: Iterable[tuple[int, bytes]], settings: TextSourceSettings, *, paragraphs: bool
) -> Iterator[TextRecord]:
    """A file, or the paragraphs between its blank lines, in parts of about `PART` bytes that end with a line."""
    waiting: TextRecord | None = None  # a part is known to be the last of its document once the next is seen
    for part in _raw_parts(lines, paragraphs):
        if waiting is not None:
            yield TextRecord(waiting.where, waiting.text, part is None, waiting.problem)
        waiting = None
        for number, content, ends in _readable(part) if part else ():
            record = _decoded(content, f"{source}:{number}", settings, ends=False)
            if ends:
                waiting = record
            else:
                yield record


def _raw_parts(lines: Iterable[tuple[int, bytes]], paragraphs: bool) -> Iterator[list[tuple[int, bytes]] | None]:
    """Numbered lines of each part; None after the last of a document."""
    part: list[tuple[int, bytes]] = []
    size, inside = 0, False
    for number, line in lines:
        if paragraphs and not line.strip():
            if part:
                yield _without_line_end(part)
            if part or inside:
                yield None
            part, size, inside = [], 0, False
            continue
        for start in range(0, len(line), PART):
            piece = _whole_characters(line, start)
            if size + len(piece) > PART and part:
                yield part
                part, size, inside = [], 0, True
            part.append((number, piece))
            size += len(piece)
    if part:
        yield _without_line_end(part) if paragraphs else part
    if part or inside:
        yield None


def _whole_characters(line: bytes, start: int) -> bytes:
    """A piece of a line, moved to where characters begin."""
    return line[_character_start(line, start) : _character_start(line, start + PART)]


def _character_start(line: bytes, at: int) -> int:
    """The nearest place not after this one where a character may begin."""
    for back in range(4):
        if at - back <= 0 or at >= len(line) or line[at - back] & 0xC0 != 0x80:
            return max(0, at - back)
    return at  # four continuation bytes: not UTF-8 anyway


def _without_line_end(part: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    number, line = part[-1]
    return [*part[:-1], (number, line.rstrip(b"\r\n"))]


def _readable(part: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, bool]]:
    """The part as one; as its lines where it is not UTF-8, so that no more than the bad ones are lost."""
    whole = b"".join(line for _, line in part)
    try:
        whole.decode()
    except UnicodeDecodeError:
        for place, (number, line) in enumerate(part):
            yield number, line, place == len(part) - 1
    else:
        yield part[0][0], whole, True


def _read_dataset(source: str, field: str) -> Iterator[TextRecord]:
    name, config, split = parse_dataset(source)
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"{source}: needs datasets: pip install datasets") from error
    try:
        rows = datasets.load_dataset(name, config, split=split, streaming=True)
        for number, row in enumerate(rows):
            where = f"{source} row {number}"
            try:
                yield TextRecord(where, _field_of(row, field))
            except ValueError as error:
                yield TextRecord(where, None, False, str(error))
    except Exception as error:  # datasets passes on whatever its readers and the network raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{source}: cannot be read by datasets: {first}") from error


def parse_dataset(source: str) -> tuple[str, str | None, str]:
    """Name, configuration and split of hf:DATASET[:CONFIG][:SPLIT].

    Raises:
        ConfigError: more or fewer parts.
    """
    name, *rest = source.removeprefix(HUB).split(":")
    if not name or len(rest) > 2:
        raise ConfigError(f"{source}: expected hf:DATASET, hf:DATASET:SPLIT or hf:DATASET:CONFIG:SPLIT")
    return name, rest[0] if len(rest) == 2 else None, rest[-1] if rest else "train"
