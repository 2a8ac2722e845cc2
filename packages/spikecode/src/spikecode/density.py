"""How dense the spikes are, and the tuning width that makes them so.

Shapes: Z entries of a tuning table.
"""

from __future__ import annotations

import math
from dataclasses import replace

from spikecode.population import Population
from spikecode.schemes import resolve_scheme
from spikecode.schemes.scheme import Scheme

_NARROWEST, _WIDEST = 1e-5, 10.0


def expected_density(
    population: Population, steps: int, scheme: str | Scheme = "poisson", *, refractory: int = 0, pause: bool = False
) -> float:
    """Share of bins that hold a spike, for values far enough inside the lattice.

        density = floor + (rho - floor) sqrt(2 pi) sigma / (1 + 2 padding sigma)

    for the schemes poisson and rate without a pause; the mean over the tuning curve of the expected number of spikes
    for the others.

    Args:
        population: the neurons.
        steps: T.
        scheme: the coding scheme or its name.
        refractory: bins of the refractory period.
        pause: whether one bin of T is left silent to mark the position.

    Returns:
        The density, from 0 to 1.

    Raises:
        ValueError: the scheme is unknown.
    """
    scheme = resolve_scheme(scheme)
    spikes_Z = scheme.mean_spikes(population.probabilities(), steps - pause, refractory)
    tail = float(spikes_Z[-1])
    area = 2 * population.sigma * float((spikes_Z - tail)[:-1].sum() - (spikes_Z[0] - tail) / 2)
    area /= population.entries_per_sigma
    return (tail + area / population.range) / steps


def sigma_for_density(
    density: float,
    population: Population,
    steps: int,
    scheme: str | Scheme = "poisson",
    *,
    refractory: int = 0,
    pause: bool = False,
) -> float:
    """Find the tuning width that gives a density.

    Args:
        density: share of bins that shall hold a spike, above that of the background alone.
        population: the neurons; their sigma is not used.
        steps: T.
        scheme: the coding scheme or its name.
        refractory: bins of the refractory period.
        pause: whether one bin of T is left silent to mark the position.

    Returns:
        sigma, in units of the calibrated range.

    Raises:
        ValueError: no width gives this density; the message says which can be had.
    """
    scheme = resolve_scheme(scheme)

    def found(sigma: float) -> float:
        return expected_density(replace(population, sigma=sigma), steps, scheme, refractory=refractory, pause=pause)

    least, most = found(_NARROWEST), found(0.5)
    if not (math.isfinite(density) and least <= density <= most):
        raise ValueError(
            f"density must be between {least:.2g} and {most:.3g} for scheme {scheme.name} at "
            f"{population.max_rate:g} Hz and {steps} bins, got {density}; change max_rate, or give sigma"
        )
    low, high = _NARROWEST, 0.5
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < density else (low, middle)
    return (low + high) / 2
