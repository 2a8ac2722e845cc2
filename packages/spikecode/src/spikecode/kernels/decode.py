"""The inner loops of the decoders: numba on the CPU, plain torch elsewhere.

Shapes: R rows (a token in a dimension), W neurons of a window, G values of a grid.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from spikecode.decoders.likelihood import Likelihood
from spikecode.kernels import _installed, reference_decode
from spikecode.kernels.lattice import Lattice


def _implementation(values_RW: Tensor) -> ModuleType:
    if values_RW.device.type == "cpu" and _installed("numba"):
        from spikecode.kernels import cpu_decode

        return cpu_decode
    return reference_decode


def centre_of_mass(values_RW: Tensor, first_R: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """Average the preferred values, weighted by the statistic, around where it is densest.

    Args:
        values_RW: the statistic, int32, (R, W).
        first_R: first neuron of each window, int32, (R,).
        lattice: preferred values.

    Returns:
        Means, 1/2 where nothing fired, float64, (R,), and the sum of the statistic that they rest on, int64, (R,).
    """
    return _implementation(values_RW).centre_of_mass(values_RW, first_R, lattice)


def fisher_scoring(
    values_RW: Tensor, first_R: Tensor, start_R: Tensor, likelihood: Likelihood, lattice: Lattice, iterations: int = 25
) -> tuple[Tensor, Tensor]:
    """Climb the likelihood: u <- u + score / information, at most one width a step and within [0, 1].

    Args:
        values_RW: the statistic, int32, (R, W).
        first_R: first neuron of each window, int32, (R,).
        start_R: where to start, float64, (R,).
        likelihood: tables.
        lattice: preferred values.
        iterations: steps at most; a row ends when a step is below 1/1000 of the standard error.

    Returns:
        Estimates, float64, (R,), and the information at them, float64, (R,).
    """
    return _implementation(values_RW).fisher_scoring(values_RW, first_R, start_R, likelihood, lattice, iterations)


def grid_likelihood(
    values_RW: Tensor, first_R: Tensor, grid_RG: Tensor, likelihood: Likelihood, lattice: Lattice
) -> Tensor:
    """Log likelihood at given values, up to a constant of the row.

    Args:
        values_RW: the statistic, int32, (R, W).
        first_R: first neuron of each window, int32, (R,).
        grid_RG: values in [0, 1], float64, (R, G).
        likelihood: tables.
        lattice: preferred values.

    Returns:
        Log likelihoods, float64, (R, G).
    """
    return _implementation(values_RW).grid_likelihood(values_RW, first_R, grid_RG, likelihood, lattice)
