import itertools

import numpy as np
import pytest
import sdquant as sd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sdquant.additive import (
    AdditiveCodebooks,
    additive_decode,
    additive_encode,
    fit_codebooks,
    least_squares_entries,
    round_codebooks,
    search_tables,
)
from sdquant.kernels import additive


def random_codebooks(n_codebooks: int, n_symbols: int, dim: int, seed: int = 0) -> AdditiveCodebooks:
    generator = torch.Generator().manual_seed(seed)
    return round_codebooks(torch.randn(n_codebooks, n_symbols, dim, generator=generator))


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def squared_error(x_ND: torch.Tensor, codes_NM: torch.Tensor, codebooks: AdditiveCodebooks) -> torch.Tensor:
    return (x_ND.double() - additive_decode(codes_NM, codebooks).double()).square().sum(1)


@settings(max_examples=25, deadline=None)
@given(
    n_codebooks=st.integers(1, 7),
    bits=st.integers(1, 6),
    dim=st.integers(1, 11),
    n_rows=st.integers(0, 20),
    restarts=st.integers(0, 5),
    seed=st.integers(0, 10**6),
)
def test_kernel_equals_reference(n_codebooks: int, bits: int, dim: int, n_rows: int, restarts: int, seed: int) -> None:
    tables = search_tables(random_codebooks(n_codebooks, 2**bits, dim, seed), restarts)
    x_ND = 2 * gaussian(n_rows, dim, seed=seed + 1)
    start_NM = torch.zeros(n_rows, n_codebooks, dtype=torch.uint8)
    found = additive.search(x_ND, tables, start_NM)
    assert torch.equal(found, additive.search_reference(x_ND, tables, start_NM))
    assert not bool(start_NM.any())


def test_a_row_is_coded_alike_alone_and_among_others() -> None:
    codebooks = random_codebooks(6, 16, 10)
    x_ND = gaussian(300, 10, seed=1)
    together = additive_encode(x_ND, codebooks, restarts=8)
    assert torch.equal(together, torch.cat([additive_encode(row, codebooks, restarts=8) for row in x_ND.split(1)]))


def test_no_single_symbol_can_be_bettered() -> None:
    codebooks = random_codebooks(5, 8, 12)
    x_ND = gaussian(100, 12, seed=1)
    codes_NM = additive_encode(x_ND, codebooks, restarts=3)
    found_N = squared_error(x_ND, codes_NM, codebooks)
    for m, symbol in itertools.product(range(5), range(8)):
        other_NM = codes_NM.clone()
        other_NM[:, m] = symbol
        assert bool((squared_error(x_ND, other_NM, codebooks) >= found_N - 1e-4).all())


def test_restarts_come_to_the_best_of_all_codes() -> None:
    """Ten one-bit symbols against all 1,024 codes."""
    codebooks = random_codebooks(10, 2, 6)
    x_ND = 3 * gaussian(200, 6, seed=1)
    every_CM = torch.tensor(list(itertools.product((0, 1), repeat=10)), dtype=torch.uint8)
    best_N = torch.cdist(x_ND.double(), additive_decode(every_CM, codebooks).double()).square().amin(1)
    share = {
        restarts: float(
            (squared_error(x_ND, additive_encode(x_ND, codebooks, restarts=restarts), codebooks) <= best_N + 1e-4)
            .double()
            .mean()
        )
        for restarts in (0, 64)
    }
    assert share[64] > 0.98 > share[0]


def test_entries_are_least_squares() -> None:
    codes_NM = torch.randint(4, (500, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    x_ND = gaussian(500, 7)
    entries_MKD = least_squares_entries(x_ND, codes_NM, 4)
    chosen = np.zeros((500, 12))
    for m in range(3):
        chosen[np.arange(500), 4 * m + codes_NM[:, m].numpy()] = 1
    best, *_ = np.linalg.lstsq(chosen, x_ND.double().numpy(), rcond=None)
    ours = ((chosen @ entries_MKD.flatten(0, 1).numpy() - x_ND.numpy()) ** 2).sum()
    theirs = ((chosen @ best - x_ND.numpy()) ** 2).sum()
    assert theirs <= ours * (1 + 1e-9) <= theirs * (1 + 1e-5)


def test_beats_signs_and_keeps_to_the_rate_distortion_bound() -> None:
    """At one bit a dimension of white Gaussian vectors: D(1) = 1/4, the best scalar quantizer 1 - 2/pi = .363."""
    x_ND = gaussian(12_000, 16)
    codebooks, codes_NM = fit_codebooks(x_ND, 4, 16, rounds=15)
    error = float(squared_error(x_ND, codes_NM, codebooks).mean()) / 16
    assert 0.25 < error < 0.33


def test_fit_does_not_depend_on_threads() -> None:
    x_ND = gaussian(3_000, 8)
    threads = torch.get_num_threads()
    try:
        results = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            results.append(fit_codebooks(x_ND, 3, 16, rounds=4, seed=7))
    finally:
        torch.set_num_threads(threads)
    (one, codes_one), (two, codes_two) = results
    assert torch.equal(codes_one, codes_two)
    assert torch.equal(one.level_MKD, two.level_MKD)


def test_few_rows_and_constant_rows_fit() -> None:
    for x_ND in (torch.zeros(5, 3), torch.ones(1, 3), gaussian(3, 3)):
        codebooks, codes_NM = fit_codebooks(x_ND, 2, 16, rounds=3)
        assert codes_NM.shape == (len(x_ND), 2)
        assert bool(torch.isfinite(codebooks.entries()).all())


def test_bad_codebooks_are_named() -> None:
    good = random_codebooks(2, 4, 3)
    with pytest.raises(ValueError, match="power of two"):
        AdditiveCodebooks(good.level_MKD[:, :3], good.scale_M)
    with pytest.raises(ValueError, match=r"-31\.\.31"):
        AdditiveCodebooks(torch.full((2, 4, 3), 32, dtype=torch.int8), good.scale_M)
    with pytest.raises(ValueError, match="scales"):
        AdditiveCodebooks(good.level_MKD, good.scale_M[:1])
    with pytest.raises(ValueError, match="finite"):
        AdditiveCodebooks(good.level_MKD, torch.tensor([1.0, float("nan")]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_symbols_of_the_cpu() -> None:
    codebooks = random_codebooks(6, 16, 10)
    x_ND = gaussian(300, 10, seed=1)
    on_gpu = additive_encode(x_ND.cuda(), codebooks.to("cuda"), restarts=8).cpu()
    same = (on_gpu == additive_encode(x_ND, codebooks, restarts=8)).all(1)
    assert float(same.double().mean()) > 0.99  # products of entries may be summed in another order there


def test_kernels_in_use_are_named() -> None:
    assert sd.kernels.in_use("cpu")["additive_search"] == "numba"
    assert sd.kernels.in_use("cuda")["additive_search"] == "torch reference"
