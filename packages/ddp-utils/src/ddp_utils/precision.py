"""Mixed precision: one object for autocast, loss scaling and the optimizer step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

PrecisionName = Literal["fp32", "bf16", "fp16"]


class Precision:
    """fp32, bf16 (autocast), or fp16 (autocast with a gradient scaler).

    Parameters and optimizer state stay float32. The scaler multiplies the loss so that small gradients survive fp16
    and skips the step when they overflowed.

    Args:
        name: "fp32", "bf16" or "fp16".
        device: where the model lives. fp16 needs a CUDA device.

    Raises:
        ValueError: unknown name, fp16 on the CPU, or bf16 on a card without it.

    References:
        Micikevicius et al. (2018), Mixed precision training, arXiv 1710.03740, section 3.
    """

    def __init__(self, name: PrecisionName, device: torch.device) -> None:
        if name not in get_args(PrecisionName):
            raise ValueError(f"precision: expected one of {', '.join(get_args(PrecisionName))}, got {name!r}")
        if name == "fp16" and device.type != "cuda":
            raise ValueError(f"precision: fp16 needs a CUDA device, got {device}; use bf16 or fp32")
        if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise ValueError(f"precision: {torch.cuda.get_device_name(device)} has no bf16; use fp16 or fp32")
        self.name = name
        self.device = device
        self._scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> torch.autocast:
        """Context of the forward pass and the loss."""
        dtype = torch.float16 if self.name == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.name != "fp32")

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradient of the (scaled) loss."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo the loss scale; once a step, after the gradients are summed and before they are clipped or tested."""
        self._scaler.unscale_(optimizer)

    def step(
        self, optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter] = (), *, clip: float | None = None
    ) -> float | None:
        """Clip the unscaled gradients, take the optimizer's step, update the scale.

        Args:
            optimizer: whose step to take; fp16 skips it when a gradient overflowed.
            parameters: whose joint gradient norm is clipped.
            clip: largest allowed norm, > 0, or None for no clipping.

        Returns:
            The gradient norm before clipping, or None without clipping.
        """
        norm = None if clip is None else float(nn.utils.clip_grad_norm_(parameters, clip))
        self._scaler.step(optimizer)
        self._scaler.update()
        return norm

    @property
    def scaled(self) -> bool:
        """True where a non-finite gradient is an overflow that the scaler handles, not a bad batch."""
        return self.name == "fp16"

    def state_dict(self) -> dict[str, Any]:
        """The scaler's state (empty without one)."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with a saved scale."""
        if state:
            self._scaler.load_state_dict(state)
