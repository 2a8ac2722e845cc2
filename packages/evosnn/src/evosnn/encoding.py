"""Observations to the drive of afferents.

Shapes: B rows, O observation values, C afferents, m afferents a value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from evosnn.afferents import AfferentDrive
from evosnn.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class ObservationEncoder:
    """Encode each observation value in the rates of some afferents.

    With u = (value - middle) / half range, cut to [-1, 1]:

        "rate"        two afferents, max_rate max(u, 0) and max_rate max(-u, 0)
        "population"  m afferents, max_rate exp(-(u - c_i)^2 / (2 w^2)), centres c_i evenly from -1 to 1, w = c_2 - c_1

    Args:
        low: value that is encoded as u = -1, one for each observation value.
        high: value that is encoded as u = 1.
        kind: "rate" or "population".
        per_value: m, >= 2, for "population".
        max_rate: spikes a step at full drive, in (0, 1].
        spiking: "accumulate" for evenly spaced spikes, "bernoulli" for random ones.

    Raises:
        ValueError: a setting is out of its range, or bounds are not finite.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    kind: Literal["rate", "population"] = "rate"
    per_value: int = 5
    max_rate: float = 1.0
    spiking: Literal["accumulate", "bernoulli"] = "accumulate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(map(float, self.low)))
        object.__setattr__(self, "high", tuple(map(float, self.high)))
        if not self.low or len(self.low) != len(self.high):
            raise ValueError(f"ObservationEncoder: needs one low and high a value, got {self.low}, {self.high}")
        for low, high in zip(self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise ValueError(f"ObservationEncoder: bounds must be finite with low < high, got {low} and {high}")
        if self.kind not in ("rate", "population"):
            raise ValueError(f"ObservationEncoder: kind must be rate or population, got {self.kind!r}")
        if self.per_value < 2:
            raise ValueError(f"ObservationEncoder: per_value must be >= 2, got {self.per_value}")
        if not 0 < self.max_rate <= 1:
            raise ValueError(f"ObservationEncoder: max_rate must be in (0, 1] spikes a step, got {self.max_rate}")
        if self.spiking not in ("accumulate", "bernoulli"):
            raise ValueError(f"ObservationEncoder: spiking must be accumulate or bernoulli, got {self.spiking!r}")

    @classmethod
    def for_task(cls, task: Task, **options: Any) -> ObservationEncoder:
        """An encoder with the scales of a task."""
        return cls(low=task.observation_low, high=task.observation_high, **options)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values; `ObservationEncoder(**settings)` is the same encoder."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def n_afferents(self) -> int:
        """Number of afferents, C."""
        return len(self.low) * (2 if self.kind == "rate" else self.per_value)

    def drive(self, obs_BO: Tensor) -> Tensor:
        """Rates of the afferents.

        Args:
            obs_BO: observations, floats, (B, O).

        Returns:
            Spikes a step in [0, max_rate], float32, (B, C): "rate" gives all positive parts, then all negative parts;
            "population" the m afferents of the first value, then of the next. A row's drive depends on the row alone.
        """
        if obs_BO.dim() != 2 or obs_BO.shape[1] != len(self.low):
            raise ValueError(f"ObservationEncoder: expected (B, {len(self.low)}) values, got {tuple(obs_BO.shape)}")
        low_O, high_O = obs_BO.new_tensor(self.low), obs_BO.new_tensor(self.high)
        unit_BO = (obs_BO - (low_O + high_O) / 2) / ((high_O - low_O) / 2)
        if self.kind == "rate":
            drive_BC = torch.cat([unit_BO, -unit_BO], dim=1).clamp_(0, 1)
            return drive_BC.float() if self.max_rate == 1 else drive_BC.mul_(self.max_rate).float()
        centre_m = torch.linspace(-1, 1, self.per_value, dtype=torch.float64, device=obs_BO.device)
        width = 2 / (self.per_value - 1)
        distance_BOm = (unit_BO.double().clamp(-1, 1)[:, :, None] - centre_m) / width
        exponent_BC = (distance_BOm * distance_BOm * -0.5).flatten(1)
        # numpy's exponential gives a number the same bits wherever it stands; torch's does not
        tuned_BC = torch.from_numpy(np.exp(exponent_BC.numpy())) if obs_BO.device.type == "cpu" else exponent_BC.exp()
        return tuned_BC.mul_(self.max_rate).float()

    def __call__(self, obs_BO: Tensor, *, seed: int = 0, key_B: Tensor | None = None) -> AfferentDrive:
        """The drive as `Network.run_` takes it.

        Args:
            obs_BO: observations, (B, O).
            seed: of random spikes.
            key_B: random stream of each row, int64 (B,).
        """
        return AfferentDrive(self.drive(obs_BO), mode=self.spiking, seed=seed, key_P=key_B)
