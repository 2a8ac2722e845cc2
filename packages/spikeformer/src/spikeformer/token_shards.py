"""Folders of token files: read at any place by memory-mapping, checked against their index.

FOLDER/
    index.json           format, version, tokenizer, vocabulary, and of every shard: file, counts, SHA-256
    tokens-00000.bin     tokens one after the other, little-endian uint16, or uint32 for more than 65,536 entries
    tokens-00001.bin
    ...

Documents follow one another; after each stands the end-of-document entry.

Shapes: n tokens.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import FileFormatError, atomic_file

FORMAT, VERSION = "spikeformer.tokens", 1
INDEX = "index.json"
BYTES = "bytes"  # the tokenizer whose entries are bytes
WIDEST_NARROW = 2**16  # entries that uint16 can name
_SHARD_NAME = re.compile(r"tokens-\d{5,}\.bin")


@dataclass(frozen=True)
class ShardFacts:
    """One file of tokens.

    Args:
        file: its name.
        tokens: how many it holds, >= 1, end-of-document entries among them.
        documents: how many end in it.
        bytes: UTF-8 bytes of the text that its tokens are of.
        characters: code points of that text.
        records: number of the record after the last one in it.
        sha256: of the file, hexadecimal.
    """

    file: str
    tokens: int
    documents: int
    bytes: int
    characters: int
    records: int
    sha256: str

    def __post_init__(self) -> None:
        counts = (self.tokens, self.documents, self.bytes, self.characters, self.records)
        if not all(type(count) is int and count >= 0 for count in counts) or self.tokens == 0:
            raise ValueError(f"impossible counts {counts}")
        if not _SHARD_NAME.fullmatch(self.file) or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"impossible name or checksum of {self.file!r}")


@dataclass(frozen=True)
class TokenIndex:
    """What `index.json` holds.

    Args:
        tokenizer: what made the tokens, JSON-able; "name" and whatever else tells it from others.
        vocab_size: entries, the end-of-document entry among them, 1 to 2^32.
        end_id: the end-of-document entry, 0 to vocab_size - 1.
        origin: what was tokenized and how, JSON-able; only a writer with the same goes on with an unfinished folder.
        complete: False while the writing goes on.
        shards: the files, in order.
    """

    tokenizer: Mapping[str, Any]
    vocab_size: int
    end_id: int
    origin: Mapping[str, Any]
    complete: bool
    shards: tuple[ShardFacts, ...]

    def __post_init__(self) -> None:
        if type(self.vocab_size) is not int or not 1 <= self.vocab_size <= 2**32:
            raise ValueError(f"vocab_size must be 1 to 2^32, got {self.vocab_size!r}")
        if type(self.end_id) is not int or not 0 <= self.end_id < self.vocab_size:
            raise ValueError(f"end_id must be 0 to {self.vocab_size - 1}, got {self.end_id!r}")
        if not isinstance(self.tokenizer, Mapping) or not isinstance(self.tokenizer.get("name"), str):
            raise ValueError(f"tokenizer must have a name, got {self.tokenizer!r}")
        if not isinstance(self.origin, Mapping) or type(self.complete) is not bool:
            raise ValueError("origin must be an object and complete true or false")

    @property
    def dtype(self) -> np.dtype[Any]:
        """How a token is stored."""
        return np.dtype("<u2" if self.vocab_size <= WIDEST_NARROW else "<u4")

    def check(self, folder: Path, shard: ShardFacts, *, content: bool) -> None:
        """Compare the size of a file, and with `content` its checksum.

        Raises:
            FileNotFoundError, FileFormatError: it is missing or damaged; the message names it.
        """
        path, mend = folder / shard.file, "; write it again by the command that made it, or fetch it again"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, and {INDEX} names it{mend}")
        expected, found = shard.tokens * self.dtype.itemsize, path.stat().st_size
        if found != expected:
            raise FileFormatError(f"{path}: damaged: {found} bytes, {INDEX} says {expected}{mend}")
        if content:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                    raise FileFormatError(f"{path}: damaged: its checksum does not match {INDEX}{mend}")

    def write(self, folder: Path) -> None:
        """Write `index.json`, atomically.

        Args:
            folder: where the shards are.

        Raises:
            OSError: it cannot be written.
        """
        document = {"format": FORMAT, "version": VERSION, "dtype": self.dtype.name, **asdict(self)}
        document["sha256"] = _self_digest(document)
        with atomic_file(folder / INDEX) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> TokenIndex:
        """Read `index.json`.

        Args:
            folder: where the shards are.

        Raises:
            FileNotFoundError: there is none.
            FileFormatError: it is damaged, of another kind, or newer.
        """
        path = folder / INDEX
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file: {folder} is not a folder of tokens")
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["format"] != FORMAT:
                raise ValueError(f"its format is {document['format']!r}, expected {FORMAT!r}")
            if document["version"] != VERSION:
                raise FileFormatError(
                    f"{path}: version {document['version']!r}; this release reads version {VERSION}: upgrade it"
                )
            if document["sha256"] != _self_digest(document):
                raise ValueError("its checksum does not match")
            shards = tuple(ShardFacts(**shard) for shard in document["shards"])
            names = ("tokenizer", "vocab_size", "end_id", "origin", "complete")
            return cls(**{name: document[name] for name in names}, shards=shards)
        except FileFormatError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileFormatError(f"{path}: not a readable index of tokens (truncated or damaged): {error}") from error


def _self_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps({**document, "sha256": ""}, sort_keys=True).encode()).hexdigest()


class TokenShards:
    """The tokens of a folder, as one sequence.

    Opening checks the index and the size of every file, not what the files hold: `verify` does.

    Args:
        folder: what `TokenShardWriter`, or `neuro data tokenize`, wrote.

    Raises:
        FileNotFoundError: there is no such folder or index, or a shard is missing.
        FileFormatError: the index is damaged, its writing has not finished, or a shard has another size.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index = TokenIndex.read(self.folder)
        if not self.index.complete:
            raise FileFormatError(f"{self.folder}: its writing has not finished; start the same command again")
        for shard in self.index.shards:
            self.index.check(self.folder, shard, content=False)
        self._starts = [0, *itertools.accumulate(shard.tokens for shard in self.index.shards)]
        self._maps = [
            np.memmap(self.folder / shard.file, dtype=self.index.dtype, mode="r", shape=(shard.tokens,))
            for shard in self.index.shards
        ]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary, the end-of-document entry among them."""
        return self.index.vocab_size

    @property
    def end_id(self) -> int:
        """The end-of-document entry."""
        return self.index.end_id

    @property
    def tokenizer(self) -> Mapping[str, Any]:
        """What made the tokens."""
        return self.index.tokenizer

    @property
    def n_documents(self) -> int:
        """How many documents there are."""
        return sum(shard.documents for shard in self.index.shards)

    @property
    def digest(self) -> str:
        """SHA-256 over the checksums of all shards, hexadecimal: another text or tokenizer, another digest."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.index.shards).encode()).hexdigest()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens start to stop - 1.

        Args:
            start: the first, 0 to stop.
            stop: after the last, at most the number of tokens.

        Returns:
            uint16 or uint32, (stop - start,); within one shard a view of the file.

        Raises:
            ValueError: the place is outside the sequence.
            FileFormatError: a shard holds what is no entry of the vocabulary.
        """
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"TokenShards.read: {start}:{stop} is not within the {len(self)} tokens of {self.folder}")
        pieces = []
        for number, first, last in self._pieces(start, stop):
            piece_n = self._maps[number][first:last]
            if int(piece_n.max()) >= self.vocab_size:
                path = self.folder / self.index.shards[number].file
                raise FileFormatError(
                    f"{path}: damaged: entry {int(piece_n.max())} of a vocabulary of {self.vocab_size}"
                )
            pieces.append(piece_n)
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, self.index.dtype), *pieces])

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Shard number, first and last place in it, of every shard that the tokens start to stop - 1 lie in."""
        number = bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            end = min(stop, self._starts[number + 1])
            yield number, start - self._starts[number], end - self._starts[number]
            start, number = end, number + 1

    def measure(self, start: int, stop: int) -> tuple[float, float]:
        """How much text the tokens start to stop - 1 are of.

        Exact for tokens that are bytes, and for whole shards; in a part of a shard of other tokens, the shard's mean.

        Args:
            start: the first, 0 to stop.
            stop: after the last, at most the number of tokens.

        Returns:
            UTF-8 bytes and characters of the text; end-of-document entries count for none.
        """
        if self.tokenizer["name"] == BYTES:
            return measure_bytes(self.read(start, stop))
        n_bytes = n_characters = 0.0
        for number, first, last in self._pieces(start, stop):
            shard = self.index.shards[number]
            share = (last - first) / shard.tokens
            n_bytes, n_characters = n_bytes + share * shard.bytes, n_characters + share * shard.characters
        return n_bytes, n_characters

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            FileNotFoundError, FileFormatError: a file is missing or damaged; the message names it.
        """
        for shard in self.index.shards:
            self.index.check(self.folder, shard, content=True)


def measure_bytes(ids_n: np.ndarray) -> tuple[int, int]:
    """Bytes and characters of tokens that are UTF-8 bytes; entries of 256 and more count for none.

    Args:
        ids_n: tokens, (n,).
    """
    is_byte_n = ids_n < 256
    begins_n = is_byte_n & ((ids_n & 0xC0) != 0x80)  # all but continuation bytes begin a character
    return int(is_byte_n.sum()), int(begins_n.sum())
