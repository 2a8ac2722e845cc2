"""Files that texts come from: which there are, how they are packed, their lines."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import itertools
import lzma
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from neuro.config import ConfigError

STDIN, HUB = "-", "hf:"
JSON_SUFFIXES = (".jsonl", ".ndjson")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".cor", *JSON_SUFFIXES)
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
LONGEST_LINE = 2**26  # bytes


def expand_sources(sources: Iterable[str]) -> list[str]:
    """The files that folders and patterns stand for, sorted; what names no file stays as it is.

    Args:
        sources: as typed.

    Raises:
        ConfigError: nothing is named, or nothing is there.
        FileNotFoundError: no such file.
    """
    found: list[str] = []
    for source in sources:
        path = Path(source).expanduser()
        if source == STDIN or source.startswith(HUB):
            found.append(source)
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and _is_text(file, path))
            if not files:
                kinds = " ".join(TEXT_SUFFIXES)
                raise ConfigError(f"{source}: no text in this folder; looked for {kinds}, also packed as .gz, .xz, ...")
            found += map(str, files)
        elif path.exists():
            found.append(str(path))
        elif set(source) & set("*?["):
            anchor = Path(path.anchor)
            files = sorted(file for file in anchor.glob(str(path.relative_to(anchor))) if file.is_file())
            if not files:
                raise ConfigError(f"{source}: no file fits this pattern")
            found += map(str, files)
        else:
            raise FileNotFoundError(f"{source}: no such file")
    if not found:
        raise ConfigError("text.sources: nothing to tokenize; name files, folders, hf:DATASET, or - for standard input")
    return found


def is_repeatable(source: str) -> bool:
    """False for the standard input and other pipes, which can be read once."""
    return source != STDIN and (source.startswith(HUB) or Path(source).is_file())


def _is_text(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and plain_suffix(file) in TEXT_SUFFIXES


def plain_suffix(file: Path) -> str:
    """The suffix before the one that says how it is packed, if there is one."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = len(suffixes) > 1 and suffixes[-1] in PACKED_SUFFIXES
    return suffixes[-2] if packed else suffixes[-1] if suffixes else ""


def open_text(source: str) -> BinaryIO:
    """Open a file, or - for the standard input, for its unpacked bytes.

    Raises:
        FileNotFoundError: no such file.
        ImportError: what unpacks it is not installed.
    """
    if source == STDIN:
        return cast("BinaryIO", open(sys.stdin.fileno(), "rb", closefd=False))
    match Path(source).suffix.lower():
        case ".gz":
            return cast("BinaryIO", gzip.open(source))
        case ".bz2":
            return cast("BinaryIO", bz2.open(source))
        case ".xz":
            return cast("BinaryIO", lzma.open(source))
        case ".zst":
            return _open_zstd(source)
    return Path(source).open("rb")


def _open_zstd(source: str) -> BinaryIO:
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{source}: needs pyarrow to unpack it: pip install pyarrow, or unpack it first") from error
    stream = pyarrow.input_stream(source, compression="zstd")
    return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", stream), 2**20))


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their ends, numbered from 1; of one longer than `LONGEST_LINE`, pieces with the same number."""
    number, at_start, rest = 0, True, b""
    while line := rest + file.readline(LONGEST_LINE - len(rest)):
        ends, cut = line.endswith(b"\n"), len(line)
        if not ends and cut == LONGEST_LINE:
            cut = character_start(line, cut - 1)
        line, rest = line[:cut], line[cut:]
        if number == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        number += at_start
        at_start = ends
        yield number, line


def whole_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their ends, numbered from 1; None in place of one longer than `LONGEST_LINE`."""
    for number, pieces in itertools.groupby(numbered_lines(file), key=lambda piece: piece[0]):
        lines = [line for _, line in itertools.islice(pieces, 2)]
        yield number, lines[0] if len(lines) == 1 else None


def character_start(line: bytes, at: int) -> int:
    """The nearest place not after this one where a character may begin."""
    for back in range(4):
        if at - back <= 0 or at >= len(line) or line[at - back] & 0xC0 != 0x80:
            return max(0, at - back)
    return at  # four continuation bytes: not UTF-8 anyway
