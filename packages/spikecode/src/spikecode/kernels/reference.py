"""Plain-torch kernels: the reference that the compiled ones equal bit for bit.

Shapes: R rows, W neurons of a window, T bins, K words of a train, Z entries of a tuning table, C cycles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikecode.kernels.plan import Plan, Rows
from spikecode.random_streams import NEURON_BITS, WORD_BITS, mix

_ONE = 1 << 32
_UNPACKED = 1 << 19  # bins unpacked at once, about 25 bytes each
_EQUILIBRIUM_WORD = (1 << (NEURON_BITS - WORD_BITS)) - 1  # keys the start of a refractory train


def _draw(rows: Rows, neuron_RW: Tensor, word: int, part: int) -> Tensor:
    """64 random bits of each neuron, int64, (R, W)."""
    counter_RW = (neuron_RW << NEURON_BITS) + (word << WORD_BITS) + part
    return mix(rows.start_R[:, None] + rows.step_R[:, None] * counter_RW)


def _uniform(rows: Rows, neuron_RW: Tensor, word: int) -> Tensor:
    return _draw(rows, neuron_RW, word, 0) & (_ONE - 1)


def bits_of(words_: Tensor, steps: int) -> Tensor:
    """Unpack words to bins: int64 (..., K) to bool (..., T)."""
    bit = torch.arange(64, device=words_.device)
    return ((words_.unsqueeze(-1) >> bit) & 1).flatten(-2)[..., :steps].bool()


def words_of(bits: Tensor) -> Tensor:
    """Pack bins to words: bool (..., T) to int64 (..., K)."""
    padded = torch.nn.functional.pad(bits, (0, -bits.shape[-1] % 64)).unflatten(-1, (-1, 64)).long()
    return (padded << torch.arange(64, device=bits.device)).sum(-1)


def _bernoulli(rows: Rows, neuron_RW: Tensor, drive_RW: Tensor, plan: Plan) -> Tensor:
    """Compare 32 random bits with the drive in 64 bins at once, the highest bit first."""
    words = []
    for k in range((plan.active + 63) // 64):
        fired_RW = torch.zeros_like(drive_RW)
        undecided_RW = torch.full_like(drive_RW, -1)
        for part in range(32):
            random_RW = _draw(rows, neuron_RW, k, part)
            digit_RW = (drive_RW >> (31 - part)) & 1 == 1
            fired_RW = torch.where(digit_RW, fired_RW | (undecided_RW & ~random_RW), fired_RW)
            undecided_RW = undecided_RW & torch.where(digit_RW, random_RW, ~random_RW)
        words.append(torch.where(drive_RW >= _ONE, -1, fired_RW))
    bits_RWT = bits_of(torch.stack(words, -1), plan.active)
    return _without_refractory(rows, neuron_RW, drive_RW, bits_RWT, plan.gap) if plan.gap else bits_RWT


def _without_refractory(rows: Rows, neuron_RW: Tensor, drive_RW: Tensor, bits_RWT: Tensor, refractory: int) -> Tensor:
    """Drop spikes within the refractory period of the one before; the first period starts in equilibrium."""
    # A free train refracts a share R p = R h / (1 + R h) of the time, anywhere in the period.
    random_RW = _uniform(rows, neuron_RW, _EQUILIBRIUM_WORD)
    blocked_RW = torch.zeros_like(drive_RW)
    whole_RW = _ONE + refractory * drive_RW
    for left in range(1, refractory + 1):
        # U < left h / (1 + R h), in whole numbers: the products stay below 2^63 when taken apart.
        chosen_RW = _less(random_RW, left * drive_RW, whole_RW) & (blocked_RW == 0)
        blocked_RW = torch.where(chosen_RW, left, blocked_RW)
    kept = []
    for t in range(bits_RWT.shape[-1]):
        fires_RW = bits_RWT[..., t] & (blocked_RW == 0)
        blocked_RW = torch.where(fires_RW, refractory, (blocked_RW - 1).clamp(min=0))
        kept.append(fires_RW)
    return torch.stack(kept, -1)


def _less(random_RW: Tensor, part_RW: Tensor, whole_RW: Tensor) -> Tensor:
    """random / 2^32 < part / whole for numbers below 2^44, exact to 16 bits."""
    return (random_RW >> 16) * (whole_RW >> 16) < (part_RW >> 16) << 16


def _even(rows: Rows, neuron_RW: Tensor, drive_RW: Tensor, plan: Plan) -> Tensor:
    time_T = torch.arange(plan.active + 1, device=drive_RW.device)
    level_RWT = (_uniform(rows, neuron_RW, 0)[..., None] + drive_RW[..., None] * time_T) >> 32
    return level_RWT.diff(dim=-1) > 0


def _first_spike(rows: Rows, neuron_RW: Tensor, drive_RW: Tensor, plan: Plan) -> Tensor:
    latency_RW = (drive_RW + _uniform(rows, neuron_RW, 0)) >> 32
    return latency_RW[..., None] == torch.arange(plan.active, device=drive_RW.device)


def _in_cycles(rows: Rows, neuron_RW: Tensor, drive_RW: Tensor, plan: Plan) -> Tensor:
    """Phase (kind 3) and burst (kind 4): a rounded number in each cycle."""
    bin_M = torch.arange(plan.period, device=drive_RW.device)
    cycles = []
    for c in range(plan.cycles):
        number_RW1 = ((drive_RW + _uniform(rows, neuron_RW, c)) >> 32)[..., None]
        if plan.kind == 3:
            cycles.append(number_RW1 == bin_M)
        else:
            cycles.append((bin_M % plan.gap == 0) & (bin_M // plan.gap < number_RW1))
    bits_RWT = torch.cat(cycles, -1)
    return torch.nn.functional.pad(bits_RWT, (0, plan.active - bits_RWT.shape[-1]))


def _statistic(bits_RWT: Tensor, plan: Plan) -> Tensor:
    if plan.kind in (2, 3):
        cycle = plan.active if plan.kind == 2 else plan.period
        left_T = cycle - torch.arange(plan.active, device=bits_RWT.device) % cycle
        return (bits_RWT * left_T).sum(-1)
    return bits_RWT.sum(-1)


def _turned(bits_RWT: Tensor, shift_R: Tensor, plan: Plan) -> Tensor:
    """Put a pause before the active bins and turn the whole by the shift."""
    bits_RWT = torch.nn.functional.pad(bits_RWT, (1, 0))
    from_RT = (torch.arange(plan.steps, device=shift_R.device) - shift_R[:, None].long()) % plan.steps
    return bits_RWT.gather(-1, from_RT[:, None].expand_as(bits_RWT))


def generate(rows: Rows, plan: Plan, *, words: bool, statistic: bool) -> tuple[Tensor | None, Tensor | None]:
    """See `spikecode.kernels.generate`."""
    neuron_RW = rows.first_R[:, None].long() + torch.arange(plan.window, device=rows.first_R.device)
    distance_RW = (rows.place_R[:, None] - neuron_RW * plan.spacing).abs() + (1 << (plan.fraction_bits - 1))
    drive_RW = plan.drive_Z[(distance_RW >> plan.fraction_bits).clamp(max=len(plan.drive_Z) - 1)]
    schemes = {0: _bernoulli, 1: _even, 2: _first_spike, 3: _in_cycles, 4: _in_cycles}
    bits_RWT = schemes[plan.kind](rows, neuron_RW, drive_RW, plan)
    statistic_RW = _statistic(bits_RWT, plan).int() if statistic else None
    if not words:
        return None, statistic_RW
    if plan.steps > plan.active:
        bits_RWT = _turned(bits_RWT, rows.shift_R, plan)
    return words_of(bits_RWT), statistic_RW


def count_spikes(words_RK: Tensor) -> Tensor:
    """See `spikecode.kernels.count_spikes`: sums of 1, 2, 4 and 8 neighbouring bits, then of the bytes."""
    pairs = words_RK - ((words_RK >> 1) & 0x5555555555555555)
    fours = (pairs & 0x3333333333333333) + ((pairs >> 2) & 0x3333333333333333)
    eights = (fours + (fours >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (((eights * 0x0101010101010101) >> 56) & 0xFF).sum(1, dtype=torch.int32)


def list_spikes(words_RWK: Tensor, first_R: Tensor, offsets_R: Tensor, steps: int, events_S: Tensor) -> None:
    """See `spikecode.kernels.list_spikes`; fills events_S."""
    at_once = max(1, _UNPACKED // max(1, words_RWK.shape[1] * steps))
    for i in range(0, len(words_RWK), at_once):
        row_S, w_S, bin_S = bits_of(words_RWK[i : i + at_once], steps).nonzero(as_tuple=True)
        start, end = int(offsets_R[i]), int(offsets_R[min(i + at_once, len(words_RWK))])
        events_S[start:end] = (first_R[i : i + at_once].long()[row_S] + w_S) * steps + bin_S
