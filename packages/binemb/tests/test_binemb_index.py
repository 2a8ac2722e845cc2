"""Search against brute force on unpacked bits."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import torch
from binemb import BinaryCodes, BinaryIndex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def random_codes(n: int, n_bits: int, seed: int = 0) -> BinaryCodes:
    return BinaryCodes.from_signs(torch.randn(n, n_bits, generator=torch.Generator().manual_seed(seed)))


def differing_bits(queries: BinaryCodes, codes: BinaryCodes) -> torch.Tensor:
    """Distances by comparing every bit, int64, (Q, N)."""
    return (queries.signs()[:, None] != codes.signs()[None]).sum(2)


def assert_nearest(index: BinaryIndex, queries: BinaryCodes, codes: BinaryCodes, ids: torch.Tensor, k: int) -> None:
    """Distances are the k smallest, and every id is a code at its distance; which of equal ones came is open."""
    hits = index.search(queries, k)
    expected = differing_bits(queries, codes)
    k = min(k, len(codes))
    assert hits.ids.shape == hits.distances.shape == hits.similarity.shape == (len(queries), k)
    assert (hits.ids.dtype, hits.distances.dtype, hits.similarity.dtype) == (torch.int64, torch.int32, torch.float32)
    assert torch.equal(hits.distances.long(), expected.sort(1).values[:, :k])
    row_of = {int(number): row for row, number in enumerate(ids)}
    rows = torch.tensor([[row_of[int(number)] for number in found] for found in hits.ids]).view(-1, k)
    assert torch.equal(expected.gather(1, rows), hits.distances.long())
    assert all(len(set(found)) == k for found in hits.ids.tolist())
    torch.testing.assert_close(hits.similarity.double(), 1 - hits.distances / codes.n_bits, check_dtype=False)


@settings(deadline=None)
@given(
    n=st.integers(1, 60),
    n_bits=st.integers(1, 90),
    k=st.integers(1, 80),
    split=st.floats(0, 1),
    own_ids=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_what_brute_force_finds(n, n_bits, k, split, own_ids, seed):
    codes, queries = random_codes(n, n_bits, seed), random_codes(5, n_bits, seed + 1)
    ids = torch.from_numpy(np.random.default_rng(seed).permutation(10 * n)[:n]) if own_ids else torch.arange(n)
    cut = round(split * n)
    index = BinaryIndex(n_bits)
    assert index.add(codes[:cut], ids[:cut] if own_ids else None) is index
    index.add(codes[cut:], ids[cut:] if own_ids else None)
    assert len(index) == n
    assert_nearest(index, queries, codes, ids, k)


@pytest.mark.gpu
@pytest.mark.skipif(not faiss.get_num_gpus(), reason="faiss sees no GPU")
@pytest.mark.parametrize("n_bits", [13, 64, 1024])
def test_gpu_finds_the_same(n_bits):
    codes, queries = random_codes(3000, n_bits), random_codes(20, n_bits, 1)
    assert_nearest(BinaryIndex(n_bits, device="cuda").add(codes), queries, codes, torch.arange(3000), 10)


def test_more_neighbours_than_codes_never_gives_an_empty_id():
    hits = BinaryIndex(13).add(random_codes(3, 13)).search(random_codes(4, 13, 1), 100)
    assert hits.ids.shape == (4, 3)
    assert hits.ids.sort(1).values.tolist() == [[0, 1, 2]] * 4


def test_default_ids_follow_the_largest():
    index = BinaryIndex(8).add(random_codes(2, 8), torch.tensor([7, 3])).add(random_codes(2, 8, 1))
    assert sorted(index.search(random_codes(1, 8), 4).ids[0].tolist()) == [3, 7, 8, 9]


def test_a_refused_addition_leaves_the_index_as_it_was():
    codes = random_codes(3, 20)
    index = BinaryIndex(20).add(codes)
    for ids in ([5, 5, 6], [2, 3, 4]):
        with pytest.raises(ValueError, match="ids must differ from each other and from those in the index"):
            index.add(codes, torch.tensor(ids))
    for wrong in (torch.arange(2), torch.arange(3)[:, None]):
        with pytest.raises(ValueError, match="3 codes need as many ids, got shape"):
            index.add(codes, wrong)
    with pytest.raises(TypeError, match=r"ids must be whole numbers, got torch\.float32"):
        index.add(codes, torch.tensor([5.2, 6.2, 7.2]))
    with pytest.raises(ValueError, match="the index holds codes of 20 bits, got 21"):
        index.add(random_codes(3, 21))
    assert_nearest(index, codes, codes, torch.arange(3), 3)


def test_search_refusals():
    index = BinaryIndex(20)
    with pytest.raises(ValueError, match="got k=1 and 0 codes"):
        index.search(random_codes(1, 20), 1)
    index.add(random_codes(3, 20))
    with pytest.raises(ValueError, match="got k=0 and 3 codes"):
        index.search(random_codes(1, 20), 0)
    with pytest.raises(ValueError, match="the index holds codes of 20 bits, the queries have 24"):
        index.search(random_codes(1, 24), 1)
    assert index.search(random_codes(0, 20), 2).ids.shape == (0, 2)


def test_construction_refusals():
    with pytest.raises(ValueError, match="kind must be one of flat, got 'hnsw'"):
        BinaryIndex(8, "hnsw")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="n_bits must be at least 1, got 0"):
        BinaryIndex(0)
    for device in ("gpu", "cuda:x", "mps"):
        with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:N"):
            BinaryIndex(8, device=device)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_that_is_not_there_is_said(monkeypatch, device):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    with pytest.raises(ValueError, match=f"device '{device}' asked for, but faiss sees no GPU; use 'cpu'"):
        BinaryIndex(8, device=device)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(0, 30), n_bits=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_a_file_gives_back_the_same_index(tmp_path, n, n_bits, seed):
    codes, ids = random_codes(n, n_bits, seed), torch.from_numpy(np.random.default_rng(seed).permutation(3 * n)[:n])
    BinaryIndex(n_bits).add(codes, ids).save(tmp_path / "index")
    loaded = BinaryIndex.load(tmp_path / "index")
    assert (len(loaded), loaded.n_bits, loaded.kind) == (n, n_bits, "flat")
    if n:
        assert_nearest(loaded, random_codes(3, n_bits, seed + 1), codes, ids, 5)
        loaded.add(codes)
        assert len(loaded) == 2 * n


def test_words_stay_with_the_codes(tmp_path):
    """Words come along when every code had one, through adds and files; else the index has none."""
    codes = BinaryCodes.from_signs(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), levels=(16,))
    named = BinaryCodes(codes.packed, 16, words=["a", "b", "c", "d", "e", "\u00e9t\u00e9"])
    index = BinaryIndex(16).add(named[:2]).add(named[2:])
    assert index.words == named.words
    index.save(tmp_path / "index")
    assert BinaryIndex.load(tmp_path / "index").words == named.words
    assert BinaryIndex(16).add(named[:2]).add(codes[2:]).words is None
    assert BinaryIndex(16).add(codes[:2]).add(named[2:]).words is None
