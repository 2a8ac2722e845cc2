"""The search for signs: equal in numba and torch, never worse than it starts, at rest where no change helps."""

from __future__ import annotations

import itertools

import pytest
import torch
from binemb import kernels, sign_search
from binemb.kernels import reference
from binemb.sign_search import SignSearch
from hypothesis import given, settings
from hypothesis import strategies as st


def energy_of(dim: int, levels: tuple[int, ...], seed: int, *, pull: float = 0.3):
    """Decoders, weights, pulls and projection of a random energy."""
    generator = torch.Generator().manual_seed(seed)
    decoders = [torch.randn(level, dim, generator=generator, dtype=torch.float64) / level for level in levels]
    weights_K = torch.rand(len(levels), generator=generator, dtype=torch.float64) + 0.1
    pull_B = pull * torch.rand(levels[-1], generator=generator, dtype=torch.float64) / levels[-1]
    weight_BD = torch.randn(levels[-1], dim, generator=generator, dtype=torch.float64)
    bias_B = torch.randn(levels[-1], generator=generator, dtype=torch.float64)
    return decoders, weights_K, pull_B, weight_BD, bias_B


def energies(parts, y_ND: torch.Tensor, signs_NB: torch.Tensor) -> torch.Tensor:
    """E(s), written out."""
    decoders, weights_K, pull_B, weight_BD, bias_B = parts
    signs_NB = signs_NB.double()
    total = -2 * ((y_ND @ weight_BD.T + bias_B) * pull_B * signs_NB).sum(1)
    for decoder, weight in zip(decoders, weights_K, strict=True):
        total = total + weight * (y_ND - signs_NB[:, : len(decoder)] @ decoder).square().sum(1)
    return total


def vectors(n: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 90), st.integers(0, 4), st.integers(0, 2**31))
def test_numba_and_torch_find_the_same_signs(n, n_bits, passes, seed):
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(n_bits, 12, generator=generator, dtype=torch.float64)
    linear = torch.randn(n, n_bits, generator=generator, dtype=torch.float64)
    target = torch.randn(n, 12, generator=generator, dtype=torch.float64)
    gram = factor @ factor.T
    for dtype in (torch.float32, torch.float64):
        given = linear.to(dtype), gram.to(dtype), passes
        assert torch.equal(kernels.descend_gram(*given), reference.descend_gram(*given))
    first = torch.zeros(n_bits, dtype=torch.int64)
    found = kernels.descend_factors(linear, target, factor, first, passes)
    assert torch.equal(found, reference.descend_factors(linear, target, factor, first, passes))


@pytest.mark.parametrize("levels", [(8,), (8, 24, 40)])
def test_no_single_change_lowers_the_energy(levels):
    parts, y = energy_of(6, levels, 3), vectors(50, 6, 3)
    signs = SignSearch.of(*parts)(y)
    least = energies(parts, y, signs)
    for j in range(levels[-1]):
        changed = signs.clone()
        changed[:, j] *= -1
        assert (energies(parts, y, changed) >= least - 1e-5).all()  # float32


def test_the_energy_is_close_to_the_least_there_is():
    """Against all 2^12 codes: within a few percent of what the signs of the projection leave to gain."""
    parts, y = energy_of(5, (4, 12), 0), vectors(40, 5, 0)
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12)), dtype=torch.float64)
    least = torch.stack([energies(parts, y, code.expand(len(y), -1)) for code in every]).amin(0)
    found = energies(parts, y, SignSearch.of(*parts)(y))
    plain = energies(parts, y, torch.where(y @ parts[3].T + parts[4] >= 0, 1.0, -1.0))
    assert (found >= least - 1e-9).all()
    assert float((found - least).mean()) < 0.2 * float((plain - least).mean())


def test_factors_find_what_the_gram_matrix_finds(monkeypatch):
    parts, y = energy_of(7, (16, 40, 64), 5), vectors(60, 7, 5)
    by_gram = SignSearch.of(*parts)
    monkeypatch.setattr(sign_search, "GRAM_BITS", 8)
    by_factors = SignSearch.of(*parts)
    assert by_gram.factor_BR is None
    assert by_factors.gram_BB is None
    assert float((by_gram(y) != by_factors(y)).float().mean()) < 1e-3  # float32 and float64


def test_without_weights_the_signs_of_the_activations_win():
    decoders, weights_K, _, weight_BD, bias_B = energy_of(6, (8, 16), 1)
    y = vectors(30, 6, 1)
    signs = SignSearch.of(decoders, 0 * weights_K, torch.ones(16), weight_BD, bias_B)(y)
    assert torch.equal(signs, torch.where(y @ weight_BD.T + bias_B >= 0, 1, -1).to(torch.int8))


@pytest.mark.parametrize("gram_bits", [2048, 8])
def test_signs_do_not_depend_on_batch_or_threads(monkeypatch, gram_bits):
    monkeypatch.setattr(sign_search, "GRAM_BITS", gram_bits)
    parts, y = energy_of(9, (16, 48), 2), vectors(101, 9, 2)
    search = SignSearch.of(*parts)
    whole = search(y)
    assert torch.equal(torch.cat([search(part) for part in y.split(7)]), whole)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(search(y), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_finds_the_same_signs():
    parts, y = energy_of(9, (16, 48), 2), vectors(101, 9, 2)
    on_gpu = SignSearch.of([d.cuda() for d in parts[0]], *(part.cuda() for part in parts[1:]))
    assert float((on_gpu(y.cuda()).cpu() != SignSearch.of(*parts)(y)).float().mean()) < 1e-3
