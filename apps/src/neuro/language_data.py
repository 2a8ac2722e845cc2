"""The text of a language model: opened where it is tokenized, tokenized as bytes where it is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddp_utils import FileFormatError, atomic_file, run_on_main
from spikeformer import TokenShards

from neuro.config import ConfigError
from neuro.data_settings import DataTokenizeSettings, SplitSettings, TextSourceSettings
from neuro.data_tokenize import TRAIN, VALIDATION, open_splits, tokenize
from neuro.run_folder import MODEL
from neuro.spikeformer_settings import SAMPLE_TEXT
from neuro.text_tokenizers import TextTokenizer, open_tokenizer

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
    tokenized = any((path / name).is_file() for name in ("index.json", f"{TRAIN}/index.json"))
    if not tokenized:
        path = folder / TOKENS
        text = TextSourceSettings(sources=(text_file(source),))
        tokenize(DataTokenizeSettings(text, split=SplitSettings(validation)), path, workers=1, quiet=quiet)
    for tokens in open_splits(path).values() if verify else ():
        tokens.verify()
    return path


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
    facts = {"tokenizer": data.tokenizer.describe(), "source": source, "folder": str(data.folder.resolve())}
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
