"""Neurons with Gaussian tuning curves on a regular lattice, the same for every dimension.

Shapes: n tokens, D dimensions, N neurons of a dimension, W neurons of a window, Z entries of a tuning table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

REACH = 5.0  # widths of a tuning curve beyond which it is taken as zero: exp(-12.5) = 4e-6
_ENTRIES = 4096  # of a tuning table, a width
_FRACTION_BITS = 20  # of positions on the lattice, below one entry


@dataclass(frozen=True)
class Population:
    """N neurons with preferred values on a lattice that covers [0, 1] and a margin beyond both ends.

        rate_k(u) = background + (max_rate - background) * exp(-(u - c_k)^2 / (2 sigma^2))     [Hz]
        c_k = -padding * sigma + (k + 1/2) * spacing,   spacing = (1 + 2 padding sigma) / N,   k = 0..N-1

    Positions on the lattice are whole numbers (a width is 2^12 entries of a table of 2^20 parts each), so every device
    finds the same entry.

    Args:
        neurons: N, 1 to 2^20.
        sigma: width of a tuning curve, in units of the calibrated range, > 0.
        max_rate: rate at the preferred value in Hz, > background.
        background: rate far from the preferred value in Hz, >= 0.
        dt: duration of a bin in ms, > 0, with max_rate * dt <= 1000.
        padding: margin of the lattice beyond [0, 1] in widths, >= 0.

    Raises:
        ValueError: a value is out of range.

    References:
        Seung, Sompolinsky (1993), PNAS 90(22): population codes and their Fisher information.
        Dayan, Abbott (2001), Theoretical Neuroscience, section 3.3.
    """

    neurons: int
    sigma: float
    max_rate: float = 1000.0
    background: float = 0.0
    dt: float = 1.0
    padding: float = 4.0

    def __post_init__(self) -> None:
        if not isinstance(self.neurons, int) or not 1 <= self.neurons <= 1 << 20:
            raise ValueError(f"neurons must be a whole number from 1 to {1 << 20:,}, got {self.neurons!r}")
        if not (math.isfinite(self.sigma) and 1e-5 <= self.sigma <= 10):
            raise ValueError(f"sigma must be between 1e-5 and 10 of the calibrated range, got {self.sigma}")
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt must be a positive number of ms, got {self.dt}")
        if not (self.max_rate > 0 and self.max_rate * self.dt <= 1000):
            raise ValueError(
                f"max_rate must be positive and at most one spike a bin, {1000 / self.dt:g} Hz at dt = {self.dt:g} ms, "
                f"got {self.max_rate} Hz"
            )
        if not 0 <= self.background < self.max_rate:
            raise ValueError(f"background must be from 0 Hz to below max_rate, got {self.background} Hz")
        if not 0 <= self.padding <= 100:
            raise ValueError(f"padding must be from 0 to 100 widths, got {self.padding}")

    @property
    def peak(self) -> float:
        """rho: probability of a spike in a bin at the preferred value."""
        return self.max_rate * self.dt / 1000

    @property
    def floor(self) -> float:
        """Probability of a spike in a bin far from the preferred value."""
        return self.background * self.dt / 1000

    @property
    def range(self) -> float:
        """Length of the lattice in units of the calibrated range."""
        return 1 + 2 * self.padding * self.sigma

    @property
    def spacing(self) -> float:
        """Distance of neighbouring preferred values."""
        return self.range / self.neurons

    @property
    def first(self) -> float:
        """Preferred value of neuron 0."""
        return -self.padding * self.sigma + self.spacing / 2

    @property
    def window(self) -> int:
        """W: neurons of a dimension that can fire for one value; all of them where there is a background."""
        if self.background > 0:
            return self.neurons
        return min(self.neurons, 2 * self._reach_parts // self.spacing_parts + 2)

    @property
    def spacing_parts(self) -> int:
        """The spacing in parts of a table's entry."""
        return max(1, round(self.spacing / self.sigma * _ENTRIES * 2**_FRACTION_BITS))

    @property
    def fraction_bits(self) -> int:
        """Parts of an entry are 2^fraction_bits."""
        return _FRACTION_BITS

    @property
    def entries_per_sigma(self) -> int:
        """Entries of a tuning table, a width."""
        return _ENTRIES

    @property
    def _reach_parts(self) -> int:
        return round(REACH * _ENTRIES * 2**_FRACTION_BITS)

    def centres(self) -> Tensor:
        """Preferred values, float64, (N,)."""
        return self.first + self.spacing * torch.arange(self.neurons, dtype=torch.float64)

    def distances(self) -> Tensor:
        """Distances |u - c| / sigma of the tuning tables, float64, (Z,); the last stands for all beyond."""
        return torch.arange(round(REACH * _ENTRIES) + 1, dtype=torch.float64) / _ENTRIES

    def probabilities(self) -> Tensor:
        """Probability of a spike in a bin at each of `distances`, float64, (Z,)."""
        p_Z = self.floor + (self.peak - self.floor) * torch.exp(-(self.distances() ** 2) / 2)
        p_Z[-1] = self.floor
        return p_Z

    def rates(self, u: Tensor) -> Tensor:
        """Tuning curves in Hz.

        Args:
            u: values in the calibrated range, floating point, any shape (...).

        Returns:
            Rate of each neuron in Hz, float64, (..., N).
        """
        distance = (u.double().unsqueeze(-1) - self.centres().to(u.device)) / self.sigma
        return self.background + (self.max_rate - self.background) * torch.exp(-(distance**2) / 2)

    def place(self, u_nD: Tensor) -> tuple[Tensor, Tensor]:
        """Find values on the lattice.

        Args:
            u_nD: values in [0, 1], float64, (n, D).

        Returns:
            Distance from neuron 0 in parts, int64, (n, D), and the first neuron of the window, int32, (n, D).
        """
        scale = _ENTRIES * 2**_FRACTION_BITS / self.sigma
        place_nD = torch.round((u_nD - self.first) * scale).long()
        start_nD = torch.div(place_nD - self._reach_parts, self.spacing_parts, rounding_mode="floor") + 1
        return place_nD, start_nD.clamp(0, self.neurons - self.window).int()
