import pytest
import sdquant as sd
import torch


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("dim", "out"), [(300, 64), (300, 320), (50, 200), (1, 1), (64, 1000)])
def test_is_its_matrix(dim: int, out: int) -> None:
    projection = sd.FastJL(dim, out, seed=3)
    x = normal(7, dim)
    assert projection.matrix().shape == (out, dim)
    torch.testing.assert_close(projection(x), x @ projection.matrix().double().T, rtol=1e-5, atol=1e-5)


def test_whole_draws_keep_norms_exactly() -> None:
    x = normal(5, 300)
    torch.testing.assert_close(sd.FastJL(300, 960, seed=0)(x).norm(dim=1), x.norm(dim=1))


@pytest.mark.parametrize(("dim", "out"), [(300, 64), (50, 32), (50, 100)])
def test_inner_products_are_unbiased_with_the_spread_of_a_random_projection(dim: int, out: int) -> None:
    """Over seeds the mean is the inner product, and the spread at most that of a dense Gaussian projection."""
    x = normal(2, dim)
    x[1] = (x[0] + x[1]) / 2
    x = x / x.norm(dim=1, keepdim=True)
    projected = [sd.FastJL(dim, out, seed=seed)(x) for seed in range(400)]
    for a, b in ((0, 0), (0, 1)):
        found = torch.stack([p[a] @ p[b] for p in projected])
        true = float(x[a] @ x[b])
        gaussian_spread = ((1 + true**2) / out) ** 0.5
        assert float(found.mean()) == pytest.approx(true, abs=4 * gaussian_spread / 400**0.5)
        assert float(found.std()) < 1.15 * gaussian_spread


def test_spikes_are_spread() -> None:
    """The worst case of row sampling, one nonzero entry, keeps its norm as well as any vector does."""
    spikes = torch.eye(300, dtype=torch.float64)
    norms = sd.FastJL(300, 160, seed=1)(spikes).norm(dim=1)
    assert float(norms.std()) < 0.1
    assert float(norms.mean()) == pytest.approx(1, abs=0.02)


def test_seed_decides_and_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (sd.FastJL(50, 40, seed=seed).matrix() for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_is_differentiable() -> None:
    projection = sd.FastJL(10, 70, seed=0)
    assert torch.autograd.gradcheck(projection, (normal(2, 10).requires_grad_(),))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="out=0"):
        sd.FastJL(3, 0, seed=0)
    with pytest.raises(ValueError, match=r"expected input \(\.\.\., 3\), got \(2, 4\)"):
        sd.FastJL(3, 8, seed=0)(torch.zeros(2, 4))
