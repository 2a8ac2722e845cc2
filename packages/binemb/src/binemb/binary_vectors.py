"""Binary formats of word vectors: word2vec, fastText, npy and safetensors.

Nothing here is ever unpickled, and every size that a header claims is held against the file's size before memory is
taken for it.

Shapes: N words, D values, M rows of a fastText matrix (words, then n-gram buckets).
"""

from __future__ import annotations

import codecs
import mmap
import struct
import tokenize
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from binemb.errors import VectorFileError
from binemb.text_vectors import RawVectors, parse_header

FASTTEXT_MAGIC = struct.pack("<i", 793712314)
NPY_MAGIC = b"\x93NUMPY"
MAX_SAFETENSORS_HEADER_BYTES = 100_000_000

# What numpy's header parser (ast, tokenize) and memory mapping raise on damaged bytes.
_NPY_ERRORS = (
    ValueError, TypeError, KeyError, SyntaxError, OverflowError, EOFError, OSError, MemoryError, RecursionError,
    tokenize.TokenError,
)  # fmt: skip
_WORD2VEC_ERRORS = (ValueError, OverflowError, EOFError, OSError)
_FASTTEXT_HEADER = struct.Struct("<2i12id")
_FASTTEXT_DICTIONARY = struct.Struct("<3i2q")
_FASTTEXT_ENTRY = struct.Struct("<qb")
_FASTTEXT_MATRIX = struct.Struct("<?2q")
_FASTTEXT_MAX_NGRAM = 64
_FASTTEXT_MAX_WORD_BYTES = 1 << 16


def read_word2vec_binary(path: Path, *, limit: int | None = None) -> RawVectors:
    """Read the binary format of word2vec: a line "N D", then each word, a space and D little-endian float32.

    Args:
        path: the file, not compressed.
        limit: rows to read at most, >= 1.

    Returns:
        Words and vectors, float32, (N, D). Of a word that comes more than once the first row is kept.

    Raises:
        VectorFileError: the header claims more than the file holds, the file goes on after the last vector, or a word
            is not UTF-8.

    References:
        Mikolov et al. (2013), arXiv:1301.3781; https://code.google.com/archive/p/word2vec.
    """
    from gensim.models import KeyedVectors

    size = path.stat().st_size
    with path.open("rb") as stream:
        line = stream.readline(64)
    header = parse_header(line)
    if header is None or min(header) < 1:
        raise VectorFileError(f"{path}: the header of a word2vec file is 'words values', found {line[:32]!r}")
    n_words, dim = header
    body = size - len(line)
    if n_words * (4 * dim + 2) > body:
        raise VectorFileError(
            f"{path}: the header says {n_words} words of {dim} values, but {body} bytes cannot hold them; "
            "the file was cut short or its header is damaged"
        )
    try:
        keyed = KeyedVectors.load_word2vec_format(str(path), binary=True, limit=limit)
    except _WORD2VEC_ERRORS as error:
        raise VectorFileError(f"{path}: damaged word2vec file: {error}") from error
    # gensim leaves a None at the end for each duplicate that it skips.
    words = [word for word in keyed.index_to_key if word is not None]
    if "" in words:
        raise VectorFileError(f"{path}: row {words.index('')}: a word is empty; the file is damaged")
    n_read = n_words if limit is None else min(n_words, limit)
    if n_read == n_words == len(words):
        left = body - sum(len(word.encode()) + 1 + 4 * dim for word in words)
        # Some writers end each vector with a line end, others do not.
        if left > n_words:
            raise VectorFileError(f"{path}: {left} bytes are left after the {n_words} words that the header says")
    return RawVectors(words, torch.from_numpy(keyed.vectors[: len(words)]), "row", 0, n_read - len(words))


