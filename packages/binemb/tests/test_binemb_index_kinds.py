"""Approximate kinds of index: exact where they must be, near enough elsewhere, the same after a reload."""

from __future__ import annotations

import warnings
from math import comb
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from binemb import BinaryCodes, BinaryIndex, faiss_gpu_count, hamming
from binemb.binary_kmeans import k_majority, nearest_centroids
from binemb.index_parameters import HashParameters, IvfParameters
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS: list[Any] = ["ivf", "hnsw", "hash"]


def clustered_codes(n: int, n_bits: int, seed: int = 0, *, centres: int = 50, flipped: float = 0.1) -> BinaryCodes:
    """Codes around random centres, each bit flipped with a probability."""
    rng = np.random.default_rng([seed, 1])
    middle = np.random.default_rng(0).random((centres, n_bits)) < 0.5
    bits = middle[rng.integers(0, centres, n)] ^ (rng.random((n, n_bits)) < flipped)
    return BinaryCodes.from_signs(torch.from_numpy(np.where(bits, 1, -1)))


def assert_in_step(index: BinaryIndex, queries: BinaryCodes, codes: BinaryCodes, k: int) -> None:
    """min(k, n) different rows, each at its distance, nearest first, equal distances by row."""
    hits = index.search(queries, k)
    k = min(k, len(codes))
    assert hits.ids.shape == (len(queries), k)
    assert all(len(set(row)) == k for row in hits.ids.tolist())
    distances = hamming(queries, codes)
    assert torch.equal(distances.gather(1, hits.ids), hits.distances)
    order = hits.distances.long() * len(codes) + hits.ids
    assert (order.diff(dim=1) > 0).all()
    torch.testing.assert_close(hits.similarity, 1 - hits.distances / codes.n_bits)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 120), n_bits=st.integers(1, 90), k=st.integers(1, 150), seed=st.integers(0, 2**32 - 1))
def test_every_hit_is_a_code_at_its_distance(kind, n, n_bits, k, seed):
    codes, queries = clustered_codes(n, n_bits, seed, centres=4), clustered_codes(6, n_bits, seed + 1, centres=8)
    index = BinaryIndex(n_bits, kind).add(codes[: n // 2 + 1]).add(codes[n // 2 + 1 :])
    assert_in_step(index, queries, codes, k)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("ivf", {"n_lists": 20, "n_probe": 20}),
        ("ivf", {"n_lists": 20, "n_probe": 500}),
        ("ivf", {"n_lists": 8}),  # at least eight are read
        ("hash", {"hash_bits": 6, "n_tables": 2, "n_flips": 6}),
    ],
)
@pytest.mark.parametrize("n_bits", [13, 64, 200])
def test_a_search_of_everything_is_exact(kind, parameters, n_bits):
    """Which of equally distant codes come last is open; their distances are not."""
    codes, queries = clustered_codes(600, n_bits, centres=3), clustered_codes(40, n_bits, 1)
    index = BinaryIndex(n_bits, kind, **parameters).add(codes)
    assert_in_step(index, queries, codes, 25)
    assert torch.equal(index.search(queries, 25).distances, hamming(queries, codes).sort(1).values[:, :25])


