"""Linear layers with 1.58-bit weights, for training.

Shapes: K inputs, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sdquant.packed_linear import PackedBitLinear, check_input, int8_activations
from sdquant.ternary import TernaryLayout, absmean_trits, quantize_ternary


class BitLinear(nn.Linear):
    """Drop-in for nn.Linear that computes with ternary weights and int8 activations, and learns real weights.

        y = Q(x) Q(W)^T + bias
        Q(W) = scale_w clip(round(W / scale_w), -1, 1),   scale_w = mean(abs(W))
        Q(x) = scale_x round(x / scale_x),                scale_x = max(abs(x)) / 127, a token each
        backward, straight through: dL/dx = dL/dy Q(W),   dL/dW = dL/dy^T Q(x)

    The learned weights are a parameter like nn.Linear's, initialised as there; state dicts are those of nn.Linear.
    `pack` gives the layer for inference. In float32 both give the same bits for K <= 132,104, where the products'
    sums are exact; in other dtypes, and under autocast, they agree to the rounding of that dtype.

    Args:
        in_features: K >= 1.
        out_features: O >= 1.
        bias: whether to learn a bias.
        device: device of the parameters.
        dtype: floating dtype of the parameters, and of the input.

    Shape:
        Input (..., K), output (..., O), same dtype. A token with a NaN or an infinity gives NaN.

    Raises:
        ValueError: a size is below 1, or the input's last axis is not K.
        TypeError: the input is not of the layer's dtype (any floating dtype under autocast).

    References:
        Ma et al. (2024), arXiv 2402.17764, section 2: absmean ternary weights, int8 activations.
        Wang et al. (2023), arXiv 2310.11453, section 2: absmax quantization and the straight-through estimator.

    Departs from:
        The papers normalise (SubLN) before quantizing; a model that wants this has its own norm before the layer.
        They add a small constant to the scales against division by zero; here zeros stay exact.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"BitLinear: in_features and out_features must be at least 1, got {in_features}, {out_features}"
            )
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> BitLinear:
        """Make a layer on the parameters of an nn.Linear: the same objects, so tied weights stay tied.

        Args:
            linear: its weights are the learned weights.
        """
        layer = cls(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer.train(linear.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in nn.Linear
        """Apply the layer to the input, (..., K)."""
        check_input("BitLinear", input, self.in_features, self.weight.dtype)
        y: Tensor = _QuantizedProduct.apply(input, self.weight)  # pyright: ignore[reportAssignmentType]
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def pack(self, layout: TernaryLayout = "base3") -> PackedBitLinear:
        """Give the layer for inference, with the weights as they are now.

        Args:
            layout: "base3", five trits a byte, or "two_bit", four.

        Raises:
            ValueError: layout is unknown, or a weight is not finite.
        """
        packed = PackedBitLinear(
            self.in_features,
            self.out_features,
            self.bias is not None,
            layout,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        packed.set_weight(*quantize_ternary(self.weight.detach()))
        if self.bias is not None and packed.bias is not None:
            packed.bias.copy_(self.bias.detach())
        return packed.train(self.training)


class _QuantizedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OK: Tensor) -> Tensor:
        values_NK, scale_N1 = int8_activations(x)
        trits_OK, scale_w = absmean_trits(weight_OK)
        ctx.save_for_backward(values_NK, scale_N1, trits_OK.to(torch.int8), scale_w)
        ctx.x_shape, ctx.x_dtype, ctx.weight_dtype = x.shape, x.dtype, weight_OK.dtype
        # parts of 128 are exact in every dtype, and keep the sums within the range of float16
        product_NO = nn.functional.linear(values_NK.to(x.dtype) / 128, trits_OK.to(x.dtype))
        y_NO = (product_NO.to(scale_N1.dtype) * 128).mul_(scale_N1 * scale_w).to(product_NO.dtype)
        return y_NO.reshape(*x.shape[:-1], len(weight_OK))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        values_NK, scale_N1, trits_OK, scale_w = ctx.saved_tensors
        grad_NO = grad_outputs[0].reshape(-1, len(trits_OK))
        grad_x_NK = (grad_NO @ trits_OK.to(grad_NO.dtype)) * scale_w.to(grad_NO.dtype)
        grad_weight_OK = grad_NO.T @ (values_NK * scale_N1).to(grad_NO.dtype)
        return grad_x_NK.reshape(ctx.x_shape).to(ctx.x_dtype), grad_weight_OK.to(ctx.weight_dtype)
