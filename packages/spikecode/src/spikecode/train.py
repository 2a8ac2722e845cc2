"""Spike trains, held as packed bits or as a list of events, whichever is smaller.

Shapes: n tokens, D dimensions, N neurons, W neurons of a window, T bins, K words of a train, S spikes, R = n D rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from spikecode.kernels import count_spikes, list_spikes
from spikecode.kernels.reference import bits_of
from spikecode.memory import readable_size
from spikecode.spike_counts import SpikeCounts


@dataclass(frozen=True)
class SpikeTrain:
    """The spikes of n tokens.

    Packed bits: the W neurons from `first_nD` on that can fire, 64 bins a word, the first bin lowest. Events: for each
    spike the number neuron * T + bin, ordered within a token and dimension. Made by `SpikeCodec.encode`.

    Args:
        words_nDWK: packed bits, int64, (n, D, W, K); None in the layout "events".
        first_nD: first neuron of the window, int32, (n, D).
        window: W.
        neurons: N.
        steps: T.
        scheme: name of the coding scheme.
        dt: duration of a bin in ms.
        first_token: number of the first token in its corpus.
        codec_id: fingerprint of the codec that made it, see `CodecSettings.codec_id`; only that codec decodes it.
        clipped_n: values of each token outside the calibrated range, int64, (n,).
        events_S: events, int32 (int64 where N T is beyond 2^31), (S,); None in the layout "bits".
        offsets_R: where the events of each token and dimension begin, and the end, int64, (n D + 1,).
    """

    words_nDWK: Tensor | None
    first_nD: Tensor
    window: int
    neurons: int
    steps: int
    scheme: str
    dt: float
    first_token: int
    codec_id: str
    clipped_n: Tensor
    events_S: Tensor | None = None
    offsets_R: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, D, N, T)."""
        n, dim = self.first_nD.shape
        return n, dim, self.neurons, self.steps

    @property
    def layout(self) -> Literal["bits", "events"]:
        """How the spikes are held."""
        return "events" if self.words_nDWK is None else "bits"

    @property
    def clipped(self) -> int:
        """How many values lay outside the calibrated range and were encoded as its end."""
        return int(self.clipped_n.sum())

    @property
    def nbytes(self) -> int:
        """Bytes that the spikes take."""
        tensors = (self.words_nDWK, self.first_nD, self.events_S, self.offsets_R)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)

    @property
    def device(self) -> torch.device:
        """Where the spikes are."""
        return self.first_nD.device

    @property
    def spikes(self) -> int:
        """Number of spikes."""
        if self.words_nDWK is not None:
            return int(count_spikes(self.words_nDWK).sum(dtype=torch.int64))
        assert self.events_S is not None
        return len(self.events_S)

    @property
    def density(self) -> float:
        """Share of all n D N T bins that hold a spike; 0 of an empty train."""
        n, dim, neurons, steps = self.shape
        return self.spikes / max(1, n * dim * neurons * steps)

    def __len__(self) -> int:
        return len(self.first_nD)

    def __getitem__(self, rows: slice) -> SpikeTrain:
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise TypeError(f"SpikeTrain: take tokens with a slice of step 1, such as train[3:4], got {rows!r}")
        start, stop, _ = rows.indices(len(self))
        stop = max(start, stop)
        part = replace(
            self,
            first_nD=self.first_nD[start:stop],
            clipped_n=self.clipped_n[start:stop],
            first_token=self.first_token + start,
        )
        if self.words_nDWK is not None:
            return replace(part, words_nDWK=self.words_nDWK[start:stop])
        assert self.events_S is not None
        assert self.offsets_R is not None
        dim = self.first_nD.shape[1]
        offsets_R = self.offsets_R[start * dim : stop * dim + 1]
        events_S = self.events_S[int(offsets_R[0]) : int(offsets_R[-1])]
        return replace(part, events_S=events_S, offsets_R=offsets_R - offsets_R[0])

    def to(self, device: torch.device | str) -> SpikeTrain:
        """The same train on a device."""
        names = ("words_nDWK", "first_nD", "clipped_n", "events_S", "offsets_R")
        moved = {name: getattr(self, name).to(device) for name in names if getattr(self, name) is not None}
        return replace(self, **moved)

    def counts(self) -> Tensor:
        """Number of spikes of each neuron, int32, (n, D, N)."""
        return self.windowed_counts().dense()

    def windowed_counts(self) -> SpikeCounts:
        """Number of spikes of each neuron of the windows, whatever the scheme."""
        if self.words_nDWK is not None:
            values_nDW = count_spikes(self.words_nDWK)
        else:
            n, dim, _, _ = self.shape
            row_S, w_S, _ = self.within_windows()
            values_R = torch.bincount(row_S * self.window + w_S, minlength=n * dim * self.window)
            values_nDW = values_R.int().view(n, dim, self.window)
        return SpikeCounts(values_nDW, self.first_nD, self.neurons, self.scheme, self.codec_id, self.clipped_n)

    def within_windows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row (token and dimension), neuron of the row's window and bin of each spike, int64, (S,) each."""
        token_S, dimension_S, neuron_S, bin_S = self.to_events()
        row_S = token_S * self.first_nD.shape[1] + dimension_S
        return row_S, neuron_S - self.first_nD.reshape(-1)[row_S], bin_S

    def to_dense(self, *, time_first: bool = True, limit: int = 2**30) -> Tensor:
        """Unpack to one byte a bin.

        Args:
            time_first: give (T, n, D, N) as snnTorch and others step through it, else (n, D, N, T).
            limit: most bytes that the result may take.

        Returns:
            Spikes, uint8 of 0 and 1.

        Raises:
            MemoryError: the result would take more than `limit` bytes; nothing was allocated.
        """
        n, dim, neurons, steps = self.shape
        size = n * dim * neurons * steps
        if size > limit:
            raise MemoryError(
                f"SpikeTrain.to_dense: {n} x {dim} x {neurons} x {steps} bins take {readable_size(size)}, the limit is "
                f"{readable_size(limit)}; take fewer tokens, such as train[:1], or raise limit"
            )
        dense_nDNT = torch.zeros(n, dim, neurons, steps, dtype=torch.uint8, device=self.device)
        if self.words_nDWK is None:
            dense_nDNT[self.to_events()] = 1
        else:
            window = torch.arange(self.window, device=self.device)
            for token in range(n):
                neuron_DWT = (self.first_nD[token, :, None].long() + window)[..., None].expand(-1, -1, steps)
                dense_nDNT[token].scatter_(1, neuron_DWT, bits_of(self.words_nDWK[token], steps).to(torch.uint8))
        return dense_nDNT.permute(3, 0, 1, 2).contiguous() if time_first else dense_nDNT

    def to_events(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """List the spikes.

        Returns:
            Token (row of this train), dimension, neuron and bin of each spike, int64, (S,) each; ordered by token,
            dimension, neuron, bin.
        """
        events = self.as_events()
        assert events.events_S is not None
        assert events.offsets_R is not None
        lengths_R = events.offsets_R.diff()
        row_S = torch.repeat_interleave(torch.arange(len(lengths_R), device=self.device), lengths_R)
        event_S = events.events_S.long()
        dim = max(1, self.shape[1])
        return row_S // dim, row_S % dim, event_S // self.steps, event_S % self.steps

    def as_events(self) -> SpikeTrain:
        """The same train in the layout "events"."""
        if self.words_nDWK is None:
            return self
        wide = self.neurons * self.steps > 2**31 - 1
        words_RWK, first_R = self.words_nDWK.flatten(0, 1), self.first_nD.reshape(-1)
        lengths_R = count_spikes(self.words_nDWK).sum(-1, dtype=torch.int64).reshape(-1)
        offsets_R = torch.cat([lengths_R.new_zeros(1), lengths_R.cumsum(0)])
        events_S = list_spikes(words_RWK, first_R, offsets_R, self.steps, torch.int64 if wide else torch.int32)
        return replace(self, words_nDWK=None, events_S=events_S, offsets_R=offsets_R)

    def as_bits(self) -> SpikeTrain:
        """The same train in the layout "bits"."""
        if self.words_nDWK is not None:
            return self
        n, dim, _, steps = self.shape
        row_S, w_S, bin_S = self.within_windows()
        n_words = (steps + 63) // 64
        word_S = (row_S * self.window + w_S) * n_words + bin_S // 64
        words = torch.zeros(n * dim * self.window * n_words, dtype=torch.int64, device=self.device)
        words.index_add_(0, word_S, torch.ones_like(word_S) << bin_S % 64)  # no bit comes twice, so adding is setting
        return replace(self, words_nDWK=words.view(n, dim, self.window, n_words), events_S=None, offsets_R=None)

    def compact(self) -> SpikeTrain:
        """The same train in the layout that takes fewer bytes."""
        if self.words_nDWK is None:
            return self
        event_bytes = 8 if self.neurons * self.steps > 2**31 - 1 else 4
        as_events = self.spikes * event_bytes + 8 * (self.first_nD.numel() + 1)
        return self.as_events() if as_events < self.words_nDWK.nbytes else self

    @staticmethod
    def cat(parts: Sequence[SpikeTrain]) -> SpikeTrain:
        """Join the trains of consecutive tokens; see `spikecode.train_cat.join_trains`."""
        from spikecode.train_cat import join_trains

        return join_trains(parts)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with checksum, atomically.

        Raises:
            OSError: the file cannot be written; what was there before is still there.
        """
        from spikecode.train_file import write_train

        write_train(self, path)

    @staticmethod
    def load(path: str | Path) -> SpikeTrain:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            FileFormatError: truncated, changed, of another kind, or of a newer version.
        """
        from spikecode.train_file import read_train

        return read_train(path)
