"""What a codec is made of, and what follows from that.

Shapes: D dimensions, N neurons of a dimension, T bins.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

import torch
from torch import Tensor

from spikecode.calibration import Calibration
from spikecode.decoders.prior import Prior
from spikecode.density import expected_density
from spikecode.population import Population
from spikecode.position import shifts
from spikecode.schemes.scheme import Scheme

MOST_STEPS = 1 << 18
MOST_TOKENS = 1 << 62


@dataclass(frozen=True)
class CodecSettings:
    """The parts of a codec.

    Args:
        calibration: range of each dimension.
        population: the neurons of a dimension.
        steps: T, bins of a train, 1 to 2^18.
        coding: the coding scheme.
        refractory: bins after a spike in which the neuron is silent.
        position_period: positions that the trains can tell apart, or None for trains without position.
        seed: of all randomness.
        prior: distribution of the data, for the decoder "bayes"; see `fit_prior`.
        weights_N: the decoder "linear", float64, (N + 1,), the constant last; see `fit_linear`.

    Raises:
        ValueError: the parts do not fit together.
    """

    calibration: Calibration
    population: Population
    steps: int
    coding: Scheme
    refractory: int = 0
    position_period: int | None = None
    seed: int = 0
    prior: Prior | None = None
    weights_N: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(f"steps must be a whole number from 1 to {MOST_STEPS:,}, got {self.steps!r}")
        if not isinstance(self.seed, int) or not -(2**63) <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number of 64 bits, got {self.seed!r}")
        if not isinstance(self.refractory, int) or not 0 <= self.refractory <= MOST_STEPS:
            raise ValueError(f"refractory must be 0 to {MOST_STEPS:,} whole bins, got {self.refractory!r}")
        if self.position_period is not None:
            if not self.coding.shiftable:
                raise ValueError(
                    f"position_period: scheme {self.coding.name} has silent bins of its own that hide the pause which "
                    "marks the position; use scheme 'poisson' or 'rate'"
                )
            shifts(torch.zeros(1, dtype=torch.int64), self.position_period, self.steps, self.dim)
        self.coding.check(self.population, self.active_steps, self.refractory)

    @cached_property
    def codec_id(self) -> str:
        """Fingerprint of all that decoding depends on: calibration, neurons, bins, scheme, position; not the seed."""
        facts = {
            "population": asdict(self.population),
            "scheme": self.coding.facts(),
            "steps": self.steps,
            "refractory": self.refractory,
            "position_period": self.position_period,
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for bound_D in (self.calibration.low_D, self.calibration.high_D):
            digest.update(bound_D.double().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def dim(self) -> int:
        """Number of dimensions D."""
        return self.calibration.dim

    @property
    def neurons(self) -> int:
        """Neurons of a dimension, N."""
        return self.population.neurons

    @property
    def max_rate(self) -> float:
        """Rate at the preferred value in Hz."""
        return self.population.max_rate

    @property
    def sigma(self) -> float:
        """Tuning width in units of the calibrated range."""
        return self.population.sigma

    @property
    def background(self) -> float:
        """Rate far from the preferred value in Hz."""
        return self.population.background

    @property
    def dt(self) -> float:
        """Duration of a bin in ms."""
        return self.population.dt

    @property
    def scheme(self) -> str:
        """Name of the coding scheme."""
        return self.coding.name

    @property
    def active_steps(self) -> int:
        """Bins that the scheme fills: T, less the pause that marks the position."""
        return self.steps - (self.position_period is not None)

    @property
    def expected_density(self) -> float:
        """Share of bins that hold a spike, expected for values inside the lattice."""
        pause = self.position_period is not None
        return expected_density(self.population, self.steps, self.coding, refractory=self.refractory, pause=pause)

    @property
    def bytes_per_token(self) -> int:
        """Bytes that the packed bits of a token take."""
        return self.dim * (8 * self.population.window * ((self.steps + 63) // 64) + 4)
