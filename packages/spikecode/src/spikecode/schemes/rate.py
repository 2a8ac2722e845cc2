"""Evenly spaced spikes.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.poisson import check_refractory_rate
from spikecode.schemes.scheme import Moments, Scheme, sixth


@dataclass(frozen=True)
class Rate(Scheme):
    """An integrator without noise: spikes at even distances 1 / p, from a phase that is random by key.

        spike in bin t   iff   floor(phase + (t + 1) p) > floor(phase + t p),   phase uniform in [0, 1)

    Statistic: the number of spikes, floor or ceiling of T p with mean T p. Its error does not grow with T, so that of
    the decoded value falls as 1 / T.

    References:
        Eliasmith, Anderson (2003), Neural Engineering, chapter 4: regular firing beats Poisson firing.
    """

    name = "rate"
    kind = 1
    counts = True
    linear = True
    shiftable = True

    def check(self, population: Population, steps: int, refractory: int) -> None:  # noqa: ARG002 - one signature
        """See `Scheme.check`: even distances of 1 / p must reach over the refractory period."""
        check_refractory_rate(population, refractory)

    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """The advance of the integrator in a bin, p."""
        return p_Z

    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:  # noqa: ARG002 - one signature
        """Of the number of spikes."""
        mean_Z = steps * p_Z
        return Moments(mean_Z, steps + 0 * p_Z, sixth(mean_Z, steps))

    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:  # noqa: ARG002 - one signature
        """None are needed."""
        return 0, 0, 0
