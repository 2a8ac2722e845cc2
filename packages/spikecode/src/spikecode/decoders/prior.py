"""The distribution of each dimension of the data.

Shapes: n tokens, D dimensions, H bins of a histogram.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_BINS = 64


@dataclass(frozen=True)
class Prior:
    """A density on [0, 1] for each dimension: a histogram, smoothed, interpolated between the centres of its bins.

    Args:
        density_DH: density at the centres of H equal bins, float64, (D, H), > 0.

    Raises:
        ValueError: the densities are not positive and finite.
    """

    density_DH: Tensor

    def __post_init__(self) -> None:
        if self.density_DH.ndim != 2 or self.density_DH.shape[1] < 2:
            raise ValueError(f"Prior: needs a matrix (dimensions, 2 or more bins), got {tuple(self.density_DH.shape)}")
        if not bool((self.density_DH.isfinite() & (self.density_DH > 0)).all()):
            raise ValueError("Prior: densities must be a matrix (dimensions, bins) of positive numbers")

    @classmethod
    def fit(cls, u_nD: Tensor) -> Prior:
        """Count the data into 64 bins, add one half to each and smooth over neighbours (1, 2, 1) / 4.

        Args:
            u_nD: values in [0, 1], float64, (n, D).
        """
        dim = u_nD.shape[1]
        bin_nD = (u_nD * _BINS).long().clamp(max=_BINS - 1)
        flat = bin_nD + _BINS * torch.arange(dim, device=u_nD.device)
        counts_DH = torch.bincount(flat.reshape(-1), minlength=dim * _BINS).view(dim, _BINS) + 0.5
        padded_DH = torch.nn.functional.pad(counts_DH[None], (1, 1), mode="replicate")[0]
        smooth_DH = (padded_DH[:, :-2] + 2 * padded_DH[:, 1:-1] + padded_DH[:, 2:]) / 4
        return cls((smooth_DH / smooth_DH.mean(1, keepdim=True)).double())

    def at(self, u_nDG: Tensor) -> Tensor:
        """The density at values in [0, 1], float64, (n, D, G)."""
        n_bins = self.density_DH.shape[1]
        place_nDG = (u_nDG * n_bins - 0.5).clamp(0, n_bins - 1)
        low_nDG = place_nDG.long().clamp(max=n_bins - 2)
        share_nDG = place_nDG - low_nDG
        table_nDH = self.density_DH.expand(len(u_nDG), -1, -1)
        below_nDG, above_nDG = table_nDH.gather(2, low_nDG), table_nDH.gather(2, low_nDG + 1)
        return below_nDG + share_nDG * (above_nDG - below_nDG)

    def mean_D(self) -> Tensor:
        """Mean of each dimension, float64, (D,)."""
        n_bins = self.density_DH.shape[1]
        centre_H = (torch.arange(n_bins, device=self.density_DH.device) + 0.5) / n_bins
        return (self.density_DH * centre_H).mean(1)

    def to(self, device: torch.device | str) -> Prior:
        """The same on a device."""
        return Prior(self.density_DH.to(device))