def read_npy_matrix(path: Path, *, n_rows: int, limit: int | None = None) -> Tensor:
    """Read a matrix of floats from an npy file through a memory map, so that `limit` rows cost no more than that.

    Args:
        path: the file.
        n_rows: rows that it must have (the number of words).
        limit: rows to read at most, >= 1.

    Returns:
        float32, (min(n_rows, limit), D). Values beyond float32 come as infinity.

    Raises:
        VectorFileError: damaged, not two-dimensional, not of floats, or of another number of rows or bytes.
    """
    try:
        with warnings.catch_warnings():
            # numpy warns where a header was written by Python 2: such a file reads well.
            warnings.simplefilter("ignore", UserWarning)
            matrix_ND = np.lib.format.open_memmap(path, mode="r")
    except _NPY_ERRORS as error:
        raise VectorFileError(f"{path}: damaged npy file: {error}") from error
    if matrix_ND.ndim != 2 or matrix_ND.dtype.kind != "f" or 0 in matrix_ND.shape:
        raise VectorFileError(
            f"{path}: expected a matrix of floats, found {matrix_ND.dtype} of shape {matrix_ND.shape}"
        )
    end, size = matrix_ND.offset + matrix_ND.nbytes, path.stat().st_size
    if end != size:
        raise VectorFileError(f"{path}: the header says {end} bytes, the file has {size}")
    _check_rows(path, matrix_ND.shape[0], n_rows)
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.array(matrix_ND[:limit], dtype=np.float32, order="C"))


