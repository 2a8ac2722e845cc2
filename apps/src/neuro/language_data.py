"""The text of a language model: opened where it is tokenized, tokenized as bytes where it is not."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddp_utils import FileFormatError, atomic_file, run_on_main
from spikeformer import TokenShards

from neuro.config import ConfigError
from neuro.data_settings import DataTokenizeSettings, SplitSettings, TextSourceSettings
from neuro.data_split import TRAIN, VALIDATION
from neuro.data_tokenize import open_splits, tokenize
from neuro.run_folder import MODEL
from neuro.spikeformer_settings import SAMPLE_TEXT
from neuro.text_files import expand_sources
from neuro.text_tokenizers import ByteTokenizer, TextTokenizer, open_tokenizer

DATA, TOKENS, DENSE = "data.json", "tokens", "dense"


@dataclass(frozen=True)
class LanguageData:
    """A text in tokens.

    Args:
        folder: where it is.
        train: to train on.
        validation: to validate on.
        tokenizer: what made the tokens.
    """

    folder: Path
    train: TokenShards
    validation: TokenShards
    tokenizer: TextTokenizer


def open_data(source: str, validation: float, folder: Path, *, verify: bool, quiet: bool) -> LanguageData:
    """Open a folder of tokens; a text is tokenized first, as bytes, into `tokens` of the run folder.

    Args:
        source: as `TextDataSettings` has it.
        validation: share of a text that is kept out.
        folder: the run folder.
        verify: compare the checksums.
        quiet: no progress.

    Raises:
        ConfigError: there is nothing to validate on, or the text cannot be read.
        FileNotFoundError: no such text.
        FileFormatError: tokens are damaged; the message names the file.
    """
    tokens = run_on_main(_prepare, source, validation, folder, verify, quiet)
    splits = open_splits(tokens)
    if not len(splits.get(VALIDATION, ())):
        raise ConfigError(f"{tokens}: has no validation text; tokenize with --validation 0.05, or more text")
    return LanguageData(tokens, splits[TRAIN], splits[VALIDATION], open_tokenizer(splits[TRAIN].tokenizer, tokens))


def _prepare(source: str, validation: float, folder: Path, verify: bool, quiet: bool) -> Path:
    path = Path(source).expanduser()
    if not is_tokenized(path):
        path = folder / TOKENS
        text = TextSourceSettings(sources=(text_file(source),))
        tokenize(DataTokenizeSettings(text, split=SplitSettings(validation)), path, workers=1, quiet=quiet)
    elif verify:
        for tokens in open_splits(path).values():
            tokens.verify()
    return path


def is_tokenized(path: Path) -> bool:
    """True for a folder of tokens."""
    return any((path / name).is_file() for name in ("index.json", f"{TRAIN}/index.json"))


def check_data(source: str, vocab_size: int) -> None:
    """Refuse what cannot be trained on, before anything is written.

    Args:
        source: as `TextDataSettings` has it.
        vocab_size: entries of the model.

    Raises:
        ConfigError: there is no text, or the model has too few entries for its tokens.
        FileNotFoundError: no such text.
        FileFormatError: tokens are damaged; the message names the file.
    """
    path, wanted = Path(source).expanduser(), ByteTokenizer.vocab_size
    if is_tokenized(path):
        wanted = open_splits(path)[TRAIN].vocab_size
    else:
        expand_sources((text_file(source),))
    if vocab_size < wanted:
        raise ConfigError(
            f"model.vocab_size: is {vocab_size}, the text has {wanted} tokens; use --set model.vocab_size={wanted}"
        )


def text_file(source: str) -> str:
    """The file of a sample; any other source as it is.

    Raises:
        ConfigError: there is no such sample.
        ModuleNotFoundError: gensim, which carries it, is not installed.
    """
    if not source.startswith("samples:"):
        return source
    if source != SAMPLE_TEXT:
        raise ConfigError(f"--data {source}: no such sample; there is {SAMPLE_TEXT}")
    from gensim.test.utils import datapath

    return datapath("lee_background.cor")


def write_data_facts(folder: Path, data: LanguageData, source: str) -> None:
    """Write which tokenizer a model is of, and the tokenizer itself, beside the model.

    Args:
        folder: the run folder.
        data: what the model is trained on.
        source: as it was named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data.tokenizer.save(folder)
    tokens, run = data.folder.resolve(), folder.resolve()
    moves_along = tokens.is_relative_to(run.parent if run.name == DENSE else run)
    named = os.path.relpath(tokens, run) if moves_along else str(tokens)
    facts = {"tokenizer": data.tokenizer.describe(), "source": source, "folder": named}
    with atomic_file(folder / DATA) as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_data_facts(run: Path) -> dict[str, Any]:
    """What `write_data_facts` wrote.

    Raises:
        ConfigError: there is none.
        FileFormatError: it is damaged.
    """
    path = run / DATA
    if not path.is_file():
        raise ConfigError(f"{run}: no {DATA} names the model's tokenizer; give a run folder of `spike train`")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts["tokenizer"], dict) or not isinstance(facts["folder"], str):
            raise ValueError("it is not of this form")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path}: damaged: {error}") from error
    return facts


def tokens_folder(run: Path) -> Path:
    """The tokens that a model was trained on.

    Raises:
        ConfigError, FileFormatError: as `read_data_facts`.
    """
    named = run / read_data_facts(run)["folder"]
    return run / TOKENS if not named.is_dir() and (run / TOKENS).is_dir() else named


def model_file(run: Path) -> Path:
    """The model of a run folder, or of the folder of its dense twin.

    Raises:
        FileNotFoundError: no such folder.
        ConfigError: there is no model in it.
    """
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: no such run folder")
    if not (run / MODEL).is_file():
        raise ConfigError(f"{run}: no {MODEL} in it: not a run of `spike train`, or its training has not finished")
    return run / MODEL
