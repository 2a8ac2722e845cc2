"""Scoring shortlists again, by float weights, by float vectors and by longer prefixes, against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from binemb import BinaryCodes, BinaryIndex, hamming
from binemb.codes import asymmetric
from binemb.funnel import funnel_search
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def codes_of(n: int, n_bits: int, seed: int = 0) -> BinaryCodes:
    return BinaryCodes.from_signs(drawn(n, n_bits, seed=seed))


def shortlist(queries: BinaryCodes, codes: BinaryCodes, count: int) -> torch.Tensor:
    """The nearest rows, equal ones by row, (Q, count)."""
    return hamming(queries, codes).sort(dim=1, stable=True).indices[:, :count]


def reordered(rows: torch.Tensor, scores_QN: torch.Tensor, k: int) -> torch.Tensor:
    """The k rows of a shortlist with the highest scores, equal ones by row."""
    rows = rows.sort(1).values
    places = scores_QN.gather(1, rows).sort(dim=1, descending=True, stable=True).indices[:, :k]
    return rows.gather(1, places)


numbers = {
    "n": st.integers(1, 70),
    "n_bits": st.integers(1, 80),
    "k": st.integers(1, 20),
    "oversample": st.integers(1, 6),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(deadline=None)
@given(**numbers)
def test_asymmetric_reorders_the_shortlist(n, n_bits, k, oversample, seed):
    codes, queries, weights = codes_of(n, n_bits, seed), codes_of(4, n_bits, seed + 1), drawn(4, n_bits, seed=seed + 2)
    index = BinaryIndex(n_bits).add(codes, torch.arange(n) + 100)
    hits = index.search(queries, k, rescore="asymmetric", oversample=oversample, weights_QB=weights)
    scores = asymmetric(weights.double(), codes)
    expected = reordered(shortlist(queries, codes, min(k * oversample, n)), scores, k)
    assert hits.ids.shape == (4, min(k, n))
    torch.testing.assert_close(scores.gather(1, hits.ids - 100), scores.gather(1, expected), rtol=0, atol=1e-5)
    assert torch.equal(hits.distances, hamming(queries, codes).gather(1, hits.ids - 100))
    cosines = cosine_similarity(weights.double()[:, None], codes.signs().double()[None], dim=2)
    torch.testing.assert_close(hits.similarity.double(), (1 + cosines.gather(1, expected)) / 2, rtol=0, atol=1e-6)
    assert float(hits.similarity.min()) >= 0
    assert float(hits.similarity.max()) <= 1


@settings(deadline=None)
@given(**numbers, memory_mapped=st.booleans())
def test_float_reorders_the_shortlist(tmp_path_factory, n, n_bits, k, oversample, seed, memory_mapped):
    x, q = drawn(n, 5, seed=seed), drawn(4, 5, seed=seed + 1)
    codes, queries = codes_of(n, n_bits, seed + 2), codes_of(4, n_bits, seed + 3)
    vectors: Any = x
    if memory_mapped:
        path = tmp_path_factory.mktemp("vectors") / "x.npy"
        np.save(path, x.numpy())
        vectors = np.load(path, mmap_mode="r")
    given_: dict[str, Any] = {"oversample": oversample, "queries_QD": q, "vectors_ND": vectors}
    hits = BinaryIndex(n_bits).add(codes).search(queries, k, rescore="float", **given_)
    cosines = cosine_similarity(q.double()[:, None], x.double()[None], dim=2)
    expected = reordered(shortlist(queries, codes, min(k * oversample, n)), cosines, k)
    torch.testing.assert_close(hits.similarity.double(), (1 + cosines.gather(1, expected)) / 2, rtol=0, atol=1e-6)
    assert torch.equal(hits.distances, hamming(queries, codes).gather(1, hits.ids))


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw", "hash"])
def test_scoring_all_codes_again_finds_the_best_of_all(kind):
    codes, queries, weights = codes_of(500, 96), codes_of(20, 96, 1), drawn(20, 96, seed=2)
    hits = BinaryIndex(96, kind).add(codes).search(queries, 10, rescore="asymmetric", oversample=50, weights_QB=weights)
    assert torch.equal(hits.ids, asymmetric(weights.double(), codes).topk(10).indices)


def test_scores_do_not_depend_on_what_is_asked_along(monkeypatch):
    codes, queries, weights = codes_of(400, 100), codes_of(50, 100, 1), drawn(50, 100, seed=2)
    x, q = drawn(400, 33, seed=3), drawn(50, 33, seed=4)
    index = BinaryIndex(100).add(codes)
    for how in ("asymmetric", "float"):

        def ask(rows: slice, how: Any = how) -> torch.Tensor:
            inputs: Any = {"weights_QB": weights[rows]}
            if how == "float":
                inputs = {"queries_QD": q[rows], "vectors_ND": x}
            return index.search(queries[rows], 10, rescore=how, **inputs).similarity

        together = ask(slice(50))
        assert torch.equal(torch.cat([ask(slice(row, row + 1)) for row in range(50)]), together)
        with monkeypatch.context() as patched:
            patched.setattr("binemb.rescore.BYTES_AT_ONCE", 1)
            assert torch.equal(ask(slice(50)), together)


def test_equal_scores_come_by_row():
    codes = BinaryCodes.from_signs(torch.tensor([[1.0, -1, -1], [1, 1, -1], [1, 1, 1], [1, 1, -1], [-1, 1, 1]]))
    queries = codes[2:3]
    weights = torch.tensor([[1.0, 0, 0]])
    hits = BinaryIndex(3).add(codes).search(queries, 5, rescore="asymmetric", weights_QB=weights)
    assert hits.ids.tolist() == [[0, 1, 2, 3, 4]]
    torch.testing.assert_close(hits.similarity[0], (1 + torch.tensor([1, 1, 1, 1, -1]) / 3**0.5) / 2)
    nothing = BinaryIndex(3).add(codes).search(queries, 5, rescore="asymmetric", weights_QB=torch.zeros(1, 3))
    assert nothing.similarity.tolist() == [[0.5] * 5]
    assert nothing.ids.tolist() == [[0, 1, 2, 3, 4]]


def test_zero_and_huge_vectors_have_a_similarity():
    codes, x = codes_of(3, 8), torch.tensor([[0.0, 0], [1e38, 1e38], [1e-40, 0]])
    inputs: dict[str, Any] = {"rescore": "float", "queries_QD": torch.tensor([[3e38, 3e38]]), "vectors_ND": x}
    hits = BinaryIndex(8).add(codes).search(codes[:1], 3, **inputs)
    assert hits.ids.tolist() == [[1, 2, 0]]
    torch.testing.assert_close(hits.similarity, torch.tensor([[1, (1 + 0.5**0.5) / 2, 0.5]]))


def test_rescoring_refusals():
    codes, q, x, w = codes_of(5, 16), drawn(2, 4), drawn(5, 4), drawn(2, 16)
    index, queries = BinaryIndex(16).add(codes), codes_of(2, 16, 1)
    for inputs, message in [
        ({"rescore": "cosine"}, "rescore must be None, 'asymmetric' or 'float', got 'cosine'"),
        ({"rescore": "asymmetric"}, "rescore='asymmetric' needs weights_QB"),
        ({"rescore": "float", "queries_QD": q}, "rescore='float' needs vectors_ND"),
        ({"rescore": "float", "vectors_ND": x}, "rescore='float' needs queries_QD"),
        ({"weights_QB": w}, "rescore=None does not use weights_QB"),
        ({"rescore": "asymmetric", "weights_QB": w, "vectors_ND": x}, "does not use vectors_ND"),
        ({"rescore": "asymmetric", "weights_QB": w[:1]}, r"weights_QB must have shape \(2, 16\), got \(1, 16\)"),
        ({"rescore": "asymmetric", "weights_QB": w[:, 1:]}, r"weights_QB must have shape \(2, 16\), got \(2, 15\)"),
        ({"rescore": "float", "queries_QD": q, "vectors_ND": x[1:]}, r"vectors_ND must have shape \(5, 4\), got"),
        ({"rescore": "float", "queries_QD": q, "vectors_ND": x[0]}, "queries_QD must have shape"),
        ({"rescore": "float", "queries_QD": q[:, 1:], "vectors_ND": x}, r"queries_QD must have shape \(2, 4\), got"),
        ({"rescore": "float", "queries_QD": q * torch.nan, "vectors_ND": x}, "queries_QD holds values that are not"),
        ({"rescore": "float", "queries_QD": q, "vectors_ND": x * torch.inf}, "vectors_ND holds values that are not"),
        ({"rescore": "asymmetric", "weights_QB": w, "oversample": 0}, "oversample must be at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            index.search(queries, 3, **inputs)
    with pytest.raises(TypeError):
        index.search(queries, 2.5)  # pyright: ignore[reportArgumentType]
    weights = torch.zeros(len(queries), index.n_bits).numpy()
    with pytest.raises(TypeError, match="weights_QB must be a tensor, got ndarray"):
        index.search(queries, 2, rescore="asymmetric", weights_QB=weights)  # pyright: ignore[reportArgumentType]


@settings(deadline=None)
@given(
    **numbers, short=st.integers(1, 80), final=st.integers(1, 80), query_bits=st.integers(0, 9), own_index=st.booleans()
)
def test_funnel_is_brute_force_on_two_prefixes(n, n_bits, k, oversample, seed, short, final, query_bits, own_index):
    final = min(final, n_bits)
    short = min(short, final)
    codes = codes_of(n, n_bits, seed)
    queries = codes_of(5, final + query_bits, seed + 1)
    rows = shortlist(queries.truncate(short), codes.truncate(short), min(k * oversample, n))
    distances = hamming(queries.truncate(final), codes.truncate(final))
    expected = reordered(rows, -distances, k)
    index = BinaryIndex(short).add(codes.truncate(short), torch.arange(n) + 7) if own_index else None
    hits = funnel_search(codes, queries, k, shortlist_bits=short, final_bits=final, oversample=oversample, index=index)
    assert torch.equal(hits.ids, expected + 7 * own_index)
    assert torch.equal(hits.distances, distances.gather(1, expected))
    torch.testing.assert_close(hits.similarity, 1 - hits.distances / final)


def test_funnel_reads_mapped_codes(tmp_path):
    codes, queries = codes_of(300, 256), codes_of(7, 256, 1)
    codes.save(tmp_path / "codes")
    mapped = BinaryCodes.load(tmp_path / "codes")
    found = funnel_search(mapped, queries, 10, shortlist_bits=64, oversample=30)
    assert torch.equal(found.ids, BinaryIndex(256).add(codes).search(queries, 10).ids)
    hnsw = BinaryIndex(64, "hnsw").add(mapped.truncate(64))
    assert torch.equal(funnel_search(mapped, queries, 10, shortlist_bits=64, oversample=30, index=hnsw).ids, found.ids)


def test_funnel_refusals():
    codes = codes_of(5, 64)
    for bits in ((65, 64), (32, 16), (0, 64), (32, 65)):
        with pytest.raises(ValueError, match="needs 1 <= shortlist_bits <= final_bits <= 64"):
            funnel_search(codes, codes, shortlist_bits=bits[0], final_bits=bits[1])
    with pytest.raises(ValueError, match="needs 1 <= shortlist_bits"):
        funnel_search(codes, codes)
    with pytest.raises(ValueError, match="final_bits is 64, the queries have 63 bits"):
        funnel_search(codes, codes_of(1, 63), shortlist_bits=8)
    for k, oversample in ((0, 4), (1, 0)):
        with pytest.raises(ValueError, match=f"must be at least 1, got {k} and {oversample}"):
            funnel_search(codes, codes, k, shortlist_bits=8, oversample=oversample)
    for index in (BinaryIndex(8).add(codes[:4].truncate(8)), BinaryIndex(16).add(codes.truncate(16))):
        with pytest.raises(ValueError, match=r"the index holds \d codes of \d+ bits, needed are 5 of 8"):
            funnel_search(codes, codes, shortlist_bits=8, index=index)
    with pytest.raises(ValueError, match="a filled index"):
        funnel_search(codes[:0], codes, shortlist_bits=8)
