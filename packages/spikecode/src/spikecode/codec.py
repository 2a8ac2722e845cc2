"""The codec: vectors to spike trains, and spike trains to vectors.

Shapes: n tokens, D dimensions, N neurons of a dimension, W neurons of a window, T bins, K words, R = n D rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from spikecode.calibration import check_vectors
from spikecode.codec_settings import MOST_TOKENS, CodecSettings
from spikecode.decoders.prior import Prior
from spikecode.encoding import make_counts, make_train
from spikecode.fisher import tabulated_bound
from spikecode.schemes.scheme import Scheme
from spikecode.spike_counts import SpikeCounts
from spikecode.train import SpikeTrain

Method = Literal["ml", "bayes", "centre_of_mass", "linear"]


@dataclass(frozen=True)
class SpikeCodec(CodecSettings):
    """Population code of vectors, with its decoders. Made by `SpikeCodec.fit` or `SpikeCodec.load`.

    Its parts are those of `spikecode.codec_settings.CodecSettings`.
    """

    @classmethod
    def fit(
        cls,
        x_nD: Tensor,
        *,
        neurons: int = 2500,
        steps: int = 100,
        max_rate: float = 1000.0,
        density: float | None = None,
        sigma: float | None = None,
        scheme: str | Scheme = "poisson",
        background: float = 0.0,
        dt: float = 1.0,
        refractory: float = 0.0,
        padding: float = 4.0,
        position_period: int | None = None,
        seed: int = 0,
    ) -> SpikeCodec:
        """Take the range of each dimension from data and set up the neurons.

        Args:
            x_nD: vectors, floating point, (n, D). The codec works on their device.
            neurons: N, neurons of a dimension.
            steps: T, bins of a train.
            max_rate: rate at the preferred value in Hz, at most 1000 / dt.
            density: share of bins that hold a spike, 0.05 by default; sets the tuning width. Not together with sigma.
            sigma: tuning width in units of the calibrated range.
            scheme: "poisson", "rate", "latency", "phase", "burst", or one of these with other parameters.
            background: rate far from the preferred value in Hz.
            dt: duration of a bin in ms.
            refractory: time after a spike in which the neuron is silent, in ms; rounded to whole bins.
            padding: margin of the lattice beyond the range, in tuning widths.
            position_period: P: trains carry the token's number modulo P, see `decode_positions`.
            seed: of all randomness, a whole number.

        Returns:
            The codec.

        Raises:
            TypeError, ValueError: x is no finite matrix with rows, or a value is out of range.
        """
        from spikecode.codec_fit import fit_codec

        return fit_codec(
            cls,
            x_nD,
            neurons=neurons,
            steps=steps,
            max_rate=max_rate,
            density=density,
            sigma=sigma,
            scheme=scheme,
            background=background,
            dt=dt,
            refractory=refractory,
            padding=padding,
            position_period=position_period,
            seed=seed,
        )

    def encode(self, x_nD: Tensor, *, first_token: int = 0) -> SpikeTrain:
        """Make the spikes of vectors.

        A token's spikes depend on its vector, its number and the seed alone: not on what is encoded beside it, the
        device or the number of threads.

        Args:
            x_nD: vectors, floating point, (n, D). Values outside the calibrated range are encoded as its end, and
                counted in the train.
            first_token: number of row 0 in the corpus, >= 0: keys the randomness and sets the position.

        Returns:
            The train, on the codec's device.

        Raises:
            TypeError, ValueError: x is no finite matrix with rows of the codec's width, or first_token is negative.
            MemoryError: the train would not fit in memory; nothing was allocated.
        """
        u_nD, clipped_n = self._unit("encode", x_nD, first_token)
        return make_train(self, u_nD, clipped_n, first_token)

    def encode_counts(self, x_nD: Tensor, *, first_token: int = 0) -> SpikeCounts:
        """Make what the decoders need of the spikes, without the spikes: exactly what the trains of `encode` have.

        Args:
            x_nD: vectors, as for `encode`.
            first_token: number of row 0 in the corpus.

        Returns:
            The scheme's statistic of each neuron.

        Raises:
            TypeError, ValueError, MemoryError: as for `encode`.
        """
        u_nD, clipped_n = self._unit("encode_counts", x_nD, first_token)
        return make_counts(self, u_nD, clipped_n, first_token)

    def encode_stream(
        self, x: Tensor | Iterable[Tensor], *, memory: int = 64 * 2**20, first_token: int = 0
    ) -> Iterator[SpikeTrain]:
        """Make the spikes of a corpus in blocks that fit in memory; see `spikecode.stream.stream_trains`.

        Args:
            x: vectors, (n, D), or an iterable of blocks (n_i, D).
            memory: bytes that a block and its making may take.
            first_token: number of the first vector in the corpus.

        Returns:
            Trains of consecutive tokens, the same as those of `encode`, bit for bit.

        Raises:
            TypeError, ValueError: as for `encode`; the number of a bad row counts from the start of its block.
            MemoryError: one token alone is beyond `memory`.
        """
        from spikecode.stream import stream_trains

        return stream_trains(self, x, memory=memory, first_token=first_token)

    def counts(self, train: SpikeTrain) -> SpikeCounts:
        """The scheme's statistic of a train: what `encode_counts` gives without the train.

        Raises:
            ValueError: the train is not of this codec.
        """
        from spikecode.statistic import train_statistic

        return train_statistic(self, train)

    def decode(
        self,
        train: SpikeTrain,
        method: Method = "ml",
        *,
        dead: float = 1e-3,
        background: float | None = None,
        lost: float | None = None,
    ) -> Tensor:
        """Find the vectors of a train.

        Args:
            train: of this codec.
            method: "ml" (maximum likelihood), "bayes" (posterior mean under the data's own prior), "centre_of_mass"
                or "linear" (least squares).
            dead: share of silent neurons that "ml" and "bayes" reckon with.
            background: rate in Hz of stray spikes that they reckon with.
            lost: share of the spikes that they reckon to be lost, as jitter loses those that meet in one bin. None with
                scheme poisson looks at each token: 0.2 where the strongest neurons of most dimensions miss spikes, else
                0.001, which costs about 1%; with other schemes None is 0.

        Returns:
            Vectors, float32, (n, D).

        Raises:
            ValueError: the train is not of this codec; the method is unknown, not fitted, or not valid for the scheme.
        """
        return self.decode_counts(self.counts(train), method, dead=dead, background=background, lost=lost)

    def decode_counts(
        self,
        counts: SpikeCounts,
        method: Method = "ml",
        *,
        dead: float = 1e-3,
        background: float | None = None,
        lost: float | None = None,
    ) -> Tensor:
        """Find the vectors from the statistic of `encode_counts`; arguments, result and errors as for `decode`."""
        from spikecode.decoders.decode import decode_unit

        return self.calibration.from_unit(
            decode_unit(self, counts, method, dead=dead, background=background, lost=lost)
        )

    def bound(self, x_nD: Tensor) -> Tensor:
        """The least standard deviation that an unbiased decoder can have, at given vectors.

        The Cramer-Rao bound for the scheme poisson; for the others what mean and variance of the statistic allow.

        Args:
            x_nD: vectors, (n, D).

        Returns:
            Standard deviations in the units of x, float64, (n, D).

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        u_nD, _ = self._unit("bound", x_nD, 0)
        bound_nD = tabulated_bound(u_nD, self.population, self.active_steps, self.coding, refractory=self.refractory)
        return torch.where(self.calibration.width_D > 0, bound_nD * self.calibration.width_D, 0)

    def fit_prior(self, x_nD: Tensor) -> SpikeCodec:
        """Give this codec with the distribution of each dimension of the data, which "bayes" needs.

        Args:
            x_nD: vectors, (n, D), n >= 1.

        Returns:
            A codec that decodes with method="bayes".

        Raises:
            TypeError, ValueError: as for `encode`.
        """
        return replace(self, prior=Prior.fit(self._unit("fit_prior", x_nD, 0)[0]))

    def fit_linear(self, x_nD: Tensor) -> SpikeCodec:
        """Give this codec with least-squares weights of the neurons, which "linear" needs.

        Args:
            x_nD: vectors, (n, D), n >= 1, whose distribution the weights are optimal for.

        Returns:
            A codec that decodes with method="linear".

        Raises:
            TypeError, ValueError: as for `encode`; the scheme's statistic is not linear in the rate.
        """
        from spikecode.decoders.linear import linear_weights

        return replace(self, weights_N=linear_weights(self, self._unit("fit_linear", x_nD, 0)[0]))

    def decode_positions(self, train: SpikeTrain) -> Tensor:
        """Find the tokens' numbers modulo `position_period` from the spikes alone; see `spikecode.position`.

        Args:
            train: of this codec.

        Returns:
            Positions, int64, (n,).

        Raises:
            ValueError: the codec has no positions, or the train is not of this codec.
        """
        from spikecode.position import find_positions

        return find_positions(self, train)

    def to(self, device: torch.device | str) -> SpikeCodec:
        """The same codec, to encode and decode on a device."""
        return replace(
            self,
            calibration=self.calibration.to(device),
            prior=None if self.prior is None else self.prior.to(device),
            weights_N=None if self.weights_N is None else self.weights_N.to(device),
        )

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        from spikecode.codec_file import write_codec

        write_codec(self, path)

    @staticmethod
    def load(path: str | Path) -> SpikeCodec:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, of another kind, or of a newer version.
        """
        from spikecode.codec_file import read_codec

        return read_codec(path)

    def _unit(self, caller: str, x_nD: Tensor, first_token: int) -> tuple[Tensor, Tensor]:
        x_nD = check_vectors(caller, x_nD, self.dim)
        if not isinstance(first_token, int) or not 0 <= first_token <= MOST_TOKENS - len(x_nD):
            raise ValueError(
                f"{caller}: first_token must be a whole number >= 0 with all tokens below 2^62, got {first_token!r}"
            )
        return self.calibration.to_unit(x_nD.to(self.calibration.low_D.device))
