"""Spikes of the afferents: how strongly each is driven, and when it spikes.

Axes: P individuals, C afferents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
GOLDEN = 0x9E3779B97F4A7C15
FIRST_PHASE = 0.5  # half way to the first spike, so that counts are rounded, not cut


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _shift_right(a: Tensor, by: int) -> Tensor:
    return (a >> by) & ((1 << (64 - by)) - 1)


def _mix(z: Tensor) -> Tensor:
    """Scramble 64 bits, the finalizer of SplitMix64."""
    z = (z ^ _shift_right(z, 30)) * _signed(MULTIPLIERS[0])
    z = (z ^ _shift_right(z, 27)) * _signed(MULTIPLIERS[1])
    return z ^ _shift_right(z, 31)


@dataclass(frozen=True)
class AfferentDrive:
    """How strongly each afferent is driven.

    Args:
        drive_PC: spikes a step, in [0, 1]; what is outside counts as the nearest end.
        mode: "accumulate" spikes whenever the sum of the drive passes a whole number, the same every time;
            "bernoulli" spikes with this probability in each step, by a random number that only (seed, key, time,
            afferent) decide; "spikes" takes every drive above 0 as a spike.
        seed: of "bernoulli".
        key_P: names the random stream of each row, int64 (P,); the number of the row by default. Give keys that do not
            depend on how rows are batched.

    Raises:
        ValueError: the mode is unknown, or shapes disagree.
    """

    drive_PC: Tensor
    mode: Literal["accumulate", "bernoulli", "spikes"] = "accumulate"
    seed: int = 0
    key_P: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("accumulate", "bernoulli", "spikes"):
            raise ValueError(f"AfferentDrive: mode must be accumulate, bernoulli or spikes, got {self.mode!r}")
        if self.drive_PC.dim() != 2:
            raise ValueError(f"AfferentDrive: drive_PC must be (P, C), got {tuple(self.drive_PC.shape)}")
        if self.key_P is not None and self.key_P.shape != self.drive_PC.shape[:1]:
            raise ValueError(f"AfferentDrive: {tuple(self.key_P.shape)} keys for {len(self.drive_PC)} rows")

    def stream_P(self) -> Tensor:
        """The random stream of each row, int64 (P,): a draw is the hash of stream + GOLDEN (time C + afferent)."""
        n_rows, device = len(self.drive_PC), self.drive_PC.device
        if self.mode != "bernoulli":
            return torch.zeros(n_rows, dtype=torch.int64, device=device)
        key_P = torch.arange(n_rows, device=device) if self.key_P is None else self.key_P.to(device).long()
        root = _mix(torch.tensor(_signed(self.seed * GOLDEN + 0x45564F534E4E), device=device))
        return _mix(root ^ _mix(key_P * _signed(GOLDEN)))


def draw_afferents(
    drive_PC: Tensor, phase_PC: Tensor, stream_P: Tensor, time_P: Tensor, mode: str
) -> tuple[Tensor, Tensor]:
    """Draw the spikes of one step.

    Args:
        drive_PC: spikes a step, in [0, 1].
        phase_PC: how far each accumulator is, in [0, 1).
        stream_P: random stream of each row, of `AfferentDrive.stream_P`.
        time_P: number of the step, int64.
        mode: as in `AfferentDrive`.

    Returns:
        Spikes, bool (P, C), and the new phases.
    """
    if mode == "spikes":
        return drive_PC > 0, phase_PC
    if mode == "accumulate":
        phase_PC = phase_PC + drive_PC.clamp(0, 1)
        spikes_PC = phase_PC >= 1
        return spikes_PC, phase_PC - spikes_PC.to(phase_PC.dtype)
    n_afferents = drive_PC.shape[1]
    counter_PC = time_P[:, None] * n_afferents + torch.arange(n_afferents, device=drive_PC.device)
    random_PC = _shift_right(_mix(stream_P[:, None] + counter_PC * _signed(GOLDEN)), 40)
    return random_PC.to(drive_PC.dtype) * 2.0**-24 < drive_PC, phase_PC
