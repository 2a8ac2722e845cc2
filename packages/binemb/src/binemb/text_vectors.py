"""Text formats of word vectors: GloVe, word2vec text and fastText .vec, plain or compressed.

One line is one word and its values, apart by spaces or tabs. word2vec and fastText put a line "N D" before them,
GloVe does not. Words may hold spaces (GloVe 840B has such): the values are taken from the right.

Shapes: N words, D values: `vectors_ND`.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from binemb.errors import VectorFileError

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 24
STREAM_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError)

_OPENERS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}


class RawVectors(NamedTuple):
    """What a reader found, before duplicates and non-finite rows are dealt with."""

    words: list[str]
    vectors_ND: Tensor
    unit: str
    """What a row is called in this format: "line", "row" or "record"."""
    first: int
    """The number of the first row in that unit."""
    duplicates: int = 0
    """Rows that the reader itself left out because their word came before."""


def open_stream(path: Path) -> tuple[BinaryIO, bool]:
    """Open a file for reading, through gzip, bzip2 or xz where its first bytes say so.

    Returns:
        The stream, and whether it is compressed.
    """
    with path.open("rb") as plain:
        head = plain.read(6)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            return cast("BinaryIO", opener(path)), True
    return path.open("rb"), False


def parse_header(line: bytes) -> tuple[int, int] | None:
    """Read "N D", the header of word2vec and fastText files: the number of words and of values. None if it is none."""
    tokens = line.split()
    if len(tokens) == 2 and all(token.isdigit() and len(token) < 19 for token in tokens):
        return int(tokens[0]), int(tokens[1])
    return None


def read_text_vectors(path: Path, *, limit: int | None = None) -> RawVectors:
    """Read GloVe, word2vec or fastText vectors in text form, line by line.

    The file is never held as a whole, and a header is never trusted with memory: rows are stored as they come.

    Args:
        path: the file; gzip, bzip2 and xz are undone on the way.
        limit: rows to read at most, >= 1. What comes after them is neither read nor checked.

    Returns:
        Words and vectors, float32, (N, D), in the file's order. Values beyond float32 come as infinity.

    Raises:
        VectorFileError: a line that is empty, has a wrong number of values, a value that is no number or bytes that
            are not UTF-8; a file that ends inside a line, is empty, or has another number of lines than its header
            says.

    References:
        Pennington, Socher, Manning (2014), GloVe, EMNLP. Mikolov et al. (2013), word2vec, arXiv:1301.3781.
        Bojanowski et al. (2017), fastText, arXiv:1607.04606.
    """
    words: list[str] = []
    rows = _GrowingRows()
    header: tuple[int, int] | None = None
    dim = 0
    try:
        stream, _ = open_stream(path)
        with stream:
            for first_line, block in _line_blocks(stream, path):
                lines, number = block, first_line
                if number == 1:
                    lines[0] = lines[0].removeprefix(codecs.BOM_UTF8)  # some editors begin a file with it
                    header = parse_header(lines[0])
                    dim = header[1] if header else _count_values(lines[0], path)
                    if header and min(header) < 1:
                        raise VectorFileError(f"{path}: line 1: the header says {header[0]} words of {dim} values")
                    if header:
                        lines, number = lines[1:], 2
                if limit is not None:
                    lines = lines[: limit - len(words)]
                if lines:
                    block_words, block_ND = _parse_lines(lines, dim, path, number)
                    words += block_words
                    rows.append(block_ND)
                if len(words) == limit:
                    break
    except STREAM_ERRORS as error:
        raise VectorFileError(f"{path}: cannot be read to the end: {error}; fetch or unpack it again") from error
    if not words:
        raise VectorFileError(f"{path}: holds no vectors")
    if header and len(words) != header[0] and len(words) != limit:
        raise VectorFileError(
            f"{path}: line 1: the header says {header[0]} words, the file has {len(words)}; fetch it again or mend it"
        )
    return RawVectors(words, torch.from_numpy(rows.finish()), "line", 2 if header else 1)


class _GrowingRows:
    """Rows of float32 in one array that grows by half, in place where the allocator can."""

    def __init__(self) -> None:
        self._values_ND = np.empty((0, 0), dtype=np.float32)
        self._n_rows = 0

    def append(self, block_ND: np.ndarray) -> None:
        n_rows, dim = self._n_rows + len(block_ND), block_ND.shape[1]
        if n_rows > len(self._values_ND):
            self._values_ND.resize((max(n_rows, len(self._values_ND) * 3 // 2), dim), refcheck=False)
        self._values_ND[self._n_rows : n_rows] = block_ND
        self._n_rows = n_rows

    def finish(self) -> np.ndarray:
        self._values_ND.resize((self._n_rows, self._values_ND.shape[1]), refcheck=False)
        return self._values_ND


def _line_blocks(stream: BinaryIO, path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the number of the first line, from 1, and some whole lines without their ends."""
    number, rest = 1, b""
    while chunk := stream.read(CHUNK_BYTES):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > MAX_LINE_BYTES:
            raise VectorFileError(
                f"{path}: line {number + len(lines)}: longer than {MAX_LINE_BYTES} bytes; no text file of vectors"
            )
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        raise VectorFileError(
            f"{path}: line {number}: the file ends inside this line; it was cut short, "
            "or lacks only the line end: then add one"
        )


