"""Time to the first spike.

Shapes: Z entries of a tuning table, T bins.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.scheme import Moments, Scheme, sixth


@dataclass(frozen=True)
class Latency(Scheme):
    """One spike a neuron, the sooner the stronger its drive: when an integrator of p first reaches threshold.

        t = floor(1 / p - 1 + U),   U uniform in [0, 1) by key;   silent where t >= T

    Statistic: T - t, and 0 of a silent neuron, so that its mean is T + 1 - 1 / p where that is positive. The error
    falls about as 1 / T.

    References:
        Thorpe (1990), Spike arrival times, in: Parallel processing in neural systems.
        Gollisch, Meister (2008), Science 319(5866): relative spike latencies.
    """

    name = "latency"
    kind = 2
    counts = False
    linear = False
    shiftable = False

    def check(self, population: Population, steps: int, refractory: int) -> None:
        """See `Scheme.check`: one spike must come in time, and there is no second that could be too soon."""
        if population.peak * steps < 1:
            raise ValueError(
                f"scheme latency: the soonest spike comes after {1 / population.peak:g} bins, there are {steps}; "
                "raise max_rate or steps"
            )
        if refractory:
            raise ValueError("scheme latency: a neuron fires once, so no refractory period applies; leave it at 0")

    def drive(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:  # noqa: ARG002 - one signature
        """The latency in bins, T at most."""
        return (1 / p_Z.clamp(min=1e-12) - 1).clamp(0, steps)

    def moments(self, p_Z: Tensor, steps: int, refractory: int) -> Moments:
        """Of T minus the latency."""
        mean_Z = steps - self.drive(p_Z, steps, refractory)
        slope_Z = p_Z.clamp(min=1e-12) ** -2 * (mean_Z > 0)
        return Moments(mean_Z, slope_Z, sixth(mean_Z, steps))

    def mean_spikes(self, p_Z: Tensor, steps: int, refractory: int) -> Tensor:
        """One where the latency is within T."""
        return self.moments(p_Z, steps, refractory).mean_Z.clamp(max=1)

    def parameters(self, steps: int, refractory: int) -> tuple[int, int, int]:  # noqa: ARG002 - one signature
        """None are needed."""
        return 0, 0, 0
