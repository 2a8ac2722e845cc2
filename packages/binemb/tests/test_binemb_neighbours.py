"""Neighbours against exhaustive search in torch."""

from __future__ import annotations

import pytest
import torch
from binemb import BinaryCodes, evaluate_neighbours, exact_neighbours, hamming
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize


def gaussian(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def assert_neighbours(similarity_QN: torch.Tensor, queries: torch.Tensor, found: torch.Tensor, k: int) -> None:
    """Never the query, no row twice, and similarities are the k largest of the others, best first."""
    similarity_QN = similarity_QN.double().scatter(1, queries[:, None], -torch.inf)
    assert found.shape == (len(queries), k)
    assert all(len(set(row)) == k for row in found.tolist())
    expected = similarity_QN.topk(k, dim=1).values
    torch.testing.assert_close(similarity_QN.gather(1, found), expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(
    n=st.integers(2, 50),
    copies=st.integers(1, 4),
    k=st.integers(1, 60),
    as_codes=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_topk_also_with_duplicates(n, copies, k, as_codes, seed):
    x = gaussian(n, 6, seed).repeat(copies, 1)
    k = min(k, len(x) - 1)
    queries = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:9]
    if as_codes:
        codes = BinaryCodes.from_signs(x)
        found, similarity = exact_neighbours(codes, queries, k), -hamming(codes[queries], codes)
    else:
        unit = normalize(x, dim=1)
        found, similarity = exact_neighbours(x, queries, k), unit[queries] @ unit.T
    assert_neighbours(similarity, queries, found, k)


def test_the_vectors_themselves_find_all_and_also_scaled():
    x = gaussian(300, 8)
    assert evaluate_neighbours(x, x) == 1.0
    assert evaluate_neighbours(x * torch.linspace(0.1, 10, 300)[:, None], x) == 1.0


def test_random_codes_find_by_chance():
    """Each of the k right ones is among k of the N - 1 others with probability k / (N - 1)."""
    x, codes = gaussian(1000, 8), BinaryCodes.from_signs(gaussian(1000, 64, seed=1))
    chance = 10 / 999
    deviation = (chance * (1 - chance) / 10_000) ** 0.5
    assert abs(evaluate_neighbours(codes, x, k=10) - chance) < 5 * deviation


def test_more_bits_of_random_hyperplanes_find_more():
    x = gaussian(500, 8)
    codes = BinaryCodes.from_signs(x @ gaussian(8, 1024, seed=1))
    recalls = [evaluate_neighbours(codes.truncate(bits), x, k=10) for bits in (8, 32, 128, 1024)]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.3
    assert recalls[-1] > 0.8


def test_recall_written_out_over_all_rows():
    x, codes = gaussian(60, 4), BinaryCodes.from_signs(gaussian(60, 32, seed=1))
    rows = torch.arange(60)
    right, found = exact_neighbours(x, rows, 7).tolist(), exact_neighbours(codes, rows, 7).tolist()
    expected = sum(len(set(a) & set(b)) / 7 for a, b in zip(right, found, strict=True)) / 60
    assert evaluate_neighbours(codes, x, k=7, queries=1000) == pytest.approx(expected)
    few = {evaluate_neighbours(codes, x, k=7, queries=5, seed=seed) for seed in range(10)}
    assert len(few) > 1
    assert evaluate_neighbours(codes, x, k=7, queries=5, seed=3) == evaluate_neighbours(
        codes, x, k=7, queries=5, seed=3
    )


def test_refusals():
    x = gaussian(5, 3)
    for k in (0, 5):
        with pytest.raises(ValueError, match=rf"k must lie in \[1, 4\], got {k}"):
            exact_neighbours(x, torch.tensor([0]), k)
    with pytest.raises(ValueError, match="4 rows for 5 vectors"):
        evaluate_neighbours(BinaryCodes.from_signs(x[:4]), x)
    with pytest.raises(ValueError, match="queries must be at least 1, got 0"):
        evaluate_neighbours(BinaryCodes.from_signs(x), x, k=1, queries=0)
    with pytest.raises(TypeError, match=r"expected a floating-point torch tensor, got torch\.uint8"):
        evaluate_neighbours(BinaryCodes.from_signs(x).packed, x, k=1)