def read_safetensors_matrix(path: Path, *, n_rows: int, limit: int | None = None) -> Tensor:
    """Read the one matrix of floats that a safetensors file holds.

    Args:
        path: the file.
        n_rows: rows that it must have (the number of words).
        limit: rows to read at most, >= 1.

    Returns:
        float32, (min(n_rows, limit), D).

    Raises:
        VectorFileError: damaged, several tensors, or not a matrix of floats of `n_rows` rows.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as tensors:
            names = list(tensors.keys())
            if len(names) != 1:
                raise VectorFileError(f"{path}: expected one tensor, found {len(names)}: {', '.join(names[:5])}")
            entry = tensors.get_slice(names[0])
            shape = entry.get_shape()
            if len(shape) != 2 or 0 in shape or entry.get_dtype() not in ("F64", "F32", "F16", "BF16"):
                raise VectorFileError(
                    f"{path}: expected a matrix of floats, found {entry.get_dtype()} of shape {tuple(shape)}"
                )
            _check_rows(path, shape[0], n_rows)
            return entry[: n_rows if limit is None else limit].float()
    except (SafetensorError, OSError) as error:
        raise VectorFileError(f"{path}: damaged safetensors file: {error}") from error


def read_word_list(path: Path) -> list[str]:
    """Read a word a line, in UTF-8. Only line feeds end a line, so words may hold any other separator.

    Raises:
        VectorFileError: an empty line, or bytes that are not UTF-8.
    """
    lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).removesuffix(b"\n").split(b"\n")
    words: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            word = line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise VectorFileError(f"{path}: line {number}: {line[:80]!r} is not UTF-8") from error
        if not word:
            raise VectorFileError(f"{path}: line {number}: empty line where a word should be")
        words.append(word)
    return words


def find_word_list(path: Path) -> Path:
    """Find the word list beside a matrix: NAME.vocab.txt or NAME.words.txt, then the same with one suffix less.

    Raises:
        VectorFileError: there is none.
    """
    stems = [path.with_suffix("")]
    if stems[0].suffix:
        stems.append(stems[0].with_suffix(""))
    tried = [stem.with_name(f"{stem.name}.{kind}.txt") for stem in stems for kind in ("vocab", "words")]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    raise VectorFileError(f"{path}: no word list beside it; put one word a line into {tried[0].name}")


def _check_rows(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise VectorFileError(f"{path}: {found} rows, but its word list has {expected} words")


class _FastTextModel(NamedTuple):
    dim: int
    n_buckets: int
    min_ngram: int
    max_ngram: int
    words: list[str]
    matrix_offset: int


def read_fasttext_binary(path: Path, *, limit: int | None = None) -> RawVectors:
    """Compose the word vectors of a fastText model (.bin): the mean of a word's own row and those of its n-grams.

        v_w = (z_w + sum_{g in G_w} z_g) / (1 + |G_w|)

    The matrix is memory-mapped, so that `limit` words cost the rows they use and not the whole model.

    Args:
        path: the file, not compressed.
        limit: words to read at most, >= 1.

    Returns:
        Words and vectors, float32, (N, D), in the model's order (falling frequency).

    Raises:
        VectorFileError: damaged, supervised or quantized.

    References:
        Bojanowski, Grave, Joulin, Mikolov (2017), arXiv:1607.04606, section 3.2; Dictionary::initNgrams of
        https://github.com/facebookresearch/fastText, by which the end-of-sentence word </s> has no n-grams.
    """
    from gensim.models.fasttext import ft_ngram_hashes

    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            model = _parse_fasttext(path, content)
        except struct.error as error:
            raise VectorFileError(f"{path}: the fastText model ends inside its header; it was cut short") from error
    matrix_MD = np.memmap(
        path, dtype="<f4", mode="r", offset=model.matrix_offset, shape=(len(model.words) + model.n_buckets, model.dim)
    )
    words = model.words[:limit]
    vectors_ND = np.empty((len(words), model.dim), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for row, word in enumerate(words):
            has_ngrams = model.n_buckets and word != "</s>"
            buckets = ft_ngram_hashes(word, model.min_ngram, model.max_ngram, model.n_buckets) if has_ngrams else []
            rows = [row, *(len(model.words) + bucket for bucket in buckets)]
            vectors_ND[row] = matrix_MD[rows].mean(axis=0)
    return RawVectors(words, torch.from_numpy(vectors_ND), "row", 0)


def _parse_fasttext(path: Path, content: mmap.mmap) -> _FastTextModel:
    """Walk the header and the dictionary. A field that runs off the end of the file is a struct.error."""
    (_, _, dim, _, _, _, _, _, _, _, n_buckets, min_ngram, max_ngram, _, _) = _FASTTEXT_HEADER.unpack_from(content)
    offset = _FASTTEXT_HEADER.size
    n_entries, n_words, n_labels, _, n_pruned = _FASTTEXT_DICTIONARY.unpack_from(content, offset)
    offset += _FASTTEXT_DICTIONARY.size
    if n_labels != 0 or n_pruned > 0:
        raise VectorFileError(f"{path}: a supervised fastText model; only unsupervised ones hold word vectors to use")
    if dim < 1 or n_words < 1 or n_entries != n_words or n_buckets < 0:
        raise VectorFileError(
            f"{path}: damaged fastText header: {n_entries} entries, {n_words} words, {n_buckets} buckets, {dim} values"
        )
    if not 0 <= min_ngram <= _FASTTEXT_MAX_NGRAM or not 0 <= max_ngram <= _FASTTEXT_MAX_NGRAM:
        raise VectorFileError(
            f"{path}: n-gram lengths {min_ngram} to {max_ngram}, expected 0 to {_FASTTEXT_MAX_NGRAM}: a damaged header"
        )
    words: list[str] = []
    for number in range(n_words):
        end = content.find(b"\0", offset, offset + _FASTTEXT_MAX_WORD_BYTES)
        if end <= offset:
            raise VectorFileError(
                f"{path}: word {number} of the dictionary is empty or has no end; the file is damaged"
            )
        try:
            words.append(content[offset:end].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise VectorFileError(f"{path}: word {number} of the dictionary is not UTF-8") from error
        _, kind = _FASTTEXT_ENTRY.unpack_from(content, end + 1)
        if kind != 0:
            raise VectorFileError(f"{path}: entry {number} of the dictionary is a label, expected a word")
        offset = end + 1 + _FASTTEXT_ENTRY.size
    is_quantized, n_rows, n_columns = _FASTTEXT_MATRIX.unpack_from(content, offset)
    offset += _FASTTEXT_MATRIX.size
    if is_quantized:
        raise VectorFileError(f"{path}: a quantized fastText model (.ftz); use the .bin or .vec it was made from")
    if n_rows != n_words + n_buckets or n_columns != dim:
        raise VectorFileError(
            f"{path}: a matrix of {n_rows} x {n_columns}, expected {n_words} words + {n_buckets} buckets x {dim}"
        )
    if n_rows * dim * 4 > len(content) - offset:
        raise VectorFileError(f"{path}: the matrix of {n_rows} x {dim} is cut short")
    return _FastTextModel(dim, n_buckets, min_ngram, max_ngram, words, offset)
