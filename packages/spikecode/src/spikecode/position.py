"""A token's number in the phase of its spikes.

With a position the first bin of a train is a pause in all neurons, and the train is turned by a shift: the pause stands
in bin `shift`, no token loses spikes, and the price is one bin of T. Up to T positions are told apart by the
shift itself, more by several shifts: dimension d carries digit d mod G of the number in base T.

Shapes: n tokens, D dimensions, T bins, G digits.

References:
    O'Keefe, Recce (1993), Hippocampus 3(3): place in the phase of spikes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikecode.kernels.reference import bits_of

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec
    from spikecode.train import SpikeTrain

OTHER_CODEC = (
    "the spikes were made by a codec with another calibration, tuning width, time step, scheme parameter or position "
    "period; use the codec that made them"
)


def position_digits(period: int, steps: int) -> int:
    """How many digits in base T tell `period` positions apart: 1 up to T."""
    digits, reached = 1, steps
    while reached < period:
        digits, reached = digits + 1, reached * steps
    return digits


def shifts(token_n: Tensor, period: int, steps: int, dim: int) -> Tensor:
    """How far the train of each token and dimension is turned.

        one digit:       shift = floor(T (token mod P) / P)
        several digits:  shift of dimension d = floor((token mod P) / T^(d mod G)) mod T

    Args:
        token_n: numbers of the tokens, int64, (n,).
        period: P, 1 to 2^31.
        steps: T, >= 2.
        dim: D, at least G.

    Returns:
        Shifts in bins, int32, (n, D).

    Raises:
        ValueError: there is no bin for the pause, or are not enough dimensions for the digits.
    """
    if not isinstance(period, int) or not 1 <= period <= 2**31:
        raise ValueError(f"position_period must be a whole number from 1 to {2**31:,}, got {period!r}")
    if steps < 2:
        raise ValueError(f"position_period: one bin is a pause, so at least 2 steps are needed, got {steps}")
    digits = position_digits(period, steps)
    if dim < digits:
        raise ValueError(
            f"position_period: {period} positions in {steps} bins take {digits} dimensions, there are {dim}; raise "
            "steps"
        )
    position_n = token_n % period
    if digits == 1:
        return (position_n * steps // period).int()[:, None].expand(-1, dim).contiguous()
    power_D = steps ** (torch.arange(dim, device=token_n.device) % digits)
    return (position_n[:, None] // power_D % steps).int()


def find_positions(codec: SpikeCodec, train: SpikeTrain) -> Tensor:
    """Find the pause of each token: the bin with the fewest spikes over all neurons of a digit's dimensions.

    Args:
        codec: a codec with positions.
        train: of this codec, perhaps with dead neurons and background spikes.

    Returns:
        Token numbers modulo the period, int64, (n,).

    Raises:
        ValueError: the codec has no positions, or the train is not of this codec.
    """
    if codec.position_period is None:
        raise ValueError("decode_positions: this codec has no positions; fit it with position_period")
    check_train("decode_positions", codec, train)
    period, steps = codec.position_period, codec.steps
    digits = position_digits(period, steps)
    if not len(train):
        return torch.zeros(0, dtype=torch.int64, device=train.device)
    spikes_nGT = torch.stack([_spikes_by_bin(train[i : i + 1], digits)[0] for i in range(len(train))])
    if digits == 1:
        shift_P = torch.arange(period, device=train.device) * steps // period
        return spikes_nGT[:, 0, shift_P].argmin(-1)
    shift_nG = spikes_nGT.argmin(-1)
    power_G = steps ** torch.arange(digits, device=shift_nG.device)
    return (shift_nG * power_G).sum(1) % period


def _spikes_by_bin(train: SpikeTrain, digits: int) -> Tensor:
    """Spikes of each bin over the dimensions of each digit, int64, (n, G, T)."""
    n, dim, _, steps = train.shape
    spikes_nGT = torch.zeros(n, digits, steps, dtype=torch.int64, device=train.device)
    if train.words_nDWK is None:
        token_S, dimension_S, _, bin_S = train.to_events()
        flat_S = (token_S * digits + dimension_S % digits) * steps + bin_S
        return torch.bincount(flat_S, minlength=spikes_nGT.numel()).view_as(spikes_nGT)
    for d in range(dim):
        spikes_nGT[:, d % digits] += bits_of(train.words_nDWK[:, d], steps).sum(1)
    return spikes_nGT


def check_train(caller: str, codec: SpikeCodec, train: SpikeTrain) -> None:
    """Refuse a train of another codec.

    Raises:
        TypeError: it is no train.
        ValueError: dimensions, neurons, steps or scheme differ, or what else the codec's fingerprint covers.
    """
    from spikecode.train import SpikeTrain

    if not isinstance(train, SpikeTrain):
        raise TypeError(f"{caller}: expected a SpikeTrain, got {type(train).__name__}")
    expected = (codec.dim, codec.neurons, codec.steps, codec.scheme)
    found = (*train.shape[1:], train.scheme)
    if expected != found:
        raise ValueError(
            f"{caller}: a train of (dimensions, neurons, steps, scheme) {found} does not fit a codec of {expected}"
        )
    if train.codec_id != codec.codec_id:
        raise ValueError(f"{caller}: {OTHER_CODEC}")
