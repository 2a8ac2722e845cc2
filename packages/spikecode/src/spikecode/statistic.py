"""The statistic that a coding scheme decodes from, read off a train.

Shapes: n tokens, D dimensions, N neurons, W neurons of a window, T bins, C cycles, M bins of a cycle, S spikes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikecode.kernels.reference import bits_of
from spikecode.position import check_train
from spikecode.schemes.phase import Phase
from spikecode.spike_counts import SpikeCounts

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec
    from spikecode.train import SpikeTrain


def train_statistic(codec: SpikeCodec, train: SpikeTrain) -> SpikeCounts:
    """The statistic of each neuron of a train; see `SpikeCodec.counts`."""
    check_train("decode", codec, train)
    if codec.coding.counts:
        return train.windowed_counts()
    period = codec.coding.period if isinstance(codec.coding, Phase) else codec.steps
    cycles = codec.steps // period
    if train.words_nDWK is None:
        return _from_events(train, period, cycles)
    values = [_from_bits(bits_of(words_DWK, codec.steps), period, cycles) for words_DWK in train.words_nDWK]
    values_nDW = torch.stack(values)
    return SpikeCounts(values_nDW, train.first_nD, train.neurons, train.scheme, train.codec_id, train.clipped_n)


def _from_bits(bits_DWT: Tensor, period: int, cycles: int) -> Tensor:
    """Bins of the cycle left from the first spike of each cycle on, summed, int32, (D, W)."""
    bits_DWCM = bits_DWT[..., : cycles * period].unflatten(-1, (cycles, period))
    left_M = (period - torch.arange(period, device=bits_DWT.device)).int()
    return (bits_DWCM * left_M).amax(-1).sum(-1, dtype=torch.int32)


def _from_events(train: SpikeTrain, period: int, cycles: int) -> SpikeCounts:
    n, dim, _, _ = train.shape
    row_S, w_S, bin_S = train.within_windows()
    inside_S = bin_S < cycles * period
    cell_S = ((row_S * train.window + w_S) * cycles + bin_S // period)[inside_S]
    left_S = (period - bin_S % period)[inside_S].int()
    left = torch.zeros(n * dim * train.window * cycles, dtype=torch.int32, device=train.device)
    left = left.scatter_reduce(0, cell_S, left_S, "amax").view(n, dim, train.window, cycles)
    statistic_nDW = left.sum(-1, dtype=torch.int32)
    return SpikeCounts(statistic_nDW, train.first_nD, train.neurons, train.scheme, train.codec_id, train.clipped_n)
