"""A trained run, opened again: settings, model, vectors, codes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from binemb import BinaryCodes, MatryoshkaBinarizer, VectorFileError, WordVectors, load_parts, load_vectors
from torch import Tensor

from neuro.config import ConfigError, read_toml, resolve
from neuro.embed_settings import TrainedSettings, VectorSettings
from neuro.file_kind import holds_codec
from neuro.run_folder import CODES, CONFIG, MODEL

SAMPLE = 256  # words encoded again to tell another model's codes
T = TypeVar("T", bound=TrainedSettings)
V = TypeVar("V")
log = logging.getLogger("neuro")


def read_vectors(settings: VectorSettings) -> WordVectors:
    """Load the vectors that settings name; what is refused says how the command line would let it pass."""
    return _read(load_vectors, settings) if not settings.holds_sentences else _explained(lambda: _sentences(settings))


def read_parts(settings: VectorSettings) -> list[WordVectors]:
    """Load the same, each source by itself."""
    return _read(load_parts, settings)


def _sentences(settings: VectorSettings) -> WordVectors:
    from neuro.sentence_vectors import read_sentences

    limit, duplicates = settings.limit or None, settings.duplicates
    return read_sentences(settings.source, model=settings.sentence_model, limit=limit, duplicates=duplicates)


def _read(load: Callable[..., V], settings: VectorSettings) -> V:
    limit, duplicates, non_finite = settings.limit or None, settings.duplicates, settings.non_finite
    return _explained(lambda: load(settings.source, limit=limit, duplicates=duplicates, non_finite=non_finite))


def _explained(load: Callable[[], V]) -> V:
    try:
        return load()
    except VectorFileError as error:
        said = re.sub(r'\b(duplicates|non_finite)="drop"', r"--set vectors.\1=drop", str(error))
        raise VectorFileError(said) from error


@dataclass(frozen=True)
class TrainedRun:
    """What `embed train` left.

    Args:
        folder: the run folder.
        model: the trained model.
        vectors: the vocabulary and its vectors.
        sentence_model: what encoded the vocabulary where it is one of texts; None for words.
    """

    folder: Path
    model: MatryoshkaBinarizer
    vectors: WordVectors
    sentence_model: str | None = None

    @cached_property
    def prepared_ND(self) -> Tensor:
        """Prepared unit vectors of the vocabulary."""
        return self.model.preparation(self.vectors.vectors)

    @cached_property
    def codes(self) -> BinaryCodes:
        """Codes of the vocabulary: those beside the model if they are of these words and this model, else new ones."""
        stored = self.folder / CODES
        if stored.is_file():
            codes = BinaryCodes.load(stored)
            if codes.words == self.vectors.words and codes.levels == self.model.bits:
                if torch.equal(codes.packed[:SAMPLE], self.encode_first(SAMPLE).packed):
                    return codes
                log.warning("%s: codes of another model or of other vectors; encoding anew", stored)
        codes = self.model.encode(self.vectors.vectors)
        return BinaryCodes(codes.packed, codes.n_bits, codes.levels, self.vectors.words)

    def encode_first(self, n_words: int) -> BinaryCodes:
        """Codes of the vocabulary's first words, encoded anew."""
        return self.model.encode(self.vectors.vectors[:n_words])


def resolve_for_model(
    settings: type[T],
    path: Path,
    *,
    flags: Mapping[str, Any],
    file: Path | None = None,
    assignments: Iterable[str] = (),
) -> T:
    """Settings over the vectors of the run that a model is of; vectors from elsewhere do not take over its limit.

    Args:
        settings: as for `resolve`.
        path: run folder or model file.
        flags, file, assignments: as for `resolve`.
    """
    own = _own_vectors(path)
    if resolve(settings, flags=flags, file=file, assignments=assignments).vectors.source:
        own = {key: value for key, value in own.items() if key not in ("vectors.source", "vectors.limit")}
    return resolve(settings, inherited=own, flags=flags, file=file, assignments=assignments)


def open_trained(path: Path, vectors: VectorSettings) -> TrainedRun:
    """Open a run folder or a model file, with the vectors that settings name.

    Args:
        path: run folder or model file.
        vectors: what `resolve_for_model` found.

    Raises:
        ConfigError: the folder holds no finished run, a bare model comes without vectors, or they do not fit the model.
        FileNotFoundError: no such path.
        FileFormatError: the model file is damaged.
    """
    folder = path if path.is_dir() else path.parent
    model_file, trained = load_model(path)
    if not vectors.source:
        raise ConfigError(f"{model_file}: no {CONFIG} beside it names the model's vectors; use --vectors")
    found = read_vectors(vectors)
    if found.dim != trained.dim:
        raise ConfigError(f"{model_file}: is for vectors of {trained.dim} values; {found.source} has {found.dim}")
    return TrainedRun(folder, trained, found, vectors.sentence_model if vectors.holds_sentences else None)


def load_model(path: Path) -> tuple[Path, MatryoshkaBinarizer]:
    """The model of a run folder, or of a model file, and where it lies; errors as `open_trained`."""
    model_file = path / MODEL if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such run folder or model file")
    if holds_codec(path):
        raise ConfigError(f"{path}: holds a codec of `embed fit`; this takes a run of `embed train`")
    if not model_file.is_file():
        raise ConfigError(f"{path}: no {MODEL} in it: not a run folder, or its training has not finished")
    return model_file, MatryoshkaBinarizer.load(model_file)


def _own_vectors(path: Path) -> dict[str, Any]:
    """Settings `vectors.*` of the run that a model is of, whichever command trained it; none beside a bare model."""
    config = (path if path.is_dir() else path.parent) / CONFIG
    own = read_toml(config) if config.is_file() else {}
    return {key: value for key, value in own.items() if key.startswith("vectors.")}
