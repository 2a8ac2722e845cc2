"""The limit of decoding: Fisher information of a population and the Cramer-Rao bound.

Shapes: N neurons, Z entries of a tuning table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spikecode.population import Population
from spikecode.schemes import resolve_scheme
from spikecode.schemes.scheme import Scheme

_AT_ONCE = 1 << 22


def polylogarithm(order: float, z: float) -> float:
    """Li_s(z) = sum_{k >= 1} z^k / k^s for 0 <= z <= 1.

    Args:
        order: s, > 1.
        z: argument, from 0 to 1.

    Returns:
        The sum, to a relative error below 1e-9.

    Raises:
        ValueError: order or z is out of range.

    References:
        Wood (1992), The computation of polylogarithms, section 9: the series in powers of ln z near z = 1.
    """
    if not (order > 1 and 0 <= z <= 1):
        raise ValueError(f"polylogarithm: needs order > 1 and 0 <= z <= 1, got order {order} and z {z}")
    if z <= 0.5:
        return math.fsum(z**k / k**order for k in range(1, 60))
    # (1 / Gamma(s)) integral of t^(s-1) / (e^t / z - 1) with t = x^2, which has no singularity at z = 1 for s > 1.
    from scipy.integrate import quad

    def integrand(x: float) -> float:
        return 2 * x ** (2 * order - 1) / (math.expm1(x * x - math.log(z)) or math.inf)

    return quad(integrand, 0, 1, epsabs=1e-13)[0] / math.gamma(order) + (
        quad(integrand, 1, 12, epsabs=1e-13)[0] / math.gamma(order)
    )


def closed_form_information(population: Population, steps: int) -> float:
    """Fisher information about an interior value from Bernoulli bins without background.

        J = T eta sqrt(2 pi) Li_{3/2}(rho) / sigma,   eta = N / range,   rho = max_rate dt / 1000

    It follows from J = T eta integral p'^2 / (p (1 - p)) du with p = rho exp(-z^2 / 2), z = u / sigma:
    p'^2 / (p (1 - p)) = (z / sigma)^2 sum_{k >= 1} p^k, and integral z^2 exp(-k z^2 / 2) dz = sqrt(2 pi) k^(-3/2).

    Args:
        population: neurons without background.
        steps: T.

    Returns:
        J, in units of the calibrated range to the power -2.

    Raises:
        ValueError: the population has a background.
    """
    if population.background:
        raise ValueError("closed_form_information: holds without background; use fisher_information")
    eta = population.neurons / population.range
    return steps * eta * math.sqrt(2 * math.pi) * polylogarithm(1.5, population.peak) / population.sigma


def information_table(population: Population, scheme: Scheme, steps: int, refractory: int) -> Tensor:
    """Information of one neuron by the distance of the value from its preferred value, float64, (Z,).

        J_k = mean'^2 / variance;   Bernoulli bins: T p'^2 / (p (1 - p)), and 2 T / sigma^2 in the limit p -> 1, z -> 0

    The limit: p = exp(-z^2 / 2) gives p'^2 / (p (1 - p)) = (z / sigma)^2 p / (1 - p) -> (z / sigma)^2 / (z^2 / 2).
    """
    p_Z, z_Z = population.probabilities(), population.distances()
    moments = scheme.moments(p_Z, steps, refractory)
    slope_of_p_Z = -z_Z * (p_Z - population.floor)
    slope_Z = moments.slope_Z * slope_of_p_Z
    slope_Z[-1] = 0
    table_Z = torch.where(moments.variance_Z > 0, slope_Z**2 / moments.variance_Z.clamp(min=1e-300), 0)
    if scheme.name == "poisson" and not refractory and population.peak > 1 - 1e-9:
        table_Z[0] = table_Z[1]  # 0 / 0 in the tables; the function is even and flat there
    return table_Z / population.sigma**2


def fisher_information(
    u: Tensor, population: Population, steps: int, scheme: str | Scheme = "poisson", *, refractory: int = 0
) -> Tensor:
    """Fisher information about values, summed over the neurons: edges, background and few neurons included.

        J(u) = sum_k mean_k'(u)^2 / variance_k(u)

    The Fisher information for Bernoulli bins, and that of the quasi-likelihood (mean and variance) for other schemes.

    Args:
        u: values in the calibrated range, floating point, any shape.
        population: the neurons.
        steps: bins that the scheme fills.
        scheme: the coding scheme or its name.
        refractory: bins of the refractory period.

    Returns:
        J, float64, shape of u.

    Raises:
        ValueError: the scheme is unknown.

    References:
        Dayan, Abbott (2001), Theoretical Neuroscience, section 3.3.
    """
    table_Z = information_table(population, resolve_scheme(scheme), steps, refractory).to(u.device)
    values_R = u.double().reshape(-1)
    reach = float(population.distances()[-1]) * population.sigma
    width = min(population.neurons, 2 * math.ceil(reach / population.spacing) + 2)
    offset_W = torch.arange(width, device=u.device)
    found = []
    for part_R in values_R.split(max(1, _AT_ONCE // width)):
        first_R = ((part_R - reach - population.first) / population.spacing).floor().long()
        first_R = first_R.clamp(0, population.neurons - width)
        centre_RW = population.first + population.spacing * (first_R[:, None] + offset_W)
        entry_RW = ((part_R[:, None] - centre_RW).abs() / population.sigma * population.entries_per_sigma + 0.5).long()
        found.append(table_Z[entry_RW.clamp(max=len(table_Z) - 1)].sum(1))
    return torch.cat(found).view(u.shape) if found else u.double()


def fisher_bound(
    u: Tensor, population: Population, steps: int, scheme: str | Scheme = "poisson", *, refractory: int = 0
) -> Tensor:
    """Least standard deviation of an unbiased estimate of u: 1 / sqrt(J), the Cramer-Rao bound.

    Args:
        u: values in the calibrated range, floating point, any shape.
        population: the neurons.
        steps: bins that the scheme fills.
        scheme: the coding scheme or its name.
        refractory: bins of the refractory period.

    Returns:
        Standard deviations in units of the calibrated range, float64, shape of u; infinite where nothing is known.

    Raises:
        ValueError: the scheme is unknown.
    """
    return fisher_information(u, population, steps, scheme, refractory=refractory) ** -0.5


def tabulated_bound(u: Tensor, population: Population, steps: int, scheme: Scheme, *, refractory: int = 0) -> Tensor:
    """Give `fisher_bound` of many values in [0, 1] from a table: 32 entries a neuron and 64 a width, interpolated.

    Args:
        u: values in the calibrated range, within [0, 1], float64, any shape.
        population: the neurons.
        steps: bins that the scheme fills.
        scheme: the coding scheme.
        refractory: bins of the refractory period.

    Returns:
        Standard deviations in units of the calibrated range, float64, shape of u.
    """
    n = max(1024, 32 * population.neurons, math.ceil(64 / population.sigma))
    if u.numel() <= n:
        return fisher_bound(u, population, steps, scheme, refractory=refractory)
    grid_G = torch.arange(n + 1, dtype=torch.float64, device=u.device) / n
    table_G = fisher_bound(grid_G, population, steps, scheme, refractory=refractory)
    place = u * n
    below = place.long().clamp(0, n - 1)
    return torch.lerp(table_G[below], table_G[below + 1], place - below)
