"""Packed codes against numpy and faiss: bit order, prefixes, distances, slices."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch
from binemb import BinaryCodes, cosine, hamming
from binemb.codes import asymmetric
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

bits = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
words = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=5)


def codes_of(bits_NB: np.ndarray) -> BinaryCodes:
    return BinaryCodes.from_signs(torch.from_numpy(np.where(bits_NB, 1.0, -1.0)))


def random_codes(n: int, n_bits: int, seed: int = 0) -> BinaryCodes:
    return codes_of(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


@settings(deadline=None)
@given(bits)
def test_packing_is_numpy_packbits_and_comes_back(bits_NB):
    codes = codes_of(bits_NB)
    np.testing.assert_array_equal(codes.packed.numpy(), np.packbits(bits_NB, axis=1, bitorder="little"))
    assert (len(codes), codes.n_bits, codes.bytes_per_vector) == (*bits_NB.shape, -(-bits_NB.shape[1] // 8))
    np.testing.assert_array_equal(codes.signs().numpy(), np.where(bits_NB, 1, -1))


def test_zero_is_a_plus():
    assert BinaryCodes.from_signs(torch.tensor([[0.0, -0.0, 1e-30, -1e-30]])).signs().tolist() == [[1, 1, 1, -1]]


@settings(deadline=None)
@given(bits, st.data())
def test_a_prefix_is_the_code_of_the_first_bits(bits_NB, data):
    n_bits = data.draw(st.integers(1, bits_NB.shape[1]))
    prefix = codes_of(bits_NB).truncate(n_bits)
    expected = codes_of(bits_NB[:, :n_bits])
    assert (prefix.n_bits, prefix.levels) == (n_bits, (n_bits,))
    assert torch.equal(prefix.packed, expected.packed)


def test_a_prefix_keeps_words_and_the_levels_it_holds():
    codes = BinaryCodes(random_codes(2, 64).packed, 64, (8, 24, 64), ["a", "b"])
    assert codes.truncate(24).levels == (8, 24)
    assert codes.truncate(30).levels == (8, 24, 30)
    assert codes.truncate(64).levels == (8, 24, 64)
    assert codes.truncate(5).words == ["a", "b"]
    before = codes.packed.clone()
    codes.truncate(5)
    assert torch.equal(codes.packed, before)


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_hamming_is_numpy_popcount_and_faiss(n, m, n_bits, seed):
    a, b = random_codes(n, n_bits, seed), random_codes(m, n_bits, seed + 1)
    distances = hamming(a, b)
    assert distances.dtype == torch.int32
    differing = a.packed.numpy()[:, None] ^ b.packed.numpy()[None]
    np.testing.assert_array_equal(distances.numpy(), np.bitwise_count(differing).sum(2, dtype=int))
    index = faiss.IndexBinaryFlat(8 * b.bytes_per_vector)
    index.add(b.packed.numpy())  # pyright: ignore[reportCallIssue]
    found, columns = index.search(a.packed.numpy(), m)  # pyright: ignore[reportCallIssue]
    np.testing.assert_array_equal(np.take_along_axis(distances.numpy(), columns, 1), found)


@settings(deadline=None)
@given(st.integers(1, 10), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_cosine_is_that_of_the_sign_vectors(n, n_bits, seed):
    a, b = random_codes(n, n_bits, seed), random_codes(n + 1, n_bits, seed + 1)
    signs_a, signs_b = a.signs().double(), b.signs().double()
    expected = torch.nn.functional.cosine_similarity(signs_a[:, None], signs_b[None], dim=2)
    torch.testing.assert_close(cosine(a, b).double(), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(cosine(a, b), 1 - 2 * hamming(a, b) / n_bits, rtol=0, atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 10), st.integers(0, 60), st.integers(1, 300), st.integers(0, 2**32 - 1), st.booleans())
def test_asymmetric_is_the_inner_product_with_signs(n_queries, n, n_bits, seed, doubles):
    codes, dtype = random_codes(n, n_bits, seed), torch.float64 if doubles else torch.float32
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n_queries, n_bits))).to(dtype)
    signs = np.unpackbits(codes.packed.numpy(), axis=1, count=n_bits, bitorder="little") * 2.0 - 1
    scores = asymmetric(x, codes)
    assert scores.dtype == dtype
    np.testing.assert_allclose(scores.numpy(), x.double().numpy() @ signs.T, rtol=0, atol=1e-10 if doubles else 1e-4)


def test_asymmetric_in_blocks_is_whole(monkeypatch):
    codes, x = random_codes(100, 24), torch.arange(72.0).view(3, 24)
    whole = asymmetric(x, codes)
    monkeypatch.setattr("binemb.codes.UNPACKED_BYTES", 24 * 4 * 7)
    assert torch.equal(asymmetric(x, codes), whole)
    assert asymmetric(x.half(), codes).dtype == torch.float32
    assert torch.equal(asymmetric(codes.signs(), codes), 24 - 2 * hamming(codes, codes).float())


def test_asymmetric_refusals():
    with pytest.raises(TypeError, match=r"x_QB must be floating point, got torch\.int64"):
        asymmetric(torch.ones(2, 8, dtype=torch.int64), random_codes(3, 8))
    for shape in ((2, 9), (8,), (1, 2, 8)):
        with pytest.raises(ValueError, match="x_QB must have rows of 8 values, got shape"):
            asymmetric(torch.ones(shape), random_codes(3, 8))


def test_a_prefix_of_whole_bytes_stays_in_the_same_memory(tmp_path):
    codes = random_codes(9, 40)
    assert codes.truncate(16).packed.data_ptr() == codes.packed.data_ptr()
    codes.truncate(16).save(tmp_path / "prefix")
    assert torch.equal(BinaryCodes.load(tmp_path / "prefix").packed, codes.packed[:, :2])


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 4),
        slice(None, None, 2),
        slice(3, 3),
        [4, 0, -1],
        [],
        torch.tensor([2, 2, 0]),
        torch.tensor([True, False, True, True, False]),
        torch.tensor([True] * 5),
    ],
    ids=str,
)
def test_rows_and_words_are_chosen_together(rows):
    whole = BinaryCodes(random_codes(5, 13).packed, 13, (8, 13), list("abcde"))
    part = whole[rows]
    expected = np.arange(5)[rows if isinstance(rows, slice) else np.asarray(rows, None if len(rows) else np.int64)]
    assert part.words == ["abcde"[row] for row in expected]
    assert torch.equal(part.packed, whole.packed[torch.from_numpy(expected)])
    assert (part.n_bits, part.levels) == (13, (8, 13))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bits=bits, given_words=st.lists(words, min_size=40, max_size=40), has_words=st.booleans(), empty=st.booleans())
def test_a_file_gives_back_the_same_codes(tmp_path, bits, given_words, has_words, empty):
    codes = codes_of(bits)[: 0 if empty else None]
    n_bits = codes.n_bits
    levels = tuple(sorted({1, max(1, n_bits // 2), n_bits}))
    codes = BinaryCodes(codes.packed, n_bits, levels, given_words[: len(codes)] if has_words else None)
    codes.save(tmp_path / "codes")
    loaded = BinaryCodes.load(tmp_path / "codes")
    assert torch.equal(loaded.packed, codes.packed)
    assert (loaded.n_bits, loaded.levels, loaded.words) == (codes.n_bits, codes.levels, codes.words)


def test_a_word_with_a_line_break_is_not_stored(tmp_path):
    codes = BinaryCodes(random_codes(2, 8).packed, 8, words=["a", "b\nc"])
    with pytest.raises(ValueError, match="line break"):
        codes.save(tmp_path / "codes")
    assert not list(tmp_path.iterdir())


def test_refusals():
    packed = torch.zeros(2, 2, dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"packed must be uint8, got torch\.int8"):
        BinaryCodes(packed.to(torch.int8), 16)
    for n_bits in (0, 8, 17):
        with pytest.raises(ValueError, match=rf"packed \(2, 2\) does not hold {n_bits} bits a row"):
            BinaryCodes(packed, n_bits)
    with pytest.raises(TypeError):
        BinaryCodes(packed, 16.0)  # pyright: ignore[reportArgumentType]
    for levels in ((8,), (16, 8), (8, 8, 16), (0, 16), (16, 24)):
        with pytest.raises(ValueError, match="not ascending prefixes ending at 16 bits"):
            BinaryCodes(packed, 16, levels)
    with pytest.raises(ValueError, match="1 words for 2 codes"):
        BinaryCodes(packed, 16, words=["a"])
    for n_bits in (9, 12, 15):
        spare = packed.clone()
        spare[1, 1] = 1 << n_bits - 8
        with pytest.raises(ValueError, match=f"bits after the {n_bits}th are set"):
            BinaryCodes(spare, n_bits)
    codes = BinaryCodes(packed, 16)
    for n_bits in (0, 17, -1):
        with pytest.raises(ValueError, match=rf"n_bits must lie in \[1, 16\], got {n_bits}"):
            codes.truncate(n_bits)
    for compare in (hamming, cosine):
        with pytest.raises(ValueError, match="codes of 16 and 9 bits cannot be compared"):
            compare(codes, codes.truncate(9))


def test_what_has_no_sign_is_not_packed():
    with pytest.raises(ValueError, match="signs_NB holds NaN"):
        BinaryCodes.from_signs(torch.tensor([[1.0, torch.nan]]))
    with pytest.raises(TypeError, match=r"must be numbers, got torch\.bool"):
        BinaryCodes.from_signs(torch.tensor([[True, False]]))
    with pytest.raises(ValueError, match=r"must be a matrix, got shape \(3,\)"):
        BinaryCodes.from_signs(torch.ones(3))
