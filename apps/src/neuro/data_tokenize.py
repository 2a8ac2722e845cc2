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

from ddp_utils import Stopped, atomic_file, lock_run_folder, progress, setup_logging
from ddp_utils.seed import key_bits
from spikeformer import TokenShards, TokenShardWriter

from neuro.config import ConfigError, to_toml
from neuro.data_settings import DataTokenizeSettings, TextSourceSettings
from neuro.run_folder import CONFIG
from neuro.text_files import HUB, STDIN, expand_sources
from neuro.text_sources import TextRecord, documents_of, read_records
from neuro.text_tokenizers import TextTokenizer, load_tokenizer
from neuro.tokenizer_pool import encode_in_order

TRAIN, VALIDATION, COUNTS = "train", "validation", "bad_records.json"
BATCH_RECORDS, BATCH_CHARACTERS = 256, 2**20
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
        with lock_run_folder(out):
            sources = expand_sources(settings.text.sources)
            tokenizer = tokenizer or load_tokenizer(settings.tokenizer)
            reader = RecordReader(sources, settings.text)
            takes_last = _takes_last(sources, settings)
            with ExitStack() as stack:
                writers = _open_writers(settings, out, sources, tokenizer, stack)
                if not all(writer.index.complete for writer in writers.values()):
                    first_validation = _first_of_last(reader, settings) if takes_last else None
                    chosen = _assign(reader, settings, first_validation)
                    _write(chosen, writers, tokenizer, workers, quiet=quiet)
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
    """Records of all sources, numbered; it can be walked through again, but for the standard input.

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


def _takes_last(sources: list[str], settings: DataTokenizeSettings) -> bool:
    if settings.split.by == "auto":
        whole_files = all(documents_of(source, settings.text) == "file" for source in sources)
        last = whole_files and STDIN not in sources
    else:
        last = settings.split.by == "last"
    if last and settings.split.validation and STDIN in sources:
        raise ConfigError("split.by: the standard input cannot be read twice; use --set split.by=hash, or a file")
    return last and settings.split.validation > 0


def _first_of_last(reader: RecordReader, settings: DataTokenizeSettings) -> int:
    """Number of the first record for validation, where that takes the last ones."""
    level = log.level
    log.setLevel(logging.ERROR)  # what is skipped is told of when it is tokenized
    try:
        n_records = sum(1 for _ in reader)
    finally:
        log.setLevel(level)
    if n_records < 2:
        raise ConfigError(
            f"split.validation: the texts are one record of at most 4 KiB, nothing is left to train on; "
            f"use --validation 0, or more text than {reader.sources[0]}"
        )
    return n_records - max(1, round(n_records * settings.split.validation))


def _open_writers(
    settings: DataTokenizeSettings,
    out: Path,
    sources: list[str],
    tokenizer: TextTokenizer,
    stack: ExitStack,
) -> dict[str, TokenShardWriter]:
    sizes = [[source, _size(source)] for source in sources]
    text = {key: value for key, value in asdict(settings.text).items() if key not in ("sources", "bad_records")}
    origin = {"sources": sizes, **text, "split": asdict(settings.split), "seed": settings.seed}
    names = (TRAIN, VALIDATION) if settings.split.validation else (TRAIN,)
    facts = {"tokenizer": tokenizer.describe(), "vocab_size": tokenizer.vocab_size, "end_id": tokenizer.end_id}
    return {
        name: stack.enter_context(
            TokenShardWriter(out / name, **facts, origin=origin, shard_tokens=settings.shard_tokens)
        )
        for name in names
    }


def _size(source: str) -> int | None:
    return None if source == STDIN or source.startswith(HUB) else Path(source).stat().st_size


def _assign(
    reader: RecordReader, settings: DataTokenizeSettings, first_validation: int | None
) -> Iterator[tuple[str, int, TextRecord]]:
    """Where each record goes, its number and itself."""
    share = settings.split.validation
    for number, record in enumerate(reader):
        if first_validation is None:
            name = VALIDATION if share and key_bits(settings.seed, "validation", number) < share * 2**64 else TRAIN
        else:
            name = TRAIN if number < first_validation else VALIDATION
            if number == first_validation - 1 and record.text is not None:
                record = TextRecord(record.where, record.text, True, record.problem)  # training ends here
        yield name, number, record


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
