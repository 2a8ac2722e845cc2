"""What real tissue and hardware do to a train: dead neurons, stray spikes, jitter.

Shapes: n tokens, D dimensions, N neurons, T bins, S spikes.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from spikecode.kernels.reference import words_of
from spikecode.random_streams import GOLDEN, mix, shift_right, signed, stream_keys
from spikecode.train import SpikeTrain

_DEAD, _STRAY, _JITTER = 1, 2, 3  # what is drawn
_BINS = 1 << 21  # bins that are drawn or packed at once, about 24 bytes each


def _uniform(seed: int, what: int, key: Tensor, number: Tensor) -> Tensor:
    """Uniform in [0, 1) with 53 bits, by key and number."""
    bits = mix(mix(key + signed((seed * 4 + what) * GOLDEN)) + number * signed(GOLDEN))
    return shift_right(bits, 11).double() * 2.0**-53


def perturb(
    train: SpikeTrain, *, dead: float = 0.0, background: float = 0.0, jitter: float = 0.0, seed: int = 0
) -> SpikeTrain:
    """Damage a train.

    First each spike moves by a normal number of bins (and is lost where it leaves the train or meets another), then
    neurons die, for all tokens alike, and last every living neuron gets stray spikes.

    Args:
        train: any train.
        dead: share of the N D neurons that never fire, from 0 to 1.
        background: rate of stray spikes in Hz, >= 0, at most one a bin.
        jitter: standard deviation of the moves in bins, >= 0.
        seed: of the damage. What befalls a token depends on this, its number and its spikes alone.

    Returns:
        The damaged train.

    Raises:
        ValueError: a value is out of range.
    """
    if not isinstance(seed, int):
        raise ValueError(f"perturb: seed must be a whole number, got {seed!r}")
    if not 0 <= dead <= 1:
        raise ValueError(f"perturb: dead must be a share from 0 to 1, got {dead}")
    if not 0 <= background * train.dt <= 1000:
        raise ValueError(
            f"perturb: background must be from 0 to {1000 / train.dt:g} Hz at dt = {train.dt:g} ms, got {background}"
        )
    if not (math.isfinite(jitter) and jitter >= 0):
        raise ValueError(f"perturb: jitter must be a number of bins >= 0, got {jitter}")
    tokens = [_perturbed(train[i : i + 1], dead, background, jitter, seed) for i in range(len(train))]
    return SpikeTrain.cat(tokens).compact() if tokens else train


def _perturbed(train: SpikeTrain, dead: float, background: float, jitter: float, seed: int) -> SpikeTrain:
    """One token: unpacked, damaged, packed again."""
    _, dim, neurons, steps = train.shape
    device = train.device
    cell_S = torch.stack(train.to_events()[1:])
    token = torch.tensor([train.first_token], device=device)
    key_D = stream_keys(seed, token, dim)[0][0]
    dimension_S, neuron_S, bin_S = cell_S
    at_once = max(1, _BINS // (neurons * steps))
    parts = [slice(d, d + at_once) for d in range(0, dim, at_once)]
    if jitter:
        number_S = neuron_S * steps + bin_S
        one_S = _uniform(seed, _JITTER, key_D[dimension_S], 2 * number_S)
        two_S = _uniform(seed, _JITTER, key_D[dimension_S], 2 * number_S + 1)
        normal_S = torch.sqrt(-2 * torch.log1p(-one_S)) * torch.cos(2 * math.pi * two_S)
        bin_S = bin_S + torch.round(jitter * normal_S).long()
        kept_S = (bin_S >= 0) & (bin_S < steps)
        dimension_S, neuron_S, bin_S = dimension_S[kept_S], neuron_S[kept_S], bin_S[kept_S]
    fires_DNT = torch.zeros(dim, neurons, steps, dtype=torch.bool, device=device)
    fires_DNT[dimension_S, neuron_S, bin_S] = True
    if background:
        number_NT = torch.arange(neurons * steps, device=device).view(neurons, steps)
        for part in parts:
            stray_DNT = _uniform(seed, _STRAY, key_D[part, None, None], number_NT) < background * train.dt / 1000
            fires_DNT[part] |= stray_DNT
    if dead:
        neuron_DN = torch.arange(dim * neurons, device=device).view(dim, neurons)
        common = torch.zeros((), dtype=torch.int64, device=device)  # no token in the key: the dead stay dead
        fires_DNT &= (_uniform(seed, _DEAD, common, neuron_DN) >= dead)[..., None]
    words_DNK = torch.empty(dim, neurons, (steps + 63) // 64, dtype=torch.int64, device=device)
    for part in parts:
        words_DNK[part] = words_of(fires_DNT[part])
    return replace(
        train,
        words_nDWK=words_DNK[None],
        window=neurons,
        first_nD=torch.zeros(1, dim, dtype=torch.int32, device=device),
        events_S=None,
        offsets_R=None,
    )
