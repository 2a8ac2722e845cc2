"""Plain-torch form of every kernel: the definition that the compiled ones must equal bit for bit.

Shapes: N rows, M time steps, D dimensions; K inputs and O outputs of a linear layer, B packed bytes a row of weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def sigma_delta(
    y_NM: Tensor, lags: tuple[int, ...], coefficients: tuple[float, ...], *, states: bool
) -> tuple[Tensor, Tensor | None]:
    """c_i = y_i + sum_j h_j v_{i - n_j}, q_i = sign(c_i), v_i = c_i - q_i, summed in the order of j."""
    import torch

    y_MN = y_NM.T.contiguous()
    q_MN = torch.empty_like(y_MN, dtype=torch.int8)
    v_MN = torch.empty_like(y_MN)
    for i in range(len(y_MN)):
        c_N = y_MN[i]
        for lag, coefficient in zip(lags, coefficients, strict=True):
            if lag <= i:
                c_N = c_N + coefficient * v_MN[i - lag]
        q_N = torch.where(c_N >= 0, 1.0, -1.0).to(c_N.dtype)
        q_MN[i] = q_N
        v_MN[i] = c_N - q_N
    return q_MN.T.contiguous(), v_MN.T.contiguous() if states else None


def fwht(x_ND: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """One multiplication by block ** -0.5, then butterflies of doubling span within each block."""
    import torch

    done = []
    for x_NB in torch.split(x_ND, list(blocks), dim=1):
        size = x_NB.shape[1]
        x_NB = x_NB * size**-0.5
        span = 1
        while span < size:
            low, high = x_NB.reshape(len(x_NB), size // (2 * span), 2, span).unbind(2)
            x_NB = torch.stack((low + high, low - high), dim=2)
            span *= 2
        done.append(x_NB.reshape(len(x_ND), size))
    return torch.cat(done, dim=1)


def int8_activations(x_NK: Tensor) -> tuple[Tensor, Tensor]:
    """scale = max |x| / 127, values = round(x / scale), halves to even; see `sdquant.kernels.int8_activations`."""
    import torch

    scale_N1 = x_NK.abs().amax(1, keepdim=True) / 127
    scale_N1 = torch.where(scale_N1 < torch.inf, scale_N1, torch.nan)
    # a scale that underflows to 0 gives 0 / 0
    ratio_NK = torch.where(scale_N1 > 0, x_NK / scale_N1, 0.0)
    return ratio_NK.round().clamp(-127, 127).to(torch.int8), scale_N1


def ternary_linear(x_NK: Tensor, packed_OB: Tensor, places: tuple[int, ...]) -> Tensor:
    """Unpack byte // place % base - 1 and multiply, in floats that hold every sum exactly."""
    import torch

    exact = torch.float32 if 127 * x_NK.shape[1] < 1 << 24 else torch.float64
    places_P = torch.tensor(places, dtype=torch.uint8, device=packed_OB.device)
    trits_OBP = (packed_OB[:, :, None] // places_P % places[1]).to(exact) - 1
    trits_OK = trits_OBP.reshape(len(packed_OB), -1)[:, : x_NK.shape[1]]
    return (x_NK.to(exact) @ trits_OK.T).to(torch.int32)
