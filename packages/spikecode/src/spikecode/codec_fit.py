"""Setting up a codec: the range of the data, and the tuning width for a density.

Shapes: n tokens, D dimensions.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from spikecode.calibration import Calibration
from spikecode.density import sigma_for_density
from spikecode.population import Population
from spikecode.schemes import resolve_scheme
from spikecode.schemes.scheme import Scheme

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec

_DENSITY = 0.05


def fit_codec(
    cls: type[SpikeCodec],
    x_nD: Tensor,
    *,
    neurons: int,
    steps: int,
    max_rate: float,
    density: float | None,
    sigma: float | None,
    scheme: str | Scheme,
    background: float,
    dt: float,
    refractory: float,
    padding: float,
    position_period: int | None,
    seed: int,
) -> SpikeCodec:
    """Make a codec for data; see `SpikeCodec.fit`."""
    if density is not None and sigma is not None:
        raise ValueError("SpikeCodec.fit: density and sigma both set the tuning width; give one of them")
    if not (math.isfinite(refractory) and refractory >= 0):
        raise ValueError(f"refractory must be a time of 0 ms or more, got {refractory}")
    calibration, coding = Calibration.fit(x_nD), resolve_scheme(scheme)
    # Any width serves to check the other values before the one for the density is sought.
    population = Population(neurons, 0.02 if sigma is None else sigma, max_rate, background, dt, padding)
    bins = round(refractory / dt)
    codec = cls(calibration, population, steps, coding, bins, position_period, seed)
    if sigma is not None:
        return codec
    found = sigma_for_density(
        _DENSITY if density is None else density,
        population,
        steps,
        coding,
        refractory=bins,
        pause=position_period is not None,
    )
    return replace(codec, population=replace(population, sigma=found))
