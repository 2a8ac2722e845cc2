"""Where word vectors come from.

Shapes: N words, D values a word: `vectors_ND`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import torch
from torch.nn.functional import normalize

from binemb.binary_vectors import (
    FASTTEXT_MAGIC,
    MAX_SAFETENSORS_HEADER_BYTES,
    NPY_MAGIC,
    find_word_list,
    read_fasttext_binary,
    read_npy_matrix,
    read_safetensors_matrix,
    read_word2vec_binary,
    read_word_list,
)
from binemb.errors import VectorFileError
from binemb.hub_vectors import read_hub
from binemb.samples import SAMPLES, read_sample
from binemb.text_vectors import STREAM_ERRORS, RawVectors, open_stream, parse_header, read_text_vectors
from binemb.word_vectors import WordVectors

_KINDS = (
    "a file (GloVe, word2vec or fastText text, also .gz, .xz or .bz2; word2vec or fastText binary; "
    f"npy or safetensors with a word list), {', '.join(f'samples:{name}' for name in SAMPLES)}, hf:MODEL, "
    "hf:MODEL#words=FILE, or several with '+'"
)
_HEAD_BYTES = 1 << 16
_NUMBER_CHARACTERS = b"0123456789+-.eEnaifty \t\r"


def load_vectors(
    source: str | os.PathLike[str],
    *,
    limit: int | None = None,
    duplicates: Literal["drop", "error"] = "drop",
    non_finite: Literal["error", "drop"] = "error",
) -> WordVectors:
    """Load word vectors from a file, a sample or a transformers model, or join several.

    A file's form is told by its content: GloVe, word2vec and fastText text (also through gzip, xz or bzip2), word2vec
    and fastText binary, npy or safetensors with NAME.vocab.txt or NAME.words.txt beside it. `samples:glove-50d` and
    `samples:minilm` come with the extra `samples`. `hf:MODEL` is a transformers model's table of input embeddings by
    the words of its tokenizer, `hf:MODEL#words=FILE` its mean-pooled encoding of the words of FILE, one a line; MODEL
    is a folder or a name on the hub (extra `hub`). Sources joined by "+" are each brought to unit length and
    concatenated on the words that all have, in the order of the first; a zero vector stays zero.

    Args:
        source: path, sample name, hf:MODEL, or several joined by "+".
        limit: rows to read at most, from the start, >= 1; counted before any are dropped. Of a join: words to return
            at most (every source is then read as a whole).
        duplicates: "drop" keeps the first row of a word, "error" refuses.
        non_finite: rows with NaN or infinite values (or values beyond float32): "error" refuses, "drop" leaves out.

    Returns:
        The vectors, float32, with counts of the rows left out.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: a sample or transformers is not installed.
        VectorFileError: a file that is damaged or holds what was refused, or a model that cannot be loaded.
        TypeError, ValueError: an argument that is not allowed, an unknown kind of source or a join without common
            words.
    """
    parts = load_parts(source, limit=limit, duplicates=duplicates, non_finite=non_finite)
    return parts[0] if len(parts) == 1 else _join(parts, os.fspath(source))


def load_parts(
    source: str | os.PathLike[str],
    *,
    limit: int | None = None,
    duplicates: Literal["drop", "error"] = "drop",
    non_finite: Literal["error", "drop"] = "error",
) -> list[WordVectors]:
    """Load each of several sources by itself, with its values as they are, on the words that all have.

    Args:
        source: as for `load_vectors`.
        limit: as for `load_vectors`.
        duplicates: as for `load_vectors`.
        non_finite: as for `load_vectors`.

    Returns:
        One a source; row i is of the same word in all, in the order of the first. A single source comes alone.

    Raises:
        FileNotFoundError, ModuleNotFoundError, VectorFileError, TypeError, ValueError: as for `load_vectors`.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise TypeError(f"load_vectors: limit must be an int or None, got {limit!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"load_vectors: limit must be at least 1, got {limit}")
    if duplicates not in ("drop", "error"):
        raise ValueError(f"load_vectors: duplicates must be 'drop' or 'error', got {duplicates!r}")
    if non_finite not in ("error", "drop"):
        raise ValueError(f"load_vectors: non_finite must be 'error' or 'drop', got {non_finite!r}")
    name = os.fspath(source)
    if "+" in name and not Path(name).exists():
        names = [part.strip() for part in name.split("+")]
        loaded = [_clean(_read(part, None), part, duplicates, non_finite) for part in names]
        return _align(loaded, name, limit)
    return [_clean(_read(name, limit), name, duplicates, non_finite)]


def detect_format(head: bytes) -> Literal["npy", "fasttext", "safetensors", "word2vec", "text"]:
    """Tell the form of a vector file by its first bytes; "text" is what is left when no binary form fits."""
    if head.startswith(NPY_MAGIC):
        return "npy"
    if head.startswith(FASTTEXT_MAGIC):
        return "fasttext"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER_BYTES:
        return "safetensors"
    first, _, rest = head.partition(b"\n")
    header = parse_header(first)
    if header is None:
        return "text"
    # After the first word come either D floats of 4 bytes or the characters of D numbers, mostly; "mostly" leaves a
    # damaged text file to the text reader, which names the line.
    _, _, values = rest.lstrip(b"\n").partition(b" ")
    values, line_end, _ = values[: 4 * header[1]].partition(b"\n")
    n_strange = len(values.translate(None, _NUMBER_CHARACTERS))
    cut_early = bool(line_end) and 2 * len(values.split()) < header[1]
    return "text" if not rest or (2 * n_strange < len(values) and not cut_early) else "word2vec"


def _read(name: str, limit: int | None) -> RawVectors:
    kind, colon, rest = name.partition(":")
    path = Path(name)
    if kind == "samples" and colon:
        return read_sample(rest, limit=limit)
    if kind == "hf" and colon and not path.exists():
        return read_hub(rest, limit=limit)
    if not name or not path.exists():
        if not name or re.fullmatch(r"[A-Za-z][\w-]+:[^/\\]*", name):
            raise ValueError(f"load_vectors: unknown source {name!r}; known are {_KINDS}")
        raise FileNotFoundError(f"load_vectors: no file {name!r}; known sources are {_KINDS}")
    if not path.is_file():
        raise VectorFileError(f"{name}: not a file")
    try:
        stream, is_compressed = open_stream(path)
        with stream:
            form = detect_format(stream.read(_HEAD_BYTES))
    except STREAM_ERRORS as error:
        raise VectorFileError(f"{name}: cannot be read: {error}") from error
    if is_compressed and form != "text":
        raise VectorFileError(f"{name}: a compressed {form} file; only text is read compressed: unpack it first")
    if path.suffix in (".npy", ".safetensors") and form != path.suffix[1:]:
        raise VectorFileError(f"{name}: the name says {path.suffix[1:]}, but the file does not begin as one")
    if form == "npy" or form == "safetensors":
        words = read_word_list(find_word_list(path))
        read_matrix = read_npy_matrix if form == "npy" else read_safetensors_matrix
        return RawVectors(words[:limit], read_matrix(path, n_rows=len(words), limit=limit), "row", 0)
    readers = {"text": read_text_vectors, "word2vec": read_word2vec_binary, "fasttext": read_fasttext_binary}
    return readers[form](path, limit=limit)


def _clean(raw: RawVectors, name: str, duplicates: str, non_finite: str) -> WordVectors:
    """Drop or refuse rows that are not finite, then rows of words that came before."""
    finite = torch.isfinite(raw.vectors_ND).all(dim=1).tolist()
    first_row: dict[str, int] = {}
    for row, (word, is_finite) in enumerate(zip(raw.words, finite, strict=True)):
        if not is_finite and non_finite == "error":
            raise VectorFileError(
                f"{name}: {raw.unit} {raw.first + row}: the vector of {word!r} has NaN or infinite values; "
                'non_finite="drop" leaves such rows out'
            )
        if is_finite and first_row.setdefault(word, row) != row and duplicates == "error":
            raise VectorFileError(
                f"{name}: {raw.unit} {raw.first + row}: the word {word!r} was given before; "
                'duplicates="drop" keeps the first'
            )
    if raw.duplicates and duplicates == "error":
        raise VectorFileError(f'{name}: {raw.duplicates} words are given twice; duplicates="drop" keeps the first')
    n_finite = sum(finite)
    dropped = {"duplicate": raw.duplicates + n_finite - len(first_row), "non_finite": len(finite) - n_finite}
    if len(first_row) == len(raw.words):
        return WordVectors(raw.words, raw.vectors_ND, name, dropped)
    return WordVectors(list(first_row), raw.vectors_ND[torch.tensor(list(first_row.values()))], name, dropped)


def _align(loaded: list[WordVectors], name: str, limit: int | None) -> list[WordVectors]:
    """Keep the words that all have, in the order of the first."""
    first, *others = loaded
    common = [word for word in first.words if all(word in other for other in others)]
    if not common:
        raise ValueError(f"load_vectors: the sources of {name!r} have no word in common")
    words = common[:limit]
    return [
        WordVectors(
            words, part.vectors[part.rows(words)], part.source, {**part.dropped, "not_common": len(part) - len(common)}
        )
        for part in loaded
    ]


def _join(parts: list[WordVectors], name: str) -> WordVectors:
    """Put unit vectors side by side."""
    dropped = {reason: sum(part.dropped[reason] for part in parts) for reason in ("duplicate", "non_finite")}
    dropped["not_common"] = parts[0].dropped["not_common"]
    joined_ND = torch.cat([normalize(part.vectors, dim=1) for part in parts], dim=1)
    return WordVectors(parts[0].words, joined_ND, name, dropped)
