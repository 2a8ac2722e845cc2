"""Orthonormal Walsh-Hadamard transforms.

Shapes: D dimensions on the last axis; any axes before it are independent rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdquant import kernels


def fwht(x: Tensor) -> Tensor:
    """Multiply by the orthonormal Walsh-Hadamard matrix along the last axis, in D log2 D additions.

        y = W x,   W = D^(-1/2) H_D,   H_2n = [[H_n, H_n], [H_n, -H_n]] (Sylvester's order)

    W is symmetric and orthogonal: the transform is its own inverse and its own gradient.

    Args:
        x: input, floating point, (..., D), D a power of two.

    Returns:
        W x, same dtype and device, (..., D).

    Raises:
        TypeError: x is not floating point.
        ValueError: D is not a power of two.

    References:
        Fino, Algazi (1976), IEEE Transactions on Computers C-25(11).
    """
    size = _checked_size("fwht", x)
    if size & (size - 1) or not size:
        raise ValueError(f"fwht: the last axis must be a power of two, got {size}; block_fwht takes any size")
    return _Transform.apply(x, (size,))  # pyright: ignore[reportReturnType]


def block_fwht(x: Tensor) -> Tensor:
    """Multiply consecutive blocks of the last axis by the orthonormal Walsh-Hadamard matrix of their size.

    The blocks are the powers of two in D from the largest down: 300 = 256 + 32 + 8 + 4. The whole is orthogonal,
    symmetric and its own inverse for any D; entries mix within their block only.

    Args:
        x: input, floating point, (..., D), D >= 0.

    Returns:
        The transformed blocks, same dtype and device, (..., D).

    Raises:
        TypeError: x is not floating point.
        ValueError: x has no axis.
    """
    size = _checked_size("block_fwht", x)
    return _Transform.apply(x, power_of_two_blocks(size))  # pyright: ignore[reportReturnType]


def power_of_two_blocks(size: int) -> tuple[int, ...]:
    """Write a size as its powers of two, largest first: 300 -> (256, 32, 8, 4).

    Args:
        size: at least 0.

    Raises:
        ValueError: size is negative.
    """
    if size < 0:
        raise ValueError(f"power_of_two_blocks: size must be at least 0, got {size}")
    return tuple(1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1)


class _Transform(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, blocks: tuple[int, ...]) -> Tensor:
        ctx.blocks = blocks
        if not x.numel():
            return x.clone()
        return kernels.fwht(x.reshape(-1, x.shape[-1]), blocks).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, None]:
        return _Transform.apply(grad_outputs[0], ctx.blocks), None


def _checked_size(caller: str, x: Tensor) -> int:
    if not x.is_floating_point():
        raise TypeError(f"{caller}: x must be floating point, got {x.dtype}")
    if not x.ndim:
        raise ValueError(f"{caller}: x must have at least one axis, got a scalar")
    return x.shape[-1]
