"""Search against brute force on unpacked bits."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from binemb import BinaryCodes, BinaryIndex
from ddp_utils.tensor_file import write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def random_codes(n: int, n_bits: int, seed: int = 0) -> BinaryCodes:
    return BinaryCodes.from_signs(torch.randn(n, n_bits, generator=torch.Generator().manual_seed(seed)))


def differing_bits(queries: BinaryCodes, codes: BinaryCodes) -> torch.Tensor:
    """Distances by comparing every bit, int64, (Q, N)."""
    return (queries.signs()[:, None] != codes.signs()[None]).sum(2)


def nearest_rows(queries: BinaryCodes, codes: BinaryCodes, k: int) -> torch.Tensor:
    """Rows by distance, equal ones by row, int64, (Q, k)."""
    return differing_bits(queries, codes).sort(dim=1, stable=True).indices[:, :k]


def assert_nearest(index: BinaryIndex, queries: BinaryCodes, codes: BinaryCodes, ids: torch.Tensor, k: int) -> None:
    """Exactly what brute force finds, equal distances in the order of the rows."""
    hits = index.search(queries, k)
    k = min(k, len(codes))
    rows = nearest_rows(queries, codes, k)
    assert hits.ids.shape == hits.distances.shape == hits.similarity.shape == (len(queries), k)
    assert (hits.ids.dtype, hits.distances.dtype, hits.similarity.dtype) == (torch.int64, torch.int32, torch.float32)
    assert torch.equal(hits.ids, ids[rows])
    assert torch.equal(hits.distances.long(), differing_bits(queries, codes).gather(1, rows))
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
    hits = BinaryIndex(n_bits, device="cuda").add(codes).search(queries, 10)
    distances = differing_bits(queries, codes)
    assert torch.equal(hits.distances.long(), distances.sort(1).values[:, :10])
    assert torch.equal(distances.gather(1, hits.ids), hits.distances.long())


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
        with pytest.raises(ValueError, match="3 rows need as many ids, got shape"):
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
    with pytest.raises(ValueError, match="kind must be one of flat, ivf, hnsw, hash, got 'tree'"):
        BinaryIndex(8, "tree")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="n_bits must be at least 1, got 0"):
        BinaryIndex(0)
    for device in ("gpu", "cuda:x", "cuda:", "cpu:0", "mps"):
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


def test_a_file_of_the_first_version_is_read(tmp_path):
    codes = random_codes(5, 13)
    tensors = {"packed": codes.packed, "ids": torch.arange(10, 15)}
    metadata = {"n_bits": 13, "kind": "flat", "has_words": False}
    write_tensor_file(tmp_path / "index", tensors, kind="binemb.index", version=1, metadata=metadata)
    assert_nearest(BinaryIndex.load(tmp_path / "index"), codes, codes, torch.arange(10, 15), 5)


def test_the_first_codes_and_a_mapped_file_are_not_copied(tmp_path):
    codes = random_codes(1000, 64)
    index = BinaryIndex(64).add(codes)
    assert index.packed.data_ptr() == codes.packed.data_ptr()
    index.save(tmp_path / "index")
    mapped = BinaryIndex.load(tmp_path / "index", memory_map=True)
    if Path("/proc/self/maps").exists():
        assert str(tmp_path / "index") in Path("/proc/self/maps").read_text()
    address = mapped.packed.data_ptr()
    assert_nearest(mapped, codes[:5], codes, torch.arange(1000), 7)
    assert mapped.packed.data_ptr() == address
    BinaryIndex(64).add(codes[:10]).save(tmp_path / "index")  # a new file in its stead leaves the mapped one
    assert_nearest(mapped, codes[:5], codes, torch.arange(1000), 7)
    mapped.add(codes)
    assert len(mapped) == 2000


def test_many_additions_are_one():
    codes = random_codes(200, 40)
    index = BinaryIndex(40)
    for row in range(0, 200, 3):
        index.add(codes[row : row + 3])
        index.add(codes[:0])
    assert torch.equal(index.packed, codes.packed)
    assert torch.equal(index.ids, torch.arange(200))
    assert_nearest(index, codes[:9], codes, torch.arange(200), 20)


def test_answers_do_not_depend_on_what_is_asked_along_or_on_threads():
    codes, queries = random_codes(3000, 50), random_codes(400, 50, 1)
    index = BinaryIndex(50).add(codes)
    together = index.search(queries, 9)
    alone = [index.search(queries[row : row + 1], 9).ids for row in range(0, 400, 40)]
    assert torch.equal(together.ids[::40], torch.cat(alone))
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        assert torch.equal(index.search(queries, 9).ids, together.ids)
    finally:
        faiss.omp_set_num_threads(threads)


def test_no_id_is_left_after_the_largest():
    index = BinaryIndex(8).add(random_codes(1, 8), torch.tensor([2**63 - 2]))
    with pytest.raises(ValueError, match="no numbers are left after the largest id"):
        index.add(random_codes(2, 8))
    assert len(index) == 1


def test_what_is_no_code_and_no_id_is_named():
    codes = random_codes(2, 8)
    index = BinaryIndex(8).add(codes)
    for verb in (index.add, index.search):
        with pytest.raises(TypeError, match="expected BinaryCodes, got Tensor"):
            verb(codes.packed)  # pyright: ignore[reportArgumentType]
    for ids, what in (([5, 6], "got list"), (torch.tensor([True, False]), r"got torch\.bool")):
        with pytest.raises(TypeError, match=rf"ids must be .*whole numbers, {what}"):
            index.add(codes, ids)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"ids must fit int64, got torch\.uint64"):
        index.add(codes, torch.tensor([5, 6], dtype=torch.uint64))
    with pytest.raises(TypeError):
        BinaryIndex(8.0)  # pyright: ignore[reportArgumentType]
    assert len(index) == 2
