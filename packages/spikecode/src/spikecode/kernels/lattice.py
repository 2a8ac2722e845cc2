"""The lattice of preferred values, as the decoding kernels take it."""

from __future__ import annotations

from dataclasses import dataclass

from spikecode.population import Population


@dataclass(frozen=True)
class Lattice:
    """Preferred values c_k = origin + spacing * k.

    Args:
        origin: preferred value of neuron 0.
        spacing: distance of neighbours.
        sigma: width of a tuning curve.
        entries: entries of a tuning table, a width.
        box: neurons in 3 widths, over which spikes are summed to find where they are densest.
        reach: neurons in 4 widths; spikes farther from there are not averaged.
        neurons: N.
    """

    origin: float
    spacing: float
    sigma: float
    entries: int
    box: int
    reach: int
    neurons: int

    @classmethod
    def of(cls, population: Population) -> Lattice:
        """The lattice of a population."""
        width = population.sigma / population.spacing
        return cls(
            population.first,
            population.spacing,
            population.sigma,
            population.entries_per_sigma,
            max(1, min(population.neurons, round(3 * width))),
            max(1, round(4 * width)),
            population.neurons,
        )
