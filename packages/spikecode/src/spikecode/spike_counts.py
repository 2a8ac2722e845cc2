"""What the decoders need of a spike train: one number a neuron.

Shapes: n tokens, D dimensions, N neurons, W neurons of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpikeCounts:
    """The statistic of each neuron within a window, 0 outside it.

    The number of spikes for the schemes poisson, rate and burst; for latency the bins left after the spike; for phase
    the sum of the bins left in the cycle after each spike.

    Args:
        values_nDW: the statistic, int32, (n, D, W).
        first_nD: first neuron of the window, int32, (n, D).
        neurons: N.
        scheme: name of the coding scheme.
        codec_id: fingerprint of the codec that made it; only that codec decodes it.
        clipped_n: values of each token that lay outside the calibrated range, int64, (n,).
    """

    values_nDW: Tensor
    first_nD: Tensor
    neurons: int
    scheme: str
    codec_id: str
    clipped_n: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, D, N)."""
        n, dim, _ = self.values_nDW.shape
        return n, dim, self.neurons

    @property
    def clipped(self) -> int:
        """How many values lay outside the calibrated range."""
        return int(self.clipped_n.sum())

    @property
    def nbytes(self) -> int:
        """Bytes of the statistic and the windows."""
        return self.values_nDW.nbytes + self.first_nD.nbytes

    def __len__(self) -> int:
        return len(self.values_nDW)

    def __getitem__(self, rows: slice) -> SpikeCounts:
        if not isinstance(rows, slice):
            raise TypeError(f"SpikeCounts: take tokens with a slice, such as counts[3:4], got {rows!r}")
        return replace(
            self, values_nDW=self.values_nDW[rows], first_nD=self.first_nD[rows], clipped_n=self.clipped_n[rows]
        )

    def to(self, device: torch.device | str) -> SpikeCounts:
        """The same on a device."""
        return replace(
            self,
            values_nDW=self.values_nDW.to(device),
            first_nD=self.first_nD.to(device),
            clipped_n=self.clipped_n.to(device),
        )

    def dense(self) -> Tensor:
        """The statistic of all neurons, int32, (n, D, N)."""
        n, dim, neurons = self.shape
        dense_nDN = self.values_nDW.new_zeros(n, dim, neurons)
        window = torch.arange(self.values_nDW.shape[2], device=self.values_nDW.device)
        return dense_nDN.scatter_(2, self.first_nD[..., None].long() + window, self.values_nDW)

    @staticmethod
    def cat(parts: Sequence[SpikeCounts]) -> SpikeCounts:
        """Join the counts of consecutive tokens of one codec.

        Raises:
            ValueError: there are none, or they are of different populations or schemes.
        """
        kinds = {(p.neurons, p.scheme, p.codec_id, *p.values_nDW.shape[1:]) for p in parts}
        if len(kinds) != 1:
            raise ValueError(f"SpikeCounts.cat: needs parts of one codec, got {len(kinds)} kinds")
        return replace(
            parts[0],
            values_nDW=torch.cat([p.values_nDW for p in parts]),
            first_nD=torch.cat([p.first_nD for p in parts]),
            clipped_n=torch.cat([p.clipped_n for p in parts]),
        )
