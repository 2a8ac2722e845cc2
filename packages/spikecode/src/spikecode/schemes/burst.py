"""Bursts whose length carries the drive.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.scheme import Moments, Scheme, sixth


@dataclass(frozen=True)
class Burst(Scheme):
    """A burst every 2 B g bins, of up to B spikes g bins apart; the number of spikes carries the drive.

        spikes of burst c = floor(B p + U_c),   U_c uniform in [0, 1) by key

    The second half of each interval is a pause, and bins after the last whole interval are silent. Statistic: the
    number of spikes, with mean C B p for C = floor(T / (2 B g)) bursts. The error falls as 1 / (B sqrt(C)).

    Args:
        spikes: B, the most spikes of a burst, 1 to 64.
        gap: g, bins from one spike of a burst to the next, 1 to 64; 2 bins of 1 ms are 500 Hz within a burst.

    Raises:
        ValueError: spikes or gap is out of range.

    References:
        Kepecs, Lisman (2003), Network 14(1): burst length as a code.
        Park, Kim, Choe, Yoon (2019), Fast and efficient information transmission with burst spikes, DAC.
    """

    spikes: int = 5
    gap: int = 2

    name = "burst"
    kind = 4
    counts = True
    linear = True
    shiftable = False

    def __post_init__(self) -> None:
        for name in ("spikes", "gap"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 64:
                raise ValueError(f"scheme burst: {name} must be a whole number from 1 to 64, got {value!r}")

    @property
    def period(self) -> int:
        """Bins from the start of one burst to that of the next."""
        return 2 * self.spikes * self.gap

    def check(self, population: Population, steps: int, refractory: int) -> None:  # noqa: ARG002 - one signature
        """See `Scheme.check`: an interval must fit in T, and the gap reach over the refractory period."""
        if steps < self.period:
            raise ValueError(
                f"scheme burst: {self.spikes} spikes {self.gap} bins apart and a pause take {self.period} bins, there "
                f"are {steps}; lower spikes or gap"
            )
        if self.gap <= refractory:
            raise ValueError(
                f"scheme burst: spikes follow after {self.gap} bins, the refractory period is {refractory} bins; "
                "raise gap"
            )

    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """Spikes of a burst, before rounding."""
        return self.spikes * p_Z

    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:  # noqa: ARG002 - one signature
        """Of the number of spikes."""
        bursts = steps // self.period
        variance_Z = bursts * sixth(self.spikes * p_Z, self.spikes)
        return Moments(bursts * self.spikes * p_Z, bursts * self.spikes + 0 * p_Z, variance_Z)

    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:  # noqa: ARG002 - one signature
        """The gap, whole intervals, and the bins of one."""
        return self.gap, steps // self.period, self.period
