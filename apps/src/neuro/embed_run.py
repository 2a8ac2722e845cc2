"""A trained run, opened again: settings, model, vectors, codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from binemb import BinaryCodes, MatryoshkaBinarizer, WordVectors, load_vectors
from torch import Tensor

from neuro.config import ConfigError, read_toml, resolve
from neuro.embed_settings import VectorSettings
from neuro.run_folder import CODES, CONFIG, MODEL


def read_vectors(settings: VectorSettings) -> WordVectors:
    """Load the vectors that settings name."""
    return load_vectors(
        settings.source,
        limit=settings.limit or None,
        duplicates=settings.duplicates,
        non_finite=settings.non_finite,
    )


@dataclass(frozen=True)
class TrainedRun:
    """What `embed train` left.

    Args:
        folder: the run folder.
        model: the trained model.
        vectors: the vocabulary and its vectors.
    """

    folder: Path
    model: MatryoshkaBinarizer
    vectors: WordVectors

    @cached_property
    def prepared_ND(self) -> Tensor:
        """Prepared unit vectors of the vocabulary."""
        return self.model.preparation(self.vectors.vectors)

    @cached_property
    def codes(self) -> BinaryCodes:
        """Codes of the vocabulary: those beside the model if they are of these words, else encoded anew."""
        stored = self.folder / CODES
        if stored.is_file():
            codes = BinaryCodes.load(stored)
            if codes.words == self.vectors.words and codes.levels == self.model.bits:
                return codes
        codes = self.model.encode(self.vectors.vectors)
        return BinaryCodes(codes.packed, codes.n_bits, codes.levels, self.vectors.words)


def open_trained(path: Path, *, vectors: VectorSettings | None = None, limit: int | None = None) -> TrainedRun:
    """Open a run folder, or a model file with vectors named on the command line.

    Args:
        path: run folder or model file.
        vectors: what replaces the run's own.
        limit: words to read from them; 0 for all.

    Raises:
        ConfigError: the folder holds no finished run, a bare model comes without vectors, or they do not fit the model.
        FileNotFoundError: no such path.
        FileFormatError: the model file is damaged.
    """
    folder = path if path.is_dir() else path.parent
    model_file = path / MODEL if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such run folder or model file")
    if not model_file.is_file():
        raise ConfigError(f"{path}: no {MODEL} in it: not a run folder, or its training has not finished")
    trained = MatryoshkaBinarizer.load(model_file)
    if vectors is None:
        vectors = _own_vectors(folder / CONFIG)
    found = read_vectors(vectors if limit is None else replace(vectors, limit=limit))
    if found.dim != trained.dim:
        raise ConfigError(f"{model_file}: is for vectors of {trained.dim} values; {found.source} has {found.dim}")
    return TrainedRun(folder, trained, found)


def _own_vectors(config: Path) -> VectorSettings:
    """The vectors that a run was trained on, whichever command trained it."""
    if not config.is_file():
        raise ConfigError(f"{config}: no such file, which would say what the model's vectors are; use --vectors")
    section = "vectors."
    own = {key.removeprefix(section): value for key, value in read_toml(config).items() if key.startswith(section)}
    return resolve(VectorSettings, flags=own)
