"""Exact search in float vectors against brute force in double precision."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest
import torch
from binemb.float_index import FloatIndex
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

METRICS: list[Any] = ["cosine", "inner_product"]


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def scores_of(metric: str, queries: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    if metric == "inner_product":
        return queries.double() @ x.double().T
    return cosine_similarity(queries.double()[:, None], x.double()[None], dim=2)


def assert_best(index: FloatIndex, queries: torch.Tensor, x: torch.Tensor, ids: torch.Tensor, k: int) -> None:
    hits = index.search(queries, k)
    k = min(k, len(x))
    scores = scores_of(index.metric, queries, x)
    assert hits.ids.shape == hits.scores.shape == hits.similarity.shape == (len(queries), k)
    assert (hits.ids.dtype, hits.scores.dtype, hits.similarity.dtype) == (torch.int64, torch.float32, torch.float32)
    size = float(scores.abs().max()) if scores.numel() else 0.0
    torch.testing.assert_close(hits.scores.double(), scores.topk(k).values, rtol=0, atol=1e-6 + 1e-6 * size)
    row_of = {int(number): row for row, number in enumerate(ids)}
    rows = torch.tensor([[row_of[int(number)] for number in found] for found in hits.ids]).view(-1, k)
    torch.testing.assert_close(hits.scores.double(), scores.gather(1, rows), rtol=0, atol=1e-6 + 1e-6 * size)
    cosines = scores_of("cosine", queries, x).gather(1, rows)
    torch.testing.assert_close(hits.similarity.double(), (1 + cosines) / 2, rtol=0, atol=1e-6)
    assert all(len(set(found)) == k for found in hits.ids.tolist())


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n=st.integers(1, 60), dim=st.integers(1, 20), k=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
def test_finds_what_brute_force_finds_also_from_a_file(tmp_path, metric, n, dim, k, seed):
    x, queries = drawn(n, dim, seed=seed), drawn(5, dim, seed=seed + 1)
    x[n // 2] = 0
    ids = torch.from_numpy(np.random.default_rng(seed).permutation(10 * n)[:n])
    index = FloatIndex(dim, metric).add(x[: n // 2], ids[: n // 2]).add(x[n // 2 :], ids[n // 2 :])
    assert_best(index, queries, x, ids, k)
    index.save(tmp_path / "index")
    for memory_map in (False, True):
        loaded = FloatIndex.load(tmp_path / "index", memory_map=memory_map)
        assert (len(loaded), loaded.dim, loaded.metric) == (n, dim, metric)
        ours, theirs = index.search(queries, k), loaded.search(queries, k)
        assert torch.equal(ours.ids, theirs.ids)
        assert torch.equal(ours.scores, theirs.scores)
        assert len(loaded.add(x)) == 2 * n


@pytest.mark.gpu
@pytest.mark.skipif(not faiss.get_num_gpus(), reason="faiss sees no GPU")
@pytest.mark.parametrize("metric", METRICS)
def test_gpu_finds_the_same(metric):
    x, queries = drawn(3000, 50), drawn(20, 50, seed=1)
    assert_best(FloatIndex(50, metric, device="cuda").add(x), queries, x, torch.arange(3000), 10)
    with pytest.raises(ValueError, match="a GPU finds at most 2048"):
        FloatIndex(50, metric, device="cuda").add(x).search(queries, 2900)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_vectors_come_in_order_and_nothing_depends_on_what_is_asked_along(metric):
    x = drawn(500, 40)
    x[100:106] = x[7]
    queries = torch.cat([x[7:8], drawn(60, 40, seed=1)])
    index = FloatIndex(40, metric).add(x)
    together = index.search(queries, 10)
    if metric == "cosine":
        assert together.ids[0, :7].tolist() == [7, *range(100, 106)]
        assert together.scores[0, :7].tolist() == [1.0] * 7
    alone = [index.search(queries[row : row + 1], 10) for row in range(61)]
    assert torch.equal(together.ids, torch.cat([hits.ids for hits in alone]))
    assert torch.equal(together.scores, torch.cat([hits.scores for hits in alone]))


def test_any_real_dtype_and_scale_can_be_compared():
    x = drawn(30, 6)
    right = FloatIndex(6).add(x).search(x, 5).ids
    for scaled in (x * 1e-30, x * 1e37, x.double() * 1e300, x.double() * 1e-300):
        assert torch.equal(FloatIndex(6).add(scaled.double()).search(scaled, 1).ids, right[:, :1])
    assert FloatIndex(6).add((x * 100).to(torch.int32)).search(x, 1).ids.shape == (30, 1)
    assert FloatIndex(6).add(x.bfloat16()).search(x.half(), 1).ids[:, 0].tolist() == list(range(30))


def test_words_stay_with_the_vectors(tmp_path):
    x = drawn(4, 3)
    index = FloatIndex(3).add(x[:1], words=["a"]).add(x[1:], words=["b", "c", "é"])
    assert index.words == ["a", "b", "c", "é"]
    index.save(tmp_path / "index")
    assert FloatIndex.load(tmp_path / "index").words == index.words
    assert index.add(x).words is None


def test_refusals():
    x = drawn(3, 4)
    with pytest.raises(ValueError, match="metric must be one of cosine, inner_product, got 'l2'"):
        FloatIndex(4, "l2")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="dim must be at least 1, got 0"):
        FloatIndex(0)
    with pytest.raises(ValueError, match="FloatIndex: device must be cpu, cuda or cuda:N, got 'mps'"):
        FloatIndex(4, device="mps")
    index = FloatIndex(4).add(x)
    with pytest.raises(ValueError, match=r"vectors_ND must be real with rows of 4 values, got torch.float32 \(3, 3\)"):
        index.add(x[:, 1:])
    with pytest.raises(ValueError, match="vectors_ND holds values that are not finite"):
        index.add(x / 0)
    with pytest.raises(ValueError, match="2 words for 3 vectors"):
        index.add(x, words=["a", "b"])
    with pytest.raises(ValueError, match="ids must differ"):
        index.add(x, torch.tensor([2, 3, 4]))
    with pytest.raises(TypeError, match="ids must be whole numbers"):
        index.add(x, torch.tensor([7.0, 8.0, 9.0]))
    assert len(index) == 3
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"got k={k} and 3 vectors"):
            index.search(x, k)
    with pytest.raises(ValueError, match="got k=1 and 0 vectors"):
        FloatIndex(4).search(x, 1)
    with pytest.raises(ValueError, match="queries_QD must be real"):
        index.search(x[0], 1)
    with pytest.raises(TypeError, match="queries_QD must be a tensor, got ndarray"):
        index.search(x.numpy(), 1)  # pyright: ignore[reportArgumentType]
    assert index.search(x[:0], 2).ids.shape == (0, 2)
    large = torch.full((1, 4), 1e30)
    with pytest.raises(ValueError, match="inner products go beyond float32"):
        FloatIndex(4, "inner_product").add(large).search(large, 1)
    with pytest.raises(ValueError, match="values that are not finite in float32"):
        FloatIndex(4, "inner_product").add(large.double() * 1e10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vectors", torch.full((3, 4), torch.nan)),
        ("vectors", torch.full((3, 4), 0.7)),
        ("vectors", torch.ones(3, 4, dtype=torch.float64)),
        ("vectors", torch.ones(3)),
        ("vectors", torch.ones(3, 0)),
        ("ids", torch.tensor([1, 1, 2])),
        ("ids", torch.tensor([1.0, 2.0, 3.0])),
        ("ids", torch.arange(2)),
    ],
)
def test_a_forged_file_is_refused(tmp_path, name, value):
    FloatIndex(4).add(drawn(3, 4)).save(tmp_path / "index")
    tensors, metadata = read_tensor_file(tmp_path / "index", kind="binemb.float_index", version=1)
    write_tensor_file(
        tmp_path / "forged", {**tensors, name: value}, kind="binemb.float_index", version=1, metadata=metadata
    )
    with pytest.raises(FileFormatError, match="inconsistent index"):
        FloatIndex.load(tmp_path / "forged")
