"""Texts as records, from files, datasets and the standard input, in a fixed order and in little memory.

A record is a document, or a part of a long one. What cannot be read is a record too, with the reason in place of a
text, so that the numbers of those after it do not depend on what becomes of it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuro.config import ConfigError
from neuro.data_settings import TextSourceSettings
from neuro.text_files import (
    HUB,
    JSON_SUFFIXES,
    LONGEST_LINE,
    character_start,
    is_repeatable,
    numbered_lines,
    open_text,
    plain_suffix,
    whole_lines,
)

# Bytes after which a file or paragraph is cut, at the end of a line where there is one. A tokenizer may put a space
# before each part, so parts are long.
PART = 2**20


@dataclass(frozen=True)
class TextRecord:
    """A document, a part of one, or what could not be read.

    Args:
        where: file and line, or dataset and row.
        text: None for what could not be read.
        ends: True if a document ends here, read or not.
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


def identity(source: str) -> str | None:
    """What tells the contents of a source from others: a checksum; None for what can be read once only.

    Raises:
        ConfigError: a dataset cannot be read.
        OSError: a file cannot be read.
    """
    if source.startswith(HUB):
        name, config, _ = parse_dataset(source)
        with _dataset_errors(source):
            import datasets

            return datasets.load_dataset_builder(name, config).hash
    if not is_repeatable(source):
        return None
    with Path(source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        with contextlib.closing(open_text(source)) as file:
            if documents in ("json", "line"):
                for number, line in whole_lines(file):
                    where = f"{source}:{number}"
                    if line is None:
                        yield TextRecord(where, None, problem=f"line longer than {LONGEST_LINE // 2**20} MiB")
                    elif line.strip():
                        record = _decoded(line.rstrip(b"\r\n"), where, settings)
                        yield _of_json(record, settings.field) if documents == "json" else record
            else:
                yield from _read_parts(source, numbered_lines(file), settings, paragraphs=documents == "blank")
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
        return TextRecord(where, text, ends, problem)


def _of_json(record: TextRecord, field: str) -> TextRecord:
    """The text of a line of JSON."""
    if record.text is None:
        return record
    try:
        return TextRecord(record.where, _field_of(json.loads(record.text), field), problem=record.problem)
    except (ValueError, RecursionError) as error:
        return TextRecord(record.where, None, problem=f"not a JSON object with a text: {error}")


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
    return line[character_start(line, start) : character_start(line, start + PART)]


def _without_line_end(part: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    number, line = part[-1]
    return [*part[:-1], (number, line.rstrip(b"\r\n"))]


def _readable(part: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes, bool]]:
    """The part as one; where it is not UTF-8, its bad lines apart from the others, so that no more is lost."""
    whole = b"".join(line for _, line in part)
    if _is_utf8(whole):
        yield part[0][0], whole, True
        return
    pieces: list[list[tuple[int, bytes]]] = []
    for good, run in itertools.groupby(part, key=lambda entry: _is_utf8(entry[1])):
        entries = list(run)
        pieces += [entries] if good else [[entry] for entry in entries]
    for place, piece in enumerate(pieces):
        yield piece[0][0], b"".join(line for _, line in piece), place == len(pieces) - 1


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_dataset(source: str, field: str) -> Iterator[TextRecord]:
    name, config, split = parse_dataset(source)
    with _dataset_errors(source):
        import datasets

        rows = datasets.load_dataset(name, config, split=split, streaming=True)
        for number, row in enumerate(rows):
            where = f"{source} row {number}"
            try:
                yield TextRecord(where, _field_of(row, field))
            except ValueError as error:
                yield TextRecord(where, None, problem=str(error))


@contextlib.contextmanager
def _dataset_errors(source: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # datasets passes on whatever its readers and the network raise
        if isinstance(error, ModuleNotFoundError) and error.name == "datasets":
            raise ImportError(f"{source}: needs datasets: pip install datasets") from error
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
