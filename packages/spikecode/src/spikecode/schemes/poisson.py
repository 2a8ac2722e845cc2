"""Bernoulli bins: the Poisson process of discrete time.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.scheme import Moments, Scheme


def check_refractory_rate(population: Population, refractory: int) -> None:
    """Refuse a rate that leaves no room for the refractory period.

    Raises:
        ValueError: max_rate is more than one spike every 1 + refractory bins.
    """
    if refractory and population.peak * (1 + refractory) > 1 + 1e-12:
        most = 1000 / (population.dt * (1 + refractory))
        raise ValueError(
            f"refractory period of {refractory * population.dt:g} ms allows at most {most:g} Hz at dt = "
            f"{population.dt:g} ms, max_rate is {population.max_rate:g} Hz; lower one of them"
        )


@dataclass(frozen=True)
class Poisson(Scheme):
    """Each bin holds a spike with probability p = rate * dt, independent of the others.

    With a refractory period of R bins the probability in a bin that is free is h = p / (1 - R p), which keeps the
    rate; the train starts in equilibrium. Statistic: the number of spikes n, with

        E n = T p,   var n = T p q (1 - (R + 1) p) + (1 - p^2) / 6 + (1 - h)^2 q^4 / 2 - (1 - h) (2 - h) q^3 / 3

    with q = 1 - R p; exact for R = 0, where n is sufficient and only the first term is left, and for T long against
    1 / p otherwise.

    References:
        Dayan, Abbott (2001), Theoretical Neuroscience, section 1.4.
        Cox (1962), Renewal theory, section 4.5: variance of the counts of an equilibrium renewal process.
            Departs from it by -p^2 / 6, as time is in whole bins here.
    """

    name = "poisson"
    kind = 0
    counts = True
    linear = True
    shiftable = True

    def check(self, population: Population, steps: int, refractory: int) -> None:  # noqa: ARG002 - one signature
        """See `Scheme.check`: the rate must leave room for the refractory period."""
        check_refractory_rate(population, refractory)

    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """The probability h of a spike in a free bin."""
        return (p_Z / (1 - refractory * p_Z)).clamp(max=1)

    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:
        """Of the number of spikes."""
        q_Z, h_Z = 1 - refractory * p_Z, self.drive(p_Z, steps, refractory)
        variance_Z = steps * p_Z * q_Z * (1 - (refractory + 1) * p_Z)
        if refractory:
            variance_Z = variance_Z + (1 - p_Z**2) / 6
            variance_Z = variance_Z + (1 - h_Z) ** 2 * q_Z**4 / 2 - (1 - h_Z) * (2 - h_Z) * q_Z**3 / 3
        return Moments(steps * p_Z, steps + 0 * p_Z, variance_Z)

    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:  # noqa: ARG002 - one signature
        """The refractory period in bins."""
        return refractory, 0, 0