@pytest.mark.parametrize(("kind", "least"), [("ivf", 0.95), ("hnsw", 0.95), ("hash", 0.95)])
def test_defaults_find_most_neighbours_of_clustered_codes(kind, least):
    codes, queries = clustered_codes(20_000, 128, centres=200), clustered_codes(100, 128, 1, centres=200)
    right = hamming(queries, codes).sort(1).values[:, :10]
    index = BinaryIndex(128, kind).add(codes)
    assert float((index.search(queries, 10).distances == right).float().mean()) >= least


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_that_finds_too_few_is_answered_exactly(kind):
    """Hash buckets that are empty, lists that are short: never an empty id, and never a guess instead."""
    codes = clustered_codes(400, 64, centres=40, flipped=0.02)
    parameters: Any = {"ivf": {"n_lists": 40, "n_probe": 1}, "hnsw": {"ef_search": 1}, "hash": {"n_flips": 0}}[kind]
    far = BinaryCodes.from_signs(torch.randn(10, 64, generator=torch.Generator().manual_seed(5)))
    index = BinaryIndex(64, kind, **parameters).add(codes)
    assert_in_step(index, far, codes, 400)
    if kind == "hash":
        pieces, asked = (rows.packed.contiguous().view(torch.int16) for rows in (codes, far))
        too_few = (asked[:, None] == pieces[None]).any(2).sum(1) < 5
        assert too_few.sum() > 5
        exact = BinaryIndex(64).add(codes).search(far, 5)
        assert torch.equal(index.search(far, 5).ids[too_few], exact.ids[too_few])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_additions_give_the_same_index_with_any_threads(kind, tmp_path):
    codes = clustered_codes(3000, 96)
    threads = faiss.omp_get_max_threads()
    try:
        for number in (1, 2, 3):
            faiss.omp_set_num_threads(number)
            BinaryIndex(96, kind).add(codes[:2000]).add(codes[2000:]).save(tmp_path / str(number))
    finally:
        faiss.omp_set_num_threads(threads)
    one = (tmp_path / "1").read_bytes()
    assert one == (tmp_path / "2").read_bytes() == (tmp_path / "3").read_bytes()


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(0, 200), n_bits=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
def test_a_file_gives_back_the_same_answers_and_grows_the_same(tmp_path, kind, memory_map, n, n_bits, seed):
    codes = clustered_codes(n + 60, n_bits, seed, centres=7)
    index = BinaryIndex(n_bits, kind).add(codes[:n], torch.arange(n) * 2)
    index.save(tmp_path / "index")
    loaded = BinaryIndex.load(tmp_path / "index", memory_map=memory_map)
    assert (len(loaded), loaded.n_bits, loaded.kind, loaded.parameters) == (n, n_bits, kind, index.parameters)
    for _ in range(2):
        if len(index):
            ours, theirs = index.search(codes, 9), loaded.search(codes, 9)
            assert torch.equal(ours.ids, theirs.ids)
            assert torch.equal(ours.distances, theirs.distances)
        if len(index) > n:
            break
        index.add(codes[n:])
        loaded.add(codes[n:])


