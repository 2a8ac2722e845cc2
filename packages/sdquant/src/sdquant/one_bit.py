"""One-bit sigma-delta quantizers of orders 1 to 3, and the memoryless quantizer they are measured against.

Shapes: M time steps; time is the last axis, any axes before it are independent rows.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sdquant import kernels

Overload = Literal["error", "clip", "allow"]


def filter_taps(order: int) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    """Give the minimally supported noise-shaping filter of an order.

        n_j = 1 + 6 (j - 1)^2,   h_j = prod_{i != j} n_i / (n_i - n_j),   j = 1..order

    The coefficients belong to these lags: moved to lags 1, 2, 3 they do not shape noise to that order.

    Args:
        order: 0 to 3. Order 0 has no taps: it is the memoryless quantizer.

    Returns:
        The lags n_j and the coefficients h_j, exact.

    Raises:
        ValueError: order is not 0, 1, 2 or 3.

    References:
        Guentuerk (2003), Communications on Pure and Applied Mathematics 56(11): the filters.
        Deift, Guentuerk, Krahmer (2011), arXiv 1001.5079: the lags.
    """
    if order not in (0, 1, 2, 3):
        raise ValueError(f"filter_taps: order must be 0, 1, 2 or 3, got {order!r}")
    lags = tuple(1 + 6 * j**2 for j in range(order))
    coefficients = tuple(math.prod((Fraction(n, n - lag) for n in lags if n != lag), start=Fraction(1)) for lag in lags)
    return lags, coefficients


def stability_limit(order: int) -> float:
    """Give the largest input that an order is proved stable for.

        mu = 2 - sum_j |h_j|;   max |y| <= mu  implies  max |v| <= 1

    Args:
        order: 0 to 3.

    Returns:
        mu: 2, 1, 2/3 and 29/54 for orders 0, 1, 2 and 3.

    Raises:
        ValueError: order is not 0, 1, 2 or 3.
    """
    return float(2 - sum(abs(h) for h in filter_taps(order)[1]))


def greedy(y: Tensor) -> Tensor:
    """Quantize each sample by itself: q_i = sign(y_i), sign(0) = +1.

    Args:
        y: finite input of any size, float32 or float64, (..., M).

    Returns:
        Bits in {-1, +1}, int8, (..., M).

    Raises:
        TypeError: y is not float32 or float64.
        ValueError: y has a NaN or an infinity.
    """
    return _run("greedy", y, order=0, overload="allow", states=False)[0]


def sigma_delta(y: Tensor, order: int = 1, *, overload: Overload = "error") -> Tensor:
    """Quantize time series to one bit a sample, pushing the error out of the low frequencies.

        c_i = y_i + sum_j h_j v_{i - n_j},   q_i = sign(c_i),   v_i = c_i - q_i

    with sign(0) = +1, v zero before the start and the taps of `filter_taps`. The error is the state shaped by the
    filter, y - q = H v, so averages of q over lambda samples (an order-fold box) miss those of y by O(lambda^-order).

    Args:
        y: finite input, float32 or float64, (..., M), within [-mu, mu], mu = `stability_limit(order)`.
        order: 0 to 3. Order 0 is memoryless.
        overload: what to do with samples beyond mu: "error", "clip" them to mu, or "allow" them (v may then grow).

    Returns:
        Bits in {-1, +1}, int8, (..., M).

    Raises:
        TypeError: y is not float32 or float64.
        ValueError: y has a NaN or an infinity, or no time axis, or is beyond mu under overload="error"; order or
            overload is unknown.

    References:
        Guentuerk (2003); Deift, Guentuerk, Krahmer (2011), arXiv 1001.5079.
    """
    return _run("sigma_delta", y, order=order, overload=overload, states=False)[0]


def sigma_delta_states(y: Tensor, order: int = 1, *, overload: Overload = "error") -> tuple[Tensor, Tensor]:
    """Quantize as `sigma_delta` does and give the states too.

    Args:
        y: as for `sigma_delta`.
        order: as for `sigma_delta`.
        overload: as for `sigma_delta`.

    Returns:
        Bits in {-1, +1}, int8, (..., M), and states v in the dtype of y, (..., M). |v| <= 1 (up to rounding) when
        |y| <= mu.

    Raises:
        TypeError: as for `sigma_delta`.
        ValueError: as for `sigma_delta`.
    """
    q, v = _run("sigma_delta_states", y, order=order, overload=overload, states=True)
    assert v is not None
    return q, v


def unshape(a: Tensor, order: int) -> Tensor:
    """Undo the noise shaping along the last axis: apply H^-1, the order-fold summation of the filter.

        u_i = a_i + sum_j h_j u_{i - n_j}

    Since y - q = H v, unshape(y - q) = v. The result grows as M^order: use float64.

    Args:
        a: input, floating point, (..., M).
        order: 0 to 3.

    Returns:
        H^-1 a, same dtype, (..., M).

    Raises:
        ValueError: order is unknown.
    """
    lags, coefficients = filter_taps(order)
    taps = [(lag, float(h)) for lag, h in zip(lags, coefficients, strict=True)]
    u = a.movedim(-1, 0).clone()
    for i in range(len(u)):
        for lag, h in taps:
            if lag <= i:
                u[i] += h * u[i - lag]
    return u.movedim(0, -1)


class SigmaDelta(nn.Module):
    """Sigma-delta quantizer for training: bits forward, straight through backward.

        forward: q = sigma_delta(y);   backward: dL/dy = dL/dq, and 0 where y was clipped

    Args:
        order: 0 to 3. Order 0 is memoryless, with the gradient of a sign estimated straight through.
        overload: as for `sigma_delta`; "clip" by default, since a network moves out of range while it learns.

    Shape:
        Input (..., M), float32 or float64; output of the same shape and dtype, in {-1, +1}.

    Raises:
        ValueError: order or overload is unknown.

    References:
        Bengio, Leonard, Courville (2013), arXiv 1308.3432: the straight-through estimator.
    """

    def __init__(self, order: int = 1, *, overload: Overload = "clip") -> None:
        super().__init__()
        filter_taps(order)
        _check_overload("SigmaDelta", overload)
        self.order = order
        self.overload: Overload = overload

    def forward(self, y: Tensor) -> Tensor:
        """Quantize y, (..., M), to {-1, +1} in the dtype of y."""
        if self.overload == "clip":
            limit = stability_limit(self.order)
            y = y.clamp(-limit, limit)
        return _StraightThrough.apply(y, self.order, self.overload)  # pyright: ignore[reportReturnType]

    def extra_repr(self) -> str:
        return f"order={self.order}, overload={self.overload!r}"


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, order: int, overload: Overload) -> Tensor:  # noqa: ARG004
        return _run("SigmaDelta", y, order=order, overload=overload, states=False)[0].to(y.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ARG004
        return grad_outputs[0], None, None


def _check_overload(caller: str, overload: str) -> None:
    if overload not in ("error", "clip", "allow"):
        raise ValueError(f"{caller}: overload must be 'error', 'clip' or 'allow', got {overload!r}")


def _run(caller: str, y: Tensor, *, order: int, overload: Overload, states: bool) -> tuple[Tensor, Tensor | None]:
    lags, coefficients = filter_taps(order)
    _check_overload(caller, overload)
    if y.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{caller}: y must be float32 or float64, got {y.dtype}")
    if y.ndim == 0:
        raise ValueError(f"{caller}: y must have a time axis, shape (..., m), got a scalar")
    y = _within_limit(caller, y.detach(), order, overload)
    y_NM = y.reshape(-1, y.shape[-1]) if y.numel() else y.reshape(0, 0)
    q_NM, v_NM = kernels.sigma_delta(y_NM, lags, tuple(map(float, coefficients)), states=states)
    return q_NM.reshape(y.shape), None if v_NM is None else v_NM.reshape(y.shape)


def _within_limit(caller: str, y: Tensor, order: int, overload: Overload) -> Tensor:
    if not y.numel():
        return y
    low, high = (float(extreme) for extreme in torch.aminmax(y))
    peak = max(-low, high)
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"{caller}: y must be finite, found a NaN or an infinity in shape {tuple(y.shape)}")
    # mu as the input's dtype writes it: a float32 2/3 is meant to pass.
    limit = float(torch.tensor(stability_limit(order), dtype=y.dtype))
    if overload == "allow" or peak <= limit:
        return y
    if overload == "clip":
        return y.clamp(-limit, limit)
    raise ValueError(
        f"{caller}: order {order} is stable for max|y| <= mu = {limit:.6g}, found max|y| = {peak:.6g}; "
        "scale y down, or pass overload='clip' or 'allow'"
    )
