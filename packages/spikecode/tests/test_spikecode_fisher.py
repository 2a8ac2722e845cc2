"""The limit: information in closed form and as a sum, and the width for a density."""

import math

import pytest
import scipy.special
import spikecode as sc
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


def test_polylogarithm_is_the_series_and_the_zeta_function() -> None:
    assert sc.polylogarithm(1.5, 1.0) == pytest.approx(scipy.special.zeta(1.5), rel=1e-9)
    for z in (0.0, 0.1, 0.5, 0.50001, 0.9):
        assert sc.polylogarithm(1.5, z) == pytest.approx(math.fsum(z**k / k**1.5 for k in range(1, 500)), rel=1e-9)
    with pytest.raises(ValueError, match="order"):
        sc.polylogarithm(1.0, 0.5)


@settings(deadline=None)
@given(rho=st.floats(0.01, 1.0), sigma=st.floats(0.01, 0.1), u=st.floats(0.3, 0.7))
def test_sum_over_neurons_is_the_closed_form(rho: float, sigma: float, u: float) -> None:
    """Inside a dense lattice, the limit p -> 1 included, where a single neuron is up to 0.8% of the sum."""
    population = sc.Population(4000, sigma, max_rate=1000 * rho)
    found = float(sc.fisher_information(torch.tensor(u), population, 100))
    assert found == pytest.approx(sc.closed_form_information(population, 100), rel=1e-2)


def test_bound_falls_with_neurons_steps_and_narrower_tuning() -> None:
    u = torch.tensor(0.5)

    def bound(neurons: int, steps: int, sigma: float) -> float:
        return float(sc.fisher_bound(u, sc.Population(neurons, sigma, padding=0.0), steps))

    base = bound(1000, 100, 0.05)
    assert bound(4000, 100, 0.05) / base == pytest.approx(0.5, rel=0.01)
    assert bound(1000, 400, 0.05) / base == pytest.approx(0.5, rel=1e-9)
    assert bound(1000, 100, 0.1) / base == pytest.approx(2**0.5, rel=0.01)


def test_information_from_finite_differences() -> None:
    """J = -E d2 log L / du2 of the Bernoulli likelihood, with a background and at an edge."""
    population = sc.Population(60, 0.08, max_rate=600.0, background=20.0, padding=1.0)
    for u in (0.0, 0.37, 1.0):
        at = torch.tensor(u, dtype=torch.float64)
        p0 = population.rates(at) / 1000

        def expected_log_likelihood(du: float, at: torch.Tensor = at, p0: torch.Tensor = p0) -> float:
            p = population.rates(at + du) / 1000
            return float((p0 * p.log() + (1 - p0) * (1 - p).log()).sum())

        h = 1e-4
        curvature = expected_log_likelihood(h) - 2 * expected_log_likelihood(0.0) + expected_log_likelihood(-h)
        assert float(sc.fisher_information(at, population, 1)) == pytest.approx(-curvature / h**2, rel=2e-3)


@pytest.mark.parametrize("scheme", ["poisson", "rate"])
@pytest.mark.parametrize(("density", "rate"), [(0.05, 1000.0), (0.02, 200.0), (0.1, 500.0), (0.001, 1000.0)])
def test_asked_density_is_the_measured_one(scheme: str, density: float, rate: float) -> None:
    """Within 0.2 points, and within 2% of itself."""
    x = torch.rand(60, 20, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=500, max_rate=rate, density=density, scheme=scheme)
    found = codec.encode(x).density
    assert abs(found - density) < 0.002
    assert found == pytest.approx(density, rel=0.02)
    assert codec.expected_density == pytest.approx(density, rel=1e-6)


def test_densities_in_closed_form() -> None:
    population = sc.Population(500, 0.03, max_rate=400.0, background=3.0)
    closed = 0.003 + 0.397 * math.sqrt(2 * math.pi) * 0.03 / (1 + 8 * 0.03)
    assert sc.expected_density(population, 100) == pytest.approx(closed, rel=1e-5)
    assert sc.sigma_for_density(closed, population, 100) == pytest.approx(0.03, rel=1e-4)


@pytest.mark.parametrize("scheme", ["latency", "phase", "burst"])
def test_density_of_timed_schemes(scheme: str) -> None:
    x = torch.rand(60, 20, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=500, density=0.004, scheme=scheme)
    assert codec.encode(x).density == pytest.approx(0.004, rel=0.03)


def test_bounds_of_many_values_are_those_of_each() -> None:
    x = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0))
    for neurons in (15, 60):
        codec = sc.SpikeCodec.fit(x, neurons=neurons, density=0.03)
        one_by_one = torch.cat([codec.bound(x[i : i + 100]) for i in range(0, 2000, 100)])
        torch.testing.assert_close(codec.bound(x), one_by_one, rtol=5e-3, atol=0)


def test_impossible_densities_are_refused_with_those_that_can_be_had() -> None:
    with pytest.raises(ValueError, match=r"density must be between .* got 0\.9"):
        sc.SpikeCodec.fit(torch.rand(5, 2), density=0.9)
