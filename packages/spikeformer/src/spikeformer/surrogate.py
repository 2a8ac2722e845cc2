"""Surrogate derivatives of the step function H(u), u = membrane - threshold.

A spike is H(u), whose derivative is zero almost everywhere; backward uses a bell around u = 0 in its place. Both bells
here fall as 1 / u^2, never to zero: a neuron that never fires still learns from every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FastSigmoid:
    """The derivative of u / (1 + k |u|): H'(u) := 1 / (1 + k |u|)^2.

    Args:
        slope: k, > 0; the bell is 1 high and about 1 / k wide.

    Raises:
        ValueError: slope is not positive and finite.

    References:
        Zenke, Ganguli (2018), SuperSpike, Neural Computation 30(6), section 2.2, doi:10.1162/neco_a_01086;
        `snntorch.surrogate.fast_sigmoid`.
    """

    slope: float = 25.0

    def __post_init__(self) -> None:
        _check_positive("FastSigmoid", "slope", self.slope)

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Whether it is an arctan (0 or 1), height and rate: height / (rate |u| + 1)^2."""
        return 0.0, 1.0, float(self.slope)


@dataclass(frozen=True)
class Arctan:
    """The derivative of arctan(pi alpha u / 2) / pi: H'(u) := (alpha / 2) / (1 + (pi alpha u / 2)^2).

    Args:
        alpha: > 0; the bell is alpha / 2 high and about 2 / alpha wide.

    Raises:
        ValueError: alpha is not positive and finite.

    References:
        Fang et al. (2021), Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural
        Networks, arXiv:2007.05785, section 4.4; `snntorch.surrogate.atan`.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check_positive("Arctan", "alpha", self.alpha)

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Whether it is an arctan (0 or 1), height and rate: height / ((rate u)^2 + 1)."""
        return 1.0, self.alpha / 2, math.pi / 2 * self.alpha


Surrogate = FastSigmoid | Arctan
SURROGATES = (FastSigmoid, Arctan)  # for isinstance: torch 2.9 does not compile one with a union


def _check_positive(kind: str, name: str, value: float) -> None:
    if not (isinstance(value, int | float) and 0 < value < math.inf):
        raise ValueError(f"{kind}: {name} must be a positive finite number, got {value!r}")
