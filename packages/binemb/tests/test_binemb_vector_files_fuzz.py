"""Damaged vector files: only VectorFileError or a valid result comes out, whatever the bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from binemb.errors import VectorFileError
from binemb.vectors import load_vectors
from binemb.word_vectors import WordVectors
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORDS = ["the", "of", "naïve", "new-york", "x"]
FORMATS = [
    "glove.txt", "word2vec.vec", "word2vec.bin", "fasttext.bin",
    "v.txt.gz", "v.txt.xz", "v.txt.bz2", "m.npy", "m.safetensors", "m.vocab.txt",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One small valid file of every form."""
    folder = tmp_path_factory.mktemp("vectors")
    vectors = np.random.default_rng(0).standard_normal((len(WORDS), 4)).astype(np.float32)
    keyed = KeyedVectors(4)
    keyed.add_vectors(WORDS, vectors)
    keyed.save_word2vec_format(str(folder / "glove.txt"), write_header=False)
    keyed.save_word2vec_format(str(folder / "word2vec.vec"))
    keyed.save_word2vec_format(str(folder / "word2vec.bin"), binary=True)
    text = (folder / "glove.txt").read_bytes()
    for suffix, pack in (("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)):
        (folder / f"v.txt.{suffix}").write_bytes(pack(text))
    np.save(folder / "m.npy", vectors)
    safetensors.torch.save_file({"t": torch.from_numpy(vectors)}, folder / "m.safetensors")
    (folder / "m.vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    model = FastText([WORDS] * 3, vector_size=3, min_count=1, bucket=7, epochs=1, seed=1, workers=1)
    save_facebook_model(model, str(folder / "fasttext.bin"))
    return folder


@st.composite
def mutations(draw):
    """Change bytes, cut, insert or repeat; positions are fractions, so that one strategy fits every file."""
    place = st.floats(0, 1, exclude_max=True)
    kinds = st.one_of(
        st.tuples(st.just("flip"), place, st.integers(0, 7)),
        st.tuples(st.just("flip_head"), st.integers(0, 160), st.integers(0, 7)),
        st.tuples(st.just("set"), st.integers(0, 200), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), place, st.just(0)),
        st.tuples(st.just("insert"), place, st.binary(min_size=1, max_size=12)),
        st.tuples(st.just("repeat"), place, st.integers(1, 40)),
    )
    return draw(st.lists(kinds, min_size=1, max_size=3))


def mutate(content: bytes, steps) -> bytes:
    data = bytearray(content)
    for kind, place, what in steps:
        at = min(place if isinstance(place, int) else int(place * len(data)), max(len(data) - 1, 0))
        if kind in ("flip", "flip_head") and data:
            data[at] ^= 1 << what
        elif kind == "set":
            data[at : at + len(what)] = what
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = what
        elif kind == "repeat":
            data[at:at] = data[at : at + what]
    return bytes(data)


def check(path: Path, limit: int | None) -> None:
    read, message = None, ""
    try:
        read = load_vectors(path, limit=limit, non_finite="drop")
    except VectorFileError as error:
        message = str(error)
    if read is None:
        assert message.startswith(str(path.parent))
        assert "\n" not in message
    else:
        assert isinstance(read, WordVectors)
        assert limit is None or len(read) <= limit
        assert read.vectors.numel() <= max(path.stat().st_size, 4096)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=mutations(), limit=st.sampled_from([None, None, 2]))
def test_damaged_file(folder, tmp_path, name, steps, limit):
    damaged = mutate((folder / name).read_bytes(), steps)
    (tmp_path / name).write_bytes(damaged)
    if name == "m.vocab.txt":
        (tmp_path / "m.npy").write_bytes((folder / "m.npy").read_bytes())
        check(tmp_path / "m.npy", limit)
    else:
        if name.startswith("m."):
            (tmp_path / "m.vocab.txt").write_bytes((folder / "m.vocab.txt").read_bytes())
        check(tmp_path / name, limit)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    head=st.sampled_from([b"", b"3 2\n", b"\xba\x16\x4f\x2f", b"\x93NUMPY", b"\x1f\x8b"]),
)
def test_any_bytes(tmp_path, content, head):
    (tmp_path / "any").write_bytes(head + content)
    (tmp_path / "any.vocab.txt").write_bytes(b"a\nb\n")
    check(tmp_path / "any", None)


@pytest.mark.parametrize(
    "name", ["word2vec.bin", "fasttext.bin", "m.npy", "m.safetensors", "v.txt.gz", "v.txt.xz", "v.txt.bz2"]
)
def test_every_cut_is_refused(folder, tmp_path, name):
    """No binary form can lose its end unnoticed."""
    content = (folder / name).read_bytes()
    (tmp_path / "m.vocab.txt").write_bytes((folder / "m.vocab.txt").read_bytes())
    # The output layer of a fastText model, which nobody reads here, follows the matrix.
    n_rows = len(WORDS) + 7
    needed = (
        content.index(np.array([n_rows, 3], "<i8").tobytes()) + 16 + n_rows * 12 if "fast" in name else len(content)
    )
    for end in range(needed):
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(VectorFileError):
            load_vectors(tmp_path / name)


def test_pickle_is_never_loaded(tmp_path):
    """A pickle in the place of a matrix is refused, not run."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([["a"], [{}]], dtype=object), allow_pickle=True)
    (tmp_path / "m.npy").write_bytes(buffer.getvalue())
    (tmp_path / "m.vocab.txt").write_bytes(b"a\nb\n")
    with pytest.raises(VectorFileError, match="damaged npy file"):
        load_vectors(tmp_path / "m.npy")