def test_hash_finds_all_within_its_radius():
    """m tables, f flips: a code within m (f + 1) - 1 bits agrees up to f flips in one of the pieces (pigeonhole)."""
    codes, queries = clustered_codes(3000, 40, flipped=0.08), clustered_codes(60, 40, 1, flipped=0.08)
    distances = hamming(queries, codes)
    for n_tables, n_flips in ((5, 0), (4, 1)):
        index = BinaryIndex(40, "hash", hash_bits=40 // n_tables, n_tables=n_tables, n_flips=n_flips).add(codes)
        found = index.search(queries, 300)
        radius = n_tables * (n_flips + 1) - 1
        for query, row in enumerate(found.ids):
            within = (distances[query] <= radius).nonzero().flatten()
            assert set(within.tolist()) <= set(row.tolist())


def test_lists_default_to_the_number_of_codes():
    assert IvfParameters().resolved(10_000) == IvfParameters(256, 16)
    assert IvfParameters().resolved(400_000) == IvfParameters(2530, 158)
    assert IvfParameters().resolved(10**9) == IvfParameters(16384, 1024)
    assert IvfParameters().resolved(1) == IvfParameters(1, 1)
    assert IvfParameters(n_lists=100).resolved(100) == IvfParameters(100, 8)
    index = BinaryIndex(32, "ivf")
    assert index.parameters == {"n_lists": None, "n_probe": None, "seed": 0}
    assert index.add(clustered_codes(400, 32)).parameters == {"n_lists": 10, "n_probe": 8, "seed": 0}


def test_hash_defaults_fit_the_code():
    assert HashParameters().resolved(256) == HashParameters(16, 16)
    assert HashParameters().resolved(100) == HashParameters(16, 6)
    assert HashParameters().resolved(5) == HashParameters(5, 1)


def test_train_is_apart_from_add():
    sample, codes = clustered_codes(500, 64), clustered_codes(300, 64, 1)
    trained = BinaryIndex(64, "ivf", n_lists=30, n_probe=30).train(sample)
    assert len(trained) == 0
    assert_in_step(trained.add(codes[:1]).add(codes[1:]), codes[:20], codes, 10)
    with pytest.raises(ValueError, match="train: the index is trained"):
        trained.train(sample)
    with pytest.raises(ValueError, match="train: the index holds codes of 64 bits, got 63"):
        BinaryIndex(64, "ivf").train(clustered_codes(5, 63))
    with pytest.raises(ValueError, match="only kind 'ivf' is trained, this index is 'flat'"):
        BinaryIndex(64).train(sample)
    with pytest.raises(ValueError, match="1 lists need as many codes to train on, got 0"):
        BinaryIndex(64, "ivf").train(sample[:0])


def test_too_few_codes_to_train_on_leave_the_index_as_it_was(tmp_path):
    index = BinaryIndex(16, "ivf", n_lists=10)
    with pytest.raises(ValueError, match="10 lists need as many codes to train on, got 9"):
        index.add(clustered_codes(9, 16))
    assert len(index) == 0
    index.add(clustered_codes(0, 16)).save(tmp_path / "untrained")
    loaded = BinaryIndex.load(tmp_path / "untrained")
    assert len(loaded.add(clustered_codes(10, 16))) == 10


def test_tune_changes_the_search():
    codes, queries = clustered_codes(5000, 64, centres=2000, flipped=0.2), clustered_codes(100, 64, 1, centres=2000)
    right = hamming(queries, codes).sort(1).values[:, :10]
    cases: list[Any] = [
        ("ivf", {"n_probe": 1}, {"n_probe": 1000}),
        ("hnsw", {"ef_search": 1}, {"ef_search": 2000}),
    ]
    for kind, low, high in cases:
        index = BinaryIndex(64, kind).add(codes)
        fewer, more = (
            float((index.tune(**at).search(queries, 10).distances == right).float().mean()) for at in (low, high)
        )
        assert fewer < more - 0.05
        assert more > 0.99
    with pytest.raises(TypeError, match="tune: kind 'ivf' has no parameter 'n_lists'; it takes n_probe"):
        BinaryIndex(64, "ivf").tune(n_lists=3)
    with pytest.raises(TypeError, match="tune: kind 'flat' has no parameter 'n_probe'; it takes none"):
        BinaryIndex(64).tune(n_probe=3)
    with pytest.raises(ValueError, match=r"n_flips must lie in \[0, 32\], got -1"):
        BinaryIndex(64, "hash").tune(n_flips=-1)


def test_parameters_that_cannot_be():
    with pytest.raises(TypeError, match="kind 'ivf' has no parameter 'm'; it takes n_lists, n_probe, seed"):
        BinaryIndex(8, "ivf", m=3)
    with pytest.raises(TypeError, match="no parameter 'n_probes'; did you mean n_probe"):
        BinaryIndex(8, "ivf", n_probes=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="kind 'flat' has no parameter 'seed'; it takes none"):
        BinaryIndex(8, seed=3)
    for wrong in (1.5, "3", True):
        with pytest.raises(TypeError, match="m must be a whole number, got"):
            BinaryIndex(8, "hnsw", m=wrong)  # pyright: ignore[reportArgumentType]
    low: list[Any] = [("ivf", "n_lists", 0), ("hnsw", "m", 1), ("hnsw", "ef_search", 0), ("hash", "n_flips", -1)]
    for kind, name, value in low:
        parameters: Any = {name: value}
        with pytest.raises(ValueError, match=rf"BinaryIndex: {name} must lie in \["):
            BinaryIndex(64, kind, **parameters)
    with pytest.raises(ValueError, match=r"must be at most the code's 31 bits, got 2 \* 16"):
        BinaryIndex(31, "hash", n_tables=2)
    with pytest.raises(ValueError, match="n_flips must be at most hash_bits, 5, got 6"):
        BinaryIndex(5, "hash", n_flips=6)
    lookups = sum(comb(32, flips) for flips in range(7))
    with pytest.raises(ValueError, match=f"n_flips=6 looks up {lookups} buckets a query, at most 1048576"):
        BinaryIndex(32, "hash", hash_bits=32, n_flips=6)


def test_kinds_that_have_no_gpu_search_say_where_they_run(monkeypatch):
    monkeypatch.setattr("binemb.faiss_device.faiss_gpu_count", lambda: 1)
    codes = clustered_codes(300, 24)
    for kind in KINDS:
        with pytest.warns(UserWarning, match=f"faiss has no '{kind}' on GPUs; it runs on the CPU"):
            index = BinaryIndex(24, kind, device="cuda")
        assert (index.device, index.search_device) == ("cuda", "cpu")
        assert_in_step(index.add(codes), codes[:5], codes, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BinaryIndex(24, "ivf").search_device == "cpu"


def test_a_gpu_that_is_not_there_is_said_for_every_kind():
    if faiss_gpu_count():
        pytest.skip("there is a GPU")
    for kind in KINDS:
        with pytest.raises(ValueError, match="device 'cuda' asked for, but faiss sees no GPU"):
            BinaryIndex(24, kind, device="cuda")


def test_centroids_are_majorities_of_what_is_nearest():
    """At a fixed point, as k-means: one round of brute force changes nothing."""
    codes = clustered_codes(400, 30, centres=5, flipped=0.05)
    centroids = k_majority(codes.packed, 5, seed=0)
    signs, middle = codes.signs(), BinaryCodes(centroids, 30).signs()
    nearest = (signs @ middle.T).argmax(1)
    assert torch.equal(nearest_centroids(codes.packed, centroids), nearest)
    for number in nearest.unique():
        votes = signs[nearest == number].sum(0)
        assert torch.equal(torch.where(votes == 0, middle[number], votes.sign()), middle[number])
    assert torch.equal(centroids, k_majority(codes.packed, 5, seed=0))
    assert not torch.equal(centroids, k_majority(codes.packed, 5, seed=1))


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("ivf", "lists", lambda t: t + 1000),
        ("ivf", "lists", lambda t: t - 1000),
        ("ivf", "lists", lambda t: t[:-1]),
        ("ivf", "centroids", lambda t: t[:-1]),
        ("ivf", "centroids", lambda t: t[:, :-1]),
        ("hnsw", "levels", lambda t: t + 50),
        ("hnsw", "levels", lambda t: t - 1),
        ("hnsw", "levels", lambda t: t.flip(0)),
        ("hnsw", "links", lambda t: t + 1000),
        ("hnsw", "links", lambda t: t[:-1]),
        ("hnsw", "links", lambda t: torch.where(t >= 0, 0, t)),
        ("hnsw", "entry", lambda t: t + 1000),
        ("hnsw", "entry", lambda t: t * 0 - 1),
        ("hnsw", "entry", lambda t: t[None]),
    ],
)
def test_a_forged_structure_is_refused(tmp_path, kind, name, change):
    """faiss follows links and list numbers without looking: none may lead astray."""
    codes = clustered_codes(300, 20)
    parameters: Any = {"m": 4} if kind == "hnsw" else {}
    BinaryIndex(20, kind, **parameters).add(codes).save(tmp_path / "index")
    tensors, metadata = read_tensor_file(tmp_path / "index", kind="binemb.index", version=2)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    tensors[name] = change(tensors[name])
    write_tensor_file(tmp_path / "forged", tensors, kind="binemb.index", version=2, metadata=metadata)
    with pytest.raises(FileFormatError, match="inconsistent index"):
        BinaryIndex.load(tmp_path / "forged")
