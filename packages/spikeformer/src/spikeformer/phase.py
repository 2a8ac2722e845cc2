"""Position as spike time: circular shifts of queries and keys in the micro-steps of a token.

Shapes: T micro-steps, B sequences, L tokens, H heads, d channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FRACTION = 1 << 20  # frequencies are whole multiples of 1 / FRACTION, so shifts are exact at any position
BASE = 1000.0


@dataclass(frozen=True)
class PhaseShifts:
    """Shifts of every token and head, in micro-steps.

    Args:
        query_LH: shift of the queries, int64 in [0, T), (L, H).
        key_LH: shift of the keys, int64 in [0, T), (L, H).
        steps: T.
    """

    query_LH: Tensor
    key_LH: Tensor
    steps: int


def phase_period(steps: int) -> int:
    """Tokens after which the phases of all heads come again: positions matter modulo this number.

    Args:
        steps: T, >= 1.
    """
    return steps * FRACTION


def phases(
    heads: int,
    length: int,
    steps: int,
    *,
    start: int = 0,
    base: float = BASE,
    key_offset: bool = True,
    device: torch.device | str | None = None,
) -> PhaseShifts:
    """PhaseShifts of tokens: how far each head shifts the spikes of its queries and keys.

        query: s_h(i) = round(omega_h i) mod T,   omega_h = base^(-h / H)
        key:   s_h(j) + delta_h mod T,            delta_h = round(h T / H)

    omega_h is rounded to a multiple of 2^-20, so that the shifts are exact, and come again, at any position.

    Args:
        heads: H, >= 1.
        length: L, tokens, >= 0.
        steps: T, micro-steps of a token, >= 1.
        start: position of the first token, >= 0.
        base: ratio of the fastest to the slowest frequency, about; >= 1.
        key_offset: whether the keys carry delta_h.
        device: where the shifts live.

    Returns:
        The shifts.

    Raises:
        ValueError: a value is out of its range.

    References:
        Su et al. (2021), arXiv 2104.09864, section 3.2: the score of rotated queries and keys depends on their relative
        position. Here the rotation is a circular shift in spike time.
    """
    for name, value, least in (("heads", heads, 1), ("length", length, 0), ("steps", steps, 1), ("start", start, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"phases: {name} must be a whole number >= {least}, got {value!r}")
    if not base >= 1:
        raise ValueError(f"phases: base must be at least 1, got {base}")
    head_H = torch.arange(heads, device=device)
    omega_H = (float(base) ** (-head_H.double() / heads) * FRACTION).round().long()
    first = start % phase_period(steps)
    position_L = (torch.arange(length, device=device) + first) % phase_period(steps)
    query_LH = (position_L[:, None] * omega_H + FRACTION // 2).div(FRACTION, rounding_mode="floor") % steps
    delta_H = (head_H * steps + heads // 2).div(heads, rounding_mode="floor")
    return PhaseShifts(query_LH, (query_LH + delta_H) % steps if key_offset else query_LH, steps)


def shift_in_time(x_TBHLd: Tensor, shift_LH: Tensor) -> Tensor:
    """Shift spike trains circularly in their micro-steps: y[t] = x[(t - shift) mod T].

    Args:
        x_TBHLd: any dtype, (T, B, H, L, d).
        shift_LH: int64, (L, H).

    Returns:
        The shifted trains, (T, B, H, L, d), contiguous.

    Raises:
        ValueError: the shapes disagree.
    """
    T, B, H, L, d = _axes(x_TBHLd)
    if shift_LH.shape != (L, H):
        raise ValueError(f"shift_in_time: shifts {tuple(shift_LH.shape)} do not fit {L} tokens and {H} heads")
    rows = heads_layout(shift_LH, (T, B, L, H))
    return _PermutedRows.apply(x_TBHLd.transpose(2, 3).reshape(-1, d), rows).view(T, B, H, L, d)


def heads_layout(shift_LH: Tensor, shape: tuple[int, int, int, int], *, groups: int = 1, group: int = 0) -> Tensor:
    """Rows of (T, B, L, groups, H) spike vectors that, taken in this order, are one group shifted, as (T, B, H, L).

    Args:
        shift_LH: shifts in micro-steps, int64, (L, H).
        shape: (T, B, L, H).
        groups: how many kinds of heads (queries, keys, values) lie beside each other in a token's row.
        group: which of them to take.

    Returns:
        Row numbers, int64, (T B H L,).
    """
    T, B, L, H = shape
    device = shift_LH.device
    time_THL = (torch.arange(T, device=device)[:, None, None] - shift_LH.T) % T
    head_HL = (torch.arange(L, device=device) * groups + group) * H + torch.arange(H, device=device)[:, None]
    row_THL = time_THL * (B * L * groups * H) + head_HL
    batch_B = torch.arange(B, device=device) * (L * groups * H)
    return (row_THL[:, None] + batch_B[:, None, None]).reshape(-1)


def split_heads(x_TBLE: Tensor, phases_: PhaseShifts | None, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Take queries, keys and values of all heads from one spike tensor, queries and keys shifted by their phases.

    One pass over memory: the shift costs nothing beyond the change of layout.

    Args:
        x_TBLE: spikes, (T, B, L, 3 D) with D = H d: queries, keys and values beside each other.
        phases_: shifts, or None for none.
        heads: H.

    Returns:
        Shifted queries, shifted keys and values, each (T, B, H, L, d), contiguous.
    """
    T, B, L, E = x_TBLE.shape
    d = E // (3 * heads)
    shape = (T, B, L, heads)
    none_LH = torch.zeros(L, heads, dtype=torch.int64, device=x_TBLE.device)
    shifts = (none_LH, none_LH) if phases_ is None else (phases_.query_LH, phases_.key_LH)
    rows = torch.cat(
        [heads_layout(shift, shape, groups=3, group=group) for group, shift in enumerate((*shifts, none_LH))]
    )
    q, k, v = _PermutedRows.apply(x_TBLE.reshape(-1, d), rows).view(3, T, B, heads, L, d)
    return q, k, v


class _PermutedRows(torch.autograd.Function):
    """Rows of a matrix in another order; each row once, so the gradient is a gather too."""

    @staticmethod
    def forward(ctx: Any, x_Nd: Tensor, rows_N: Tensor) -> Tensor:
        ctx.save_for_backward(rows_N)
        return x_Nd.index_select(0, rows_N)

    @staticmethod
    def backward(ctx: Any, gradient_Nd: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (rows_N,) = ctx.saved_tensors
        back_N = torch.empty_like(rows_N)
        back_N[rows_N] = torch.arange(len(rows_N), device=rows_N.device)
        return gradient_Nd.contiguous().index_select(0, back_N), None


def _axes(x_TBHLd: Tensor) -> tuple[int, int, int, int, int]:
    if x_TBHLd.ndim != 5:
        raise ValueError(f"shift_in_time: expected (T, B, heads, L, d), got {tuple(x_TBHLd.shape)}")
    T, B, H, L, d = x_TBHLd.shape
    return T, B, H, L, d
