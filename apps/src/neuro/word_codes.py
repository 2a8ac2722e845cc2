"""Codes of a codec with the words they stand for: FILE, and FILE.words beside it.

The words are needed for vectors of any form, so they are in a file of their own, and the size of FILE is that of the
codes. FILE.words knows the checksum of FILE: codes never come with the words of others.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from binemb.codes import pack_words, unpack_words
from ddp_utils import FileFormatError, atomic_file, read_tensor_file, write_tensor_file
from ddp_utils.tensor_file import checksum
from sdquant import CodecCodes
from torch import Tensor

KIND, VERSION = "neuro.words", 1


@dataclass(frozen=True, eq=False)
class WordCodes:
    """Codes and their words.

    Args:
        codes: of N rows.
        words: N words.
        vectors_id: what `identify` says of the vectors that were encoded.
    """

    codes: CodecCodes
    words: list[str]
    vectors_id: str

    def save(self, path: Path) -> None:
        """Write both files; neither takes its place before both are whole.

        Raises:
            OSError: a file cannot be written; what was there before is still there.
            ValueError: a word holds a line break.
        """
        with contextlib.ExitStack() as whole:
            words, codes = (whole.enter_context(atomic_file(file)) for file in (words_file(path), path))
            self.write(codes, words)

    def write(self, codes_path: Path, words_path: Path) -> None:
        """Write the two files as these."""
        self.codes.save(codes_path)
        facts = {"count": len(self.words), "codes": _digest(codes_path), "vectors": self.vectors_id}
        write_tensor_file(words_path, {"words": pack_words(self.words)}, kind=KIND, version=VERSION, metadata=facts)

    @classmethod
    def load(cls, path: Path) -> WordCodes:
        """Read both files.

        Raises:
            FileNotFoundError: there are no such codes, or no words beside them.
            FileFormatError: one of them is damaged, of another kind or newer; or they do not belong together.
        """
        codes = CodecCodes.load(path)
        beside = words_file(path)
        if not beside.is_file():
            raise FileNotFoundError(f"{beside}: no such file: it holds the words of {path}; keep the two together")
        words, facts = read_words(beside)
        if facts["codes"] != _digest(path) or len(words) != len(codes):
            raise FileFormatError(f"{beside}: holds the words of other codes than {path}; encode again")
        return cls(codes, words, str(facts["vectors"]))


def words_file(path: Path) -> Path:
    """Where the words of a codes file are."""
    return path.with_name(f"{path.name}.words")


def read_words(path: Path) -> tuple[list[str], dict[str, object]]:
    """Words, and what the file says of codes and vectors.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: damaged, of another kind, or newer.
    """
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    try:
        words = unpack_words(tensors["words"], facts["count"])
        if len(words) != facts["count"] or not isinstance(facts["codes"], str):
            raise ValueError(f"{len(words)} words for {facts['count']}")
    except (KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"{path}: not usable words: {error}") from error
    return words, facts


def identify(parts: Sequence[Tensor]) -> str:
    """Checksum of vectors, given part by part."""
    return checksum({f"part{i}": part for i, part in enumerate(parts)}, "")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
