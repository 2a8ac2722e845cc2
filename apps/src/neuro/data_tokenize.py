"""`neuro data tokenize`: texts into folders of tokens, for training and for validation."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddp_utils import Stopped, atomic_file, progress, setup_logging
from spikeformer import TokenShards, TokenShardWriter

from neuro.config import ConfigError, to_toml
from neuro.data_settings import DataTokenizeSettings, TextSourceSettings
from neuro.data_split import TRAIN, VALIDATION, assign, way_to_split
from neuro.run_folder import CONFIG, holding
from neuro.text_files import expand_sources
from neuro.text_sources import TextRecord, identity, read_records
from neuro.text_tokenizers import TextTokenizer, load_tokenizer
from neuro.tokenizer_pool import encode_in_order

COUNTS = "bad_records.json"
BATCH_RECORDS, BATCH_CHARACTERS = 256, 2**22
log = logging.getLogger("neuro")


def tokenize(
    settings: DataTokenizeSettings, out: Path, *, workers: int, quiet: bool, tokenizer: TextTokenizer | None = None
) -> dict[str, Any]:
    """Tokenize texts; a call that was stopped or killed goes on where it was when it is made again.

    Args:
        settings: which texts, and how.
        out: gets the folders `train` and `validation`.
        workers: processes that tokenize; the result does not depend on it.
        quiet: no progress.
        tokenizer: one that is open, in place of the one that the settings name.

    Returns:
        What was written, JSON-able.

    Raises:
        ConfigError: a source, a tokenizer or the folder does not do; or more records are bad than are allowed.
        Stopped: SIGINT or SIGTERM came.
    """
    setup_logging(quiet=quiet)
    try:
        with holding(out):
            sources = expand_sources(settings.text.sources)
            tokenizer = tokenizer or load_tokenizer(settings.tokenizer)
            reader = RecordReader(sources, settings.text)
            way = way_to_split(sources, settings)
            with ExitStack() as stack:
                writers = _open_writers(settings, out, sources, tokenizer, stack)
                if not all(writer.index.complete for writer in writers.values()):
                    _write(assign(reader, way, settings), writers, tokenizer, workers, quiet=quiet)
                    _check_written(writers, sources, reader.skipped)
                    _write_facts(settings, out, tokenizer, reader)
                folders = {name: writer.finish() for name, writer in writers.items()}
    except KeyboardInterrupt:
        raise Stopped("stopped by a signal; start the same command again to go on") from None
    return summary(out, folders) | json.loads((out / COUNTS).read_text(encoding="utf-8"))


def _write_facts(settings: DataTokenizeSettings, out: Path, tokenizer: TextTokenizer, reader: RecordReader) -> None:
    """Write what stands beside the tokens: the tokenizer, the settings, and how many records were bad."""
    tokenizer.save(out)
    counts = {"skipped": reader.skipped, "replaced": reader.replaced}
    for name, content in ((CONFIG, to_toml(settings)), (COUNTS, json.dumps(counts) + "\n")):
        with atomic_file(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def summary(out: Path, folders: dict[str, TokenShards]) -> dict[str, Any]:
    """What folders of tokens hold, JSON-able."""
    some = next(iter(folders.values()))
    return {
        "folder": str(out),
        "tokenizer": dict(some.tokenizer),
        "vocab_size": some.vocab_size,
        "dtype": some.index.dtype.name,
        "splits": {
            name: {
                "tokens": len(tokens),
                "documents": tokens.n_documents,
                "bytes": sum(shard.bytes for shard in tokens.index.shards),
                "characters": sum(shard.characters for shard in tokens.index.shards),
                "shards": len(tokens.index.shards),
            }
            for name, tokens in folders.items()
        },
    }


class RecordReader:
    """Records of all sources; it can be walked through again, but for the standard input.

    Args:
        sources: what `expand_sources` gave.
        settings: how to read them.
    """

    def __init__(self, sources: list[str], settings: TextSourceSettings) -> None:
        self.sources, self.settings = sources, settings
        self.skipped = self.replaced = 0

    def __iter__(self) -> Iterator[TextRecord]:
        """From the first record; counts anew what is skipped and replaced.

        Raises:
            ConfigError: more is bad than is allowed, or anything is and that is to fail.
        """
        self.skipped = self.replaced = 0
        for source in self.sources:
            for record in read_records(source, self.settings):
                if record.problem:
                    self._count(record)
                yield record

    def _count(self, record: TextRecord) -> None:
        said = f"{record.where}: {record.problem}"
        if self.settings.errors == "fail":
            raise ConfigError(f"{said}; mend it, or use --errors skip")
        if record.text is None:
            self.skipped += 1
        else:
            self.replaced += 1
        log.warning("%s: %s", "skipped" if record.text is None else "replaced what is not UTF-8", said)
        if self.skipped + self.replaced > self.settings.bad_records:
            raise ConfigError(
                f"{said}; more than {self.settings.bad_records} bad records: mend them, or raise text.bad_records"
            )


def _open_writers(
    settings: DataTokenizeSettings,
    out: Path,
    sources: list[str],
    tokenizer: TextTokenizer,
    stack: ExitStack,
) -> dict[str, TokenShardWriter]:
    identities = [[source, identity(source)] for source in sources]
    text = {key: value for key, value in asdict(settings.text).items() if key not in ("sources", "bad_records")}
    origin = {"sources": identities, **text, "split": asdict(settings.split), "seed": settings.seed}
    names = (TRAIN, VALIDATION) if settings.split.validation else (TRAIN,)
    facts = {"tokenizer": tokenizer.describe(), "vocab_size": tokenizer.vocab_size, "end_id": tokenizer.end_id}
    writers = {
        name: stack.enter_context(
            TokenShardWriter(out / name, **facts, origin=origin, shard_tokens=settings.shard_tokens)
        )
        for name in names
    }
    once = [source for source, found in identities if found is None]
    if once and any(writer.position for writer in writers.values()):
        raise ConfigError(
            f"{out}: holds tokens of {once[0]}, which cannot be compared with what comes from there now; "
            "use another folder, or a file to go on with"
        )
    return writers


def _check_written(writers: dict[str, TokenShardWriter], sources: list[str], skipped: int) -> None:
    """Refuse to end without any text.

    Raises:
        ConfigError: nothing came to train on, or to validate on.
    """
    texts = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
    empty = [name for name, writer in writers.items() if not writer.tokens]
    if len(empty) == len(writers):
        raise ConfigError(f"{texts}: no text in it" + (f"; {skipped} record(s) skipped" if skipped else ""))
    if empty:
        raise ConfigError(f"{texts}: too few documents, none came to {empty[0]}; use more text, or --validation 0")


def _write(
    chosen: Iterable[tuple[str, int, TextRecord]],
    writers: dict[str, TokenShardWriter],
    tokenizer: TextTokenizer,
    workers: int,
    *,
    quiet: bool,
) -> None:
    wanted = (entry for entry in chosen if entry[1] >= writers[entry[0]].position)
    batches, again = itertools.tee(_batches(wanted))
    texts = ([record.text or "" for _, _, record in batch] for batch in batches)
    with progress("tokenizing", None, unit="tokens", quiet=quiet) as bar:
        for batch, encoded in zip(again, encode_in_order(texts, tokenizer, workers), strict=True):
            for (name, number, record), ids_n in zip(batch, encoded, strict=True):
                text = record.text
                if text is not None or record.ends:
                    size = (len(text.encode()), len(text)) if text else (0, 0)
                    writers[name].append(number, ids_n, n_bytes=size[0], n_characters=size[1], ends=record.ends)
            bar.advance(sum(map(len, encoded)))


def _batches(entries: Iterable[tuple[str, int, TextRecord]]) -> Iterator[list[tuple[str, int, TextRecord]]]:
    batch, size = [], 0
    for entry in entries:
        batch.append(entry)
        size += len(entry[2].text or "")
        if len(batch) >= BATCH_RECORDS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def open_splits(folder: Path) -> dict[str, TokenShards]:
    """The splits of a folder of `data tokenize`, or one folder of tokens as "train".

    Raises:
        FileNotFoundError: there are none.
        FileFormatError: a split is damaged or not finished.
    """
    if (folder / "index.json").is_file():
        return {TRAIN: TokenShards(folder)}
    found = {name: TokenShards(folder / name) for name in (TRAIN, VALIDATION) if (folder / name).is_dir()}
    if TRAIN not in found:
        raise FileNotFoundError(f"{folder}: no tokens here; `neuro data tokenize` writes them")
    return found