def _parse_lines(lines: list[bytes], dim: int, path: Path, first_line: int) -> tuple[list[str], np.ndarray]:
    """Parse whole lines: all at once, and one by one only if that fails, to take words with spaces or name the line."""
    try:
        words, values = zip(*(line.rstrip().split(None, 1) for line in lines), strict=True)
        words_N = _decode_words(words)
        values_ND = _to_float32(b"\n".join(values).decode("ascii").split("\n"))
    except ValueError:
        return _parse_one_by_one(lines, dim, path, first_line)
    if values_ND.shape != (len(lines), dim):
        return _parse_one_by_one(lines, dim, path, first_line)
    return words_N, values_ND


def _parse_one_by_one(lines: list[bytes], dim: int, path: Path, first_line: int) -> tuple[list[str], np.ndarray]:
    words: list[str] = []
    values_ND = np.empty((len(lines), dim), dtype=np.float32)
    for row, line in enumerate(lines):
        where = f"{path}: line {first_line + row}"
        tokens = line.split()
        word_tokens = tokens[:-dim]
        if not tokens:
            raise VectorFileError(f"{where}: empty line; remove it")
        if len(tokens) <= dim or (len(word_tokens) > 1 and _is_number(word_tokens[-1])):
            raise VectorFileError(f"{where}: expected {dim} values, found {_numbers_at_end(tokens)}")
        try:
            words += _decode_words([b" ".join(word_tokens)])
        except UnicodeDecodeError as error:
            raise VectorFileError(f"{where}: the word {b' '.join(word_tokens)!r} is not UTF-8") from error
        try:
            values_ND[row] = _to_float32([b" ".join(tokens[-dim:]).decode("ascii")])[0]
        except ValueError as error:
            if len(word_tokens) > 1:
                raise VectorFileError(f"{where}: expected {dim} values, found {_numbers_at_end(tokens)}") from error
            bad = next((token for token in tokens[-dim:] if not _is_number(token)), b"")
            shown = bad.decode("utf-8", errors="backslashreplace")
            raise VectorFileError(f"{where}: the value {shown!r} is not a number") from error
    return words, values_ND


def _decode_words(words: tuple[bytes, ...] | list[bytes]) -> list[str]:
    return b"\n".join(words).decode("utf-8").split("\n")


def _to_float32(lines: list[str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.loadtxt(lines, dtype=np.float32, comments=None, ndmin=2)


def _is_number(token: bytes) -> bool:
    # float() would also take "1_000", which the block parser refuses.
    try:
        float(token)
    except ValueError:
        return False
    return b"_" not in token


def _numbers_at_end(tokens: list[bytes]) -> int:
    """How many of the last tokens are numbers; the first token is the word, whatever it looks like."""
    n_numbers = 0
    for token in reversed(tokens[1:]):
        if not _is_number(token):
            break
        n_numbers += 1
    return n_numbers


def _count_values(first_line: bytes, path: Path) -> int:
    dim = _numbers_at_end(first_line.split())
    if dim == 0:
        raise VectorFileError(
            f"{path}: line 1: no word followed by values; known are GloVe, word2vec, fastText, npy and safetensors"
        )
    return dim
