"""Writing a folder of tokens, in little memory, so that a killed writer goes on where it was.

Shapes: n tokens.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from ddp_utils import FileFormatError
from ddp_utils.atomic import TEMPORARY_PREFIX, fsync_path, remove_leftovers

from spikeformer.token_shards import INDEX, ShardFacts, TokenIndex, TokenShards

SHARD_TOKENS = 2**26
log = logging.getLogger("spikeformer")


class TokenShardWriter:
    """Writes records of tokens into shards; each finished shard is in its place and in the index at once.

    A shard ends after the record that fills it, so its contents depend on the records alone. A writer that opens an
    unfinished folder goes on after its last whole shard: give it the records again, those before `position` are
    passed over, and the folder ends with the same bytes as without the interruption. One that opens a finished folder
    of the same tokens has nothing left to write. Shards that stand are read and compared with their checksums; from the
    first that is missing or damaged on they are written again. Where no shard was finished, nothing stays, and other
    tokens may come.

        with TokenShardWriter(folder, tokenizer={"name": "bytes"}, vocab_size=257, end_id=256) as writer:
            for number, text in enumerate(texts):
                ids = list(text.encode())
                writer.append(number, ids, n_bytes=len(ids), n_characters=len(text))
            writer.finish()

    Args:
        folder: where to write; made if missing. One writer at a time.
        tokenizer: what makes the tokens, JSON-able; "name" and whatever else tells it from others.
        vocab_size: entries, the end-of-document entry among them, 1 to 2^32.
        end_id: the end-of-document entry, 0 to vocab_size - 1.
        origin: what is tokenized and how, JSON-able.
        shard_tokens: tokens after which a shard is full, >= 1.

    Raises:
        ValueError: an argument is out of its range, or the folder that stands there is of other tokens.
        FileFormatError: the index that stands there is damaged.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        tokenizer: Mapping[str, Any],
        vocab_size: int,
        end_id: int,
        origin: Mapping[str, Any] | None = None,
        shard_tokens: int = SHARD_TOKENS,
    ) -> None:
        if shard_tokens < 1:
            raise ValueError(f"TokenShardWriter: shard_tokens must be at least 1, got {shard_tokens}")
        self.folder, self.shard_tokens = Path(folder), shard_tokens
        stated = json.loads(json.dumps({**(origin or {}), "shard_tokens": shard_tokens}))
        self.index = TokenIndex(json.loads(json.dumps(tokenizer)), vocab_size, end_id, stated, False, ())
        self._made = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / INDEX).is_file():
            self.index = self._standing(TokenIndex.read(self.folder))
        remove_leftovers(self.folder)
        if not self.index.complete:
            self.index.write(self.folder)
        self._file: BinaryIO | None = None
        self._begin()

    def _standing(self, found: TokenIndex) -> TokenIndex:
        if not found.complete and not found.shards:
            return self.index
        names = ("tokenizer", "vocab_size", "end_id", "origin")
        changed = [name for name in names if getattr(found, name) != getattr(self.index, name)]
        if "origin" in changed:
            ours, theirs = self.index.origin, found.origin
            changed[-1:] = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if changed:
            raise ValueError(
                f"{self.folder}: holds tokens of another {', '.join(changed)}; use the same to go on, or another folder"
            )
        for number, shard in enumerate(found.shards):
            try:
                found.check(self.folder, shard, content=True)
            except (FileNotFoundError, FileFormatError):
                log.warning("%s: missing or damaged; written again from here on", self.folder / shard.file)
                return replace(found, complete=False, shards=found.shards[:number])
        return found

    @property
    def tokens(self) -> int:
        """How many are written, in finished shards and in the one that is not full."""
        return sum(shard.tokens for shard in self.index.shards) + self._tokens

    @property
    def position(self) -> int:
        """Number of the first record that is not yet in a finished shard; beyond all records in a finished folder."""
        if self.index.complete:
            return sys.maxsize
        return self.index.shards[-1].records if self.index.shards else 0

    def append(
        self, record: int, tokens: Sequence[int] | np.ndarray, *, n_bytes: int, n_characters: int, ends: bool = True
    ) -> None:
        """Write one record; one before `position` is passed over.

        Args:
            record: its number, growing from call to call.
            tokens: its entries, (n,), integers.
            n_bytes: UTF-8 bytes of its text.
            n_characters: code points of its text.
            ends: True if a document ends with it; the end-of-document entry is written after it.

        Raises:
            ValueError: an entry is not in the vocabulary, or the record comes after a later one.
            OSError: the disk is full.
        """
        if record < self.position:
            return
        ids_n = np.asarray(tokens)
        if ids_n.ndim != 1 or (ids_n.size and not np.issubdtype(ids_n.dtype, np.integer)):
            raise ValueError(f"TokenShardWriter.append: record {record}: expected integers in one row, got {ids_n!r}")
        if ids_n.size and not 0 <= int(ids_n.min()) <= int(ids_n.max()) < self.index.vocab_size:
            raise ValueError(
                f"TokenShardWriter.append: record {record}: entries {ids_n.min()} to {ids_n.max()} are not within the "
                f"vocabulary of {self.index.vocab_size}"
            )
        if record < self._records:
            raise ValueError(f"TokenShardWriter.append: record {record} comes after record {self._records - 1}")
        if ends:
            ids_n = np.append(ids_n, self.index.end_id)
        self._write(ids_n.astype(self.index.dtype).tobytes())
        self._tokens += len(ids_n)
        self._documents += ends
        self._bytes += n_bytes
        self._characters += n_characters
        self._records = record + 1
        if self._tokens >= self.shard_tokens:
            self._end_shard()

    def finish(self) -> TokenShards:
        """Write the last shard and declare the folder whole.

        Returns:
            The folder, opened.
        """
        if self._tokens:
            self._end_shard()
        if not self.index.complete:
            self.index = replace(self.index, complete=True)
            self.index.write(self.folder)
        return TokenShards(self.folder)

    def close(self) -> None:
        """Drop the shard that is not full; where none is finished also the index, and the folder it made."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._partial.unlink(missing_ok=True)
        if not self.index.complete and not self.index.shards:
            (self.folder / INDEX).unlink(missing_ok=True)
            if self._made:
                with contextlib.suppress(OSError):  # it holds something else
                    self.folder.rmdir()

    def __enter__(self) -> TokenShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._name = f"tokens-{len(self.index.shards):05d}.bin"
        self._partial = self.folder / f"{TEMPORARY_PREFIX}{self._name}"
        self._digest = hashlib.sha256()
        self._tokens = self._documents = self._bytes = self._characters = 0
        self._records = self.position

    def _write(self, content: bytes) -> None:
        if self._file is None:
            self._file = self._partial.open("wb")
        self._file.write(content)
        self._digest.update(content)

    def _end_shard(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        fsync_path(self._partial)
        self._partial.replace(self.folder / self._name)
        counts = (self._tokens, self._documents, self._bytes, self._characters, self._records)
        shard = ShardFacts(self._name, *counts, self._digest.hexdigest())
        self.index = replace(self.index, shards=(*self.index.shards, shard))
        self.index.write(self.folder)  # syncs the folder too
        self._begin()


def write_token_shards(
    folder: str | Path,
    texts: Iterable[str],
    encode: Callable[[str], Sequence[int]],
    *,
    tokenizer: Mapping[str, Any],
    vocab_size: int,
    end_id: int,
    shard_tokens: int = SHARD_TOKENS,
) -> TokenShards:
    """Write documents into a folder of tokens; a killed call goes on where it was when it is made again.

    Args:
        folder: where to write.
        texts: the documents, in the same order in every call.
        encode: gives the entries of a text.
        tokenizer: what `encode` is, as `TokenShardWriter` takes it.
        vocab_size: as there.
        end_id: as there.
        shard_tokens: as there.

    Returns:
        The folder, opened.

    Raises:
        ValueError, FileFormatError, OSError: as `TokenShardWriter`.
    """
    arguments = {"tokenizer": tokenizer, "vocab_size": vocab_size, "end_id": end_id, "shard_tokens": shard_tokens}
    with TokenShardWriter(folder, **arguments) as writer:
        for number, text in enumerate(texts):
            if number >= writer.position:
                writer.append(number, encode(text), n_bytes=len(text.encode()), n_characters=len(text))
        return writer.finish()
