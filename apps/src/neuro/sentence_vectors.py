"""Vectors of texts: `--vectors sentences:FILE`, encoded by a sentence model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from binemb import VectorFileError, WordVectors, encode_sentences, load_sentence_encoder
from torch import Tensor

from neuro.embed_settings import SAMPLE_SENTENCE_MODEL, SENTENCES

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def encode_texts(texts: Sequence[str], model: str) -> Tensor:
    """Unit vectors of texts, float32, (N, D), on the CPU.

    Args:
        texts: N texts, N >= 1.
        model: `SAMPLE_SENTENCE_MODEL`, or a folder or hub name that sentence-transformers knows.

    Raises:
        ModuleNotFoundError: sentence-transformers or the sample is not installed.
        ValueError: there is no such model, or it cannot be loaded.
    """
    return encode_sentences(texts, _load_encoder(model))


@cache
def _load_encoder(model: str) -> SentenceTransformer:
    if find_spec("transformers") is not None:
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # it would draw on stderr whatever --quiet says
    try:
        return load_sentence_encoder(None if model == SAMPLE_SENTENCE_MODEL else model)
    except OSError as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"sentence model {model!r}: neither a folder nor a model that can be had: {first}") from error


def read_sentences(source: str, *, model: str, limit: int | None, duplicates: Literal["drop", "error"]) -> WordVectors:
    """Read and encode the texts of a file, one a line; blank lines are passed over.

    Args:
        source: "sentences:" and the file's path, UTF-8.
        model: as for `encode_texts`.
        limit: texts to read at most, from the start; counted before repeated ones are dropped.
        duplicates: "drop" keeps the first of equal texts, "error" refuses.

    Returns:
        The texts as `words`, with their vectors.

    Raises:
        FileNotFoundError: no such file.
        VectorFileError: not UTF-8, no text in it, or a text that is given again and refused.
        ModuleNotFoundError, ValueError: as for `encode_texts`.
    """
    path = Path(source.removeprefix(SENTENCES))
    if not path.is_file():
        raise FileNotFoundError(f"--vectors {source}: no file {str(path)!r}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise VectorFileError(f"{path}: not UTF-8 text: {error}") from error
    given = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()][:limit]
    if not given:
        raise VectorFileError(f"{path}: no text in it")
    texts: dict[str, int] = {}
    for number, text in given:
        if texts.setdefault(text, number) != number and duplicates == "error":
            raise VectorFileError(f'{path}: line {number}: the text of line {texts[text]} again; duplicates="drop"')
    dropped = {"duplicate": len(given) - len(texts), "non_finite": 0}
    return WordVectors(list(texts), encode_texts(list(texts), model), source, dropped)
