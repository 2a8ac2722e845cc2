"""Phase of firing in an oscillation.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.scheme import Moments, Scheme, sixth


@dataclass(frozen=True)
class Phase(Scheme):
    """One spike a cycle of an oscillation, the earlier in the cycle the stronger the drive.

        bin in the cycle = floor(M (1 - p) + U_c),   U_c uniform in [0, 1) by key;   none in this cycle where that is M

    with M = `period` bins and floor(T / M) whole cycles; bins after the last whole cycle are silent. Statistic: the
    sum over the cycles of M minus the bin, 0 where there was none, with mean (T // M) M p. The error falls as
    1 / (M sqrt(T / M)).

    Args:
        period: M, bins of a cycle, 2 to 4096; 25 bins of 1 ms are a gamma oscillation of 40 Hz.

    Raises:
        ValueError: period is out of range.

    References:
        Hopfield (1995), Nature 376: spike timing relative to an oscillation.
        Montemurro et al. (2008), Current Biology 18(5): phase of firing in visual cortex.
    """

    period: int = 25

    name = "phase"
    kind = 3
    counts = False
    linear = True
    shiftable = False

    def __post_init__(self) -> None:
        if not isinstance(self.period, int) or not 2 <= self.period <= 4096:
            raise ValueError(f"scheme phase: period must be a whole number of bins from 2 to 4096, got {self.period!r}")

    def check(self, population: Population, steps: int, refractory: int) -> None:  # noqa: ARG002 - one signature
        """See `Scheme.check`: a cycle must fit in T, and spikes of neighbouring cycles be far enough apart."""
        if steps < self.period:
            raise ValueError(f"scheme phase: a cycle has {self.period} bins, there are {steps}; lower period")
        if self.period - 2 < refractory:
            raise ValueError(
                f"scheme phase: spikes may follow after {self.period - 1} bins, the refractory period is {refractory} "
                "bins; raise period"
            )

    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """The bin in the cycle, before rounding."""
        return self.period * (1 - p_Z)

    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:  # noqa: ARG002 - one signature
        """Of the summed advance."""
        cycles = steps // self.period
        variance_Z = cycles * sixth(self.period * p_Z, self.period)
        return Moments(cycles * self.period * p_Z, cycles * self.period + 0 * p_Z, variance_Z)

    def mean_spikes(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """One a cycle, where the drive is enough."""
        return steps // self.period * (self.period * p_Z).clamp(max=1)

    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:  # noqa: ARG002 - one signature
        """Whole cycles, and the bins of one."""
        return 0, steps // self.period, self.period
