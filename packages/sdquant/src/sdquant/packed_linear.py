"""Linear layers on packed ternary weights, for inference.

Shapes: K inputs, O outputs, N tokens, B packed bytes a row of weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sdquant import kernels
from sdquant.ternary import TernaryLayout, pack_ternary, places_of, unpack_ternary


class PackedBitLinear(nn.Module):
    """A `BitLinear` for inference: its weights are packed bytes and its sums integers.

        y = (values_x trits^T) * scale_x * scale_w + bias,   x about values_x * scale_x,   W about trits * scale_w

    Made by `BitLinear.pack`, or here with zero weights to load a state dict into. The state dict holds the bytes as
    `packed_base3` or `packed_two_bit`, `scale` and `bias`: plain tensors that safetensors saves, and loading gives
    back bit for bit. Bytes are stored a row at a time: O ceil(K / 5) for base3, O ceil(K / 4) for two_bit.

    Args:
        in_features: K >= 1.
        out_features: O >= 1.
        bias: whether there is a bias.
        layout: "base3", five trits a byte, the smallest; "two_bit", four, the fastest with few tokens.
        device: device of the buffers.
        dtype: floating dtype of scale and bias, and of the input.

    Shape:
        Input (..., K), output (..., O), same dtype, without gradient. A token with a NaN or an infinity gives NaN.

    Raises:
        ValueError: a size is below 1, layout is unknown, or the input's last axis is not K.
        TypeError: the input is not of the layer's dtype (any floating dtype under autocast).
    """

    scale: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        layout: TernaryLayout = "base3",
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"PackedBitLinear: in_features and out_features must be at least 1, got {in_features}, {out_features}"
            )
        self.places = places_of("PackedBitLinear", layout)
        self.in_features, self.out_features = in_features, out_features
        self.layout: TernaryLayout = layout
        n_bytes = -(-in_features // len(self.places))
        zero_trits = torch.full((out_features, n_bytes), sum(self.places), dtype=torch.uint8, device=device)
        # the name tells the layout, so that bytes of one layout never load as those of the other
        self.register_buffer(f"packed_{layout}", zero_trits)
        self.register_buffer("scale", torch.zeros((), device=device, dtype=dtype))
        self.register_buffer("bias", torch.zeros(out_features, device=device, dtype=dtype) if bias else None)

    @property
    def packed(self) -> Tensor:
        """The bytes, uint8, (O, B)."""
        return self.get_buffer(f"packed_{self.layout}")

    def set_weight(self, trits_OK: Tensor, scale: Tensor) -> None:
        """Take weights, as `quantize_ternary` gives them.

        Args:
            trits_OK: values in {-1, 0, +1}, int8, (O, K).
            scale: one number.

        Raises:
            ValueError: the shape is not (O, K), or a value is not -1, 0 or +1.
        """
        if trits_OK.shape != (self.out_features, self.in_features):
            raise ValueError(
                f"PackedBitLinear.set_weight: trits must have shape ({self.out_features}, {self.in_features}), "
                f"got {tuple(trits_OK.shape)}"
            )
        filled = nn.functional.pad(trits_OK, (0, -self.in_features % len(self.places)))
        self.packed.copy_(pack_ternary(filled, self.layout).reshape(self.packed.shape))
        self.scale.copy_(scale)

    def trits(self) -> Tensor:
        """Give the weights without their scale, in {-1, 0, +1}, int8, (O, K).

        Raises:
            ValueError: the bytes are none that packing gives.
        """
        width = self.packed.shape[1] * len(self.places)
        return unpack_ternary(self.packed.flatten(), (self.out_features, width), self.layout)[:, : self.in_features]

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x, (..., K)."""
        check_input("PackedBitLinear", x, self.in_features, self.scale.dtype)
        values_NK, scale_N1 = int8_activations(x.detach())
        sums_NO = kernels.ternary_linear(values_NK, self.packed, self.places)
        y_NO = sums_NO.to(scale_N1.dtype).mul_(scale_N1 * self.scale).to(x.dtype)
        if self.bias is not None:
            y_NO += self.bias.to(y_NO.dtype)
        return y_NO.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"layout={self.layout!r}"
        )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if self.packed.is_meta:
            return
        try:
            self.trits()
        except ValueError as error:
            error_msgs.append(f"{prefix}packed_{self.layout}: {error}")
        for name in ("scale", "bias"):
            values = getattr(self, name)
            if values is not None and not bool(torch.isfinite(values).all()):
                error_msgs.append(f"{prefix}{name}: must be finite, found a NaN or an infinity")


def int8_activations(x: Tensor) -> tuple[Tensor, Tensor]:
    """`kernels.int8_activations` of tokens (..., K) as rows, computed in float32 at least."""
    x_NK = x.reshape(-1, x.shape[-1])
    return kernels.int8_activations(x_NK.to(torch.promote_types(x.dtype, torch.float32)))


def check_input(caller: str, x: Tensor, in_features: int, dtype: torch.dtype) -> None:
    """Raise what a linear layer of this width and dtype has against an input."""
    if not x.ndim or x.shape[-1] != in_features:
        raise ValueError(f"{caller}: expected input (..., {in_features}), got {tuple(x.shape)}")
    if not x.is_floating_point() or (x.dtype != dtype and not torch.is_autocast_enabled(x.device.type)):
        raise TypeError(f"{caller}: input must be {dtype} as the layer is, got {x.dtype}")
