"""Making spikes from values: what the codec hands to the kernels.

Shapes: n tokens, D dimensions, W neurons of a window, R = n D rows, K words of a train.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikecode import kernels
from spikecode.kernels.plan import Plan, Rows
from spikecode.memory import refuse_beyond_memory
from spikecode.position import shifts
from spikecode.random_streams import stream_keys
from spikecode.spike_counts import SpikeCounts
from spikecode.train import SpikeTrain

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec


def make_train(codec: SpikeCodec, u_nD: Tensor, clipped_n: Tensor, first_token: int) -> SpikeTrain:
    """The train of values in [0, 1]; see `SpikeCodec.encode`."""
    what, n_bytes = f"a train of {len(u_nD)} tokens", len(u_nD) * codec.bytes_per_token
    refuse_beyond_memory("encode", n_bytes, what, "use encode_stream", u_nD.device)
    rows, first_nD = _rows(codec, u_nD, first_token)
    words_RWK, _ = kernels.generate(rows, kernel_plan(codec, u_nD.device), words=True, statistic=False)
    assert words_RWK is not None
    words_nDWK = words_RWK.unflatten(0, u_nD.shape)
    train = SpikeTrain(
        words_nDWK=words_nDWK,
        first_nD=first_nD,
        window=codec.population.window,
        neurons=codec.neurons,
        steps=codec.steps,
        scheme=codec.scheme,
        dt=codec.dt,
        first_token=first_token,
        codec_id=codec.codec_id,
        clipped_n=clipped_n,
    )
    return train.compact()


def make_counts(codec: SpikeCodec, u_nD: Tensor, clipped_n: Tensor, first_token: int) -> SpikeCounts:
    """The statistic of the same train; see `SpikeCodec.encode_counts`."""
    what, n_bytes = f"the counts of {len(u_nD)} tokens", 4 * u_nD.numel() * codec.population.window
    refuse_beyond_memory("encode_counts", n_bytes, what, "encode fewer tokens at once", u_nD.device)
    rows, first_nD = _rows(codec, u_nD, first_token)
    _, statistic_RW = kernels.generate(rows, kernel_plan(codec, u_nD.device), words=False, statistic=True)
    assert statistic_RW is not None
    statistic_nDW = statistic_RW.unflatten(0, u_nD.shape)
    return SpikeCounts(statistic_nDW, first_nD, codec.neurons, codec.scheme, codec.codec_id, clipped_n)


def _rows(codec: SpikeCodec, u_nD: Tensor, first_token: int) -> tuple[Rows, Tensor]:
    token_n = first_token + torch.arange(len(u_nD), device=u_nD.device)
    start_nD, step_nD = stream_keys(codec.seed, token_n, codec.dim)
    place_nD, first_nD = codec.population.place(u_nD)
    shift_nD = torch.zeros_like(first_nD)
    if codec.position_period is not None:
        shift_nD = shifts(token_n, codec.position_period, codec.steps, codec.dim)
    return Rows(*(each_nD.reshape(-1) for each_nD in (start_nD, step_nD, place_nD, first_nD, shift_nD))), first_nD


def kernel_plan(codec: SpikeCodec, device: torch.device) -> Plan:
    """What all rows of a codec have in common, for the kernels."""
    drive_Z = codec.coding.drive(codec.population.probabilities(), codec.active_steps, codec.refractory)
    gap, cycles, period = codec.coding.parameters(codec.active_steps, codec.refractory)
    return Plan(
        drive_Z=torch.round(drive_Z * 2**32).long().to(device),
        spacing=codec.population.spacing_parts,
        fraction_bits=codec.population.fraction_bits,
        window=codec.population.window,
        kind=codec.coding.kind,
        gap=gap,
        cycles=cycles,
        period=period,
        active=codec.active_steps,
        steps=codec.steps,
    )
