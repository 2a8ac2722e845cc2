"""Phase-shifted spiking self-attention in its modes.

Shapes: T micro-steps, B sequences, H heads, L tokens, d channels of a head, P keys kept of earlier tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikeformer.config import Attention
from spikeformer.phase import PhaseShifts, shift_in_time
from spikeformer.retention import memory_decays, retention


@dataclass(frozen=True)
class AttentionState:
    """What attention keeps of the tokens so far.

    Args:
        memory: linear mode: M of every micro-step, sequence and head, (T, B, H, d, d).
        keys: other modes: the last keys, shifted, at most context - 1 of them, (T, B, H, P, d); bool where they are
            spikes.
        values: their values, the same shape.
    """

    memory: Tensor | None = None
    keys: Tensor | None = None
    values: Tensor | None = None


def pssa(
    q_TBHLd: Tensor,
    k_TBHLd: Tensor,
    v_TBHLd: Tensor,
    *,
    mode: Attention,
    phases: PhaseShifts | None = None,
    delay_H: Tensor | None = None,
    inhibition_Hd: Tensor | None = None,
    decay_H: Tensor | None = None,
    alpha: float | Tensor = 1.0,
    context: int = 512,
    state: AttentionState | None = None,
    chunk: int = 64,
) -> tuple[Tensor, AttentionState]:
    """Attend to spikes of earlier tokens, with position as the relative shift of queries and keys in spike time.

        Q~_i[t] = Q_i[t - s_h(i)] - c,   K~_j[t] = K_j[t - s_h(j) - delta_h]     circular in the T micro-steps
        S_ij    = alpha sum_t <Q~_i[t], K~_j[t]>                             j <= i, i - j < context
        coincidence: O_i[t] = sum_j S_ij V_j[t]
        softmax:     O_i[t] = sum_j softmax_j(S_ij) V_j[t]
        linear:      M_i[t] = lambda_h M_{i-1}[t] + K~_i[t] V_i[t]^T,   O_i[t] = alpha Q~_i[t] M_i[t]

    The scores do not change where queries and keys are shifted alike. The outputs are currents: a LIF neuron makes
    spikes of them.

    Args:
        q_TBHLd: queries, spikes (0 or 1) in floating point, (T, B, H, L, d).
        k_TBHLd: keys, likewise.
        v_TBHLd: values, likewise.
        mode: "linear", "coincidence" or "softmax".
        phases: shifts of these L tokens, `spikeformer.phases`; None: no shifts.
        inhibition_Hd: c, taken off the queries, (H, d); None: nothing. Spikes are positive, so unrelated queries and
            keys coincide too: with c the rate of the queries' spikes, such scores are zero in the mean. It is
            feed-forward inhibition: every key spike takes c off all scores, whatever the query.
        delay_H: offsets of the keys in micro-steps, real, beside those of the phases, (H,): between whole numbers the
            two neighbouring shifts are mixed, so they can be learned.
        decay_H: lambda of the linear mode, in (0, 1], (H,); by default `spikeformer.retention.memory_decays`.
        alpha: gain of the scores, a number or (H,).
        context: keys that the other modes look back on, the token's own included, >= 1.
        state: what an earlier call gave, to go on after its last token. Keys and values in it carry no gradient.
        chunk: tokens that are computed at once, >= 1; in the other modes at least context.

    Returns:
        Currents, (T, B, H, L, d), and the state after the last token.

    Raises:
        ValueError: the mode is unknown, shapes disagree, or the state is of another mode.
    """
    if q_TBHLd.ndim != 5 or not q_TBHLd.shape == k_TBHLd.shape == v_TBHLd.shape:
        raise ValueError(
            "pssa: expected queries, keys and values of one shape (T, B, heads, L, d), got "
            f"{tuple(q_TBHLd.shape)}, {tuple(k_TBHLd.shape)}, {tuple(v_TBHLd.shape)}"
        )
    if chunk < 1 or context < 1:
        raise ValueError(f"pssa: chunk and context must be at least 1, got chunk={chunk}, context={context}")
    steps = q_TBHLd.shape[0]
    if phases is not None and phases.steps != steps:
        raise ValueError(f"pssa: phases of {phases.steps} micro-steps do not fit spikes of {steps}")
    heads = q_TBHLd.shape[2]
    if inhibition_Hd is not None and inhibition_Hd.shape != (heads, q_TBHLd.shape[4]):
        raise ValueError(f"pssa: inhibition_Hd must be ({heads}, {q_TBHLd.shape[4]}), got {tuple(inhibition_Hd.shape)}")
    for name, tensor in (("delay_H", delay_H), ("decay_H", decay_H)):
        if tensor is not None and tensor.shape != (heads,):
            raise ValueError(f"pssa: {name} must have one entry for each of {heads} heads, got {tuple(tensor.shape)}")
    if phases is not None:
        q_TBHLd = shift_in_time(q_TBHLd, phases.query_LH)
        k_TBHLd = shift_in_time(k_TBHLd, phases.key_LH)
    if inhibition_Hd is not None:
        q_TBHLd = inhibited(q_TBHLd, inhibition_Hd)
    if delay_H is not None:
        whole_LH = delay_H.detach().floor().long().expand(q_TBHLd.shape[3], heads)
        k_TBHLd = mix_neighbours(shift_in_time(k_TBHLd, whole_LH), delay_H)
    return attend(
        q_TBHLd,
        k_TBHLd,
        v_TBHLd,
        mode=mode,
        decay_H=decay_H,
        alpha=alpha,
        context=context,
        state=state,
        chunk=chunk,
        spikes=delay_H is None,
    )


def mix_neighbours(k_TBHLd: Tensor, delay_H: Tensor) -> Tensor:
    """Shift keys by the fraction of a delay: (1 - f) k[t] + f k[t - 1], f = delay - floor(delay).

    Args:
        k_TBHLd: keys that are shifted by the whole part already, (T, B, H, L, d).
        delay_H: delays in micro-steps, (H,).

    Returns:
        Keys, (T, B, H, L, d).
    """
    fraction_H11 = (delay_H - delay_H.detach().floor()).to(k_TBHLd.dtype)[:, None, None]
    return torch.lerp(k_TBHLd, k_TBHLd.roll(1, 0), fraction_H11)


def inhibited(q_TBHLd: Tensor, inhibition_Hd: Tensor) -> Tensor:
    """Take a number off the queries of every head and channel, (T, B, H, L, d) and (H, d)."""
    return q_TBHLd - inhibition_Hd[:, None].to(q_TBHLd.dtype)


def attend(
    q_TBHLd: Tensor,
    k_TBHLd: Tensor,
    v_TBHLd: Tensor,
    *,
    mode: Attention,
    decay_H: Tensor | None = None,
    alpha: float | Tensor = 1.0,
    context: int = 512,
    state: AttentionState | None = None,
    chunk: int = 64,
    spikes: bool = False,
) -> tuple[Tensor, AttentionState]:
    """Attention without shifts, as of queries and keys that carry their positions already.

    Args:
        q_TBHLd: queries, floating point, (T, B, H, L, d).
        k_TBHLd: keys, likewise.
        v_TBHLd: values, likewise.
        mode: as in `pssa`.
        decay_H: as in `pssa`.
        alpha: as in `pssa`.
        context: as in `pssa`.
        state: as in `pssa`.
        chunk: as in `pssa`.
        spikes: whether keys and values are 0 or 1 throughout; the state then keeps them as bool.

    Returns:
        As `pssa`.

    Raises:
        ValueError: the mode is unknown, or the state is of another mode.
    """
    if mode not in ("linear", "coincidence", "softmax"):
        raise ValueError(f"pssa: mode must be linear, coincidence or softmax, got {mode!r}")
    with torch.autocast(q_TBHLd.device.type, enabled=False):  # sums over many tokens need float32
        dtype = torch.promote_types(q_TBHLd.dtype, torch.float32)
        q_TBHLd, k_TBHLd, v_TBHLd = q_TBHLd.to(dtype), k_TBHLd.to(dtype), v_TBHLd.to(dtype)
        state = state or AttentionState()
        return _attend(q_TBHLd, k_TBHLd, v_TBHLd, mode, decay_H, alpha, context, state, chunk, spikes)


def _attend(
    q_TBHLd: Tensor,
    k_TBHLd: Tensor,
    v_TBHLd: Tensor,
    mode: Attention,
    decay_H: Tensor | None,
    alpha: float | Tensor,
    context: int,
    state: AttentionState,
    chunk: int,
    spikes: bool,
) -> tuple[Tensor, AttentionState]:
    if (state.keys if mode == "linear" else state.memory) is not None:
        raise ValueError(f"pssa: state is not one of mode {mode!r}")
    if mode == "linear":
        decay_H = memory_decays(q_TBHLd.shape[2], device=q_TBHLd.device) if decay_H is None else decay_H
        o_TBHLd, memory = retention(q_TBHLd, k_TBHLd, v_TBHLd, decay_H, state.memory, chunk=chunk)
        if isinstance(alpha, Tensor):
            alpha = alpha.to(o_TBHLd.dtype)[:, None, None]
        return o_TBHLd if isinstance(alpha, float) and alpha == 1.0 else o_TBHLd * alpha, AttentionState(memory=memory)
    return _windowed(q_TBHLd, k_TBHLd, v_TBHLd, mode, alpha, context, state, chunk, spikes)


def _windowed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mode: Attention,
    alpha: float | Tensor,
    context: int,
    state: AttentionState,
    chunk: int,
    spikes: bool,
) -> tuple[Tensor, AttentionState]:
    """Scores against the last keys; queries in blocks, so that memory grows with the length alone."""
    T, B, H, L, d = q.shape
    if state.keys is not None and state.values is not None:
        k = torch.cat([state.keys.to(k.dtype), k], 3)
        v = torch.cat([state.values.to(v.dtype), v], 3)
    past = k.shape[3] - L
    q, k_all, v_all = (x.permute(1, 2, 3, 0, 4).reshape(B, H, -1, T * d) for x in (q, k, v))
    if isinstance(alpha, Tensor):
        alpha = alpha.to(q.dtype)[:, None, None]
    outputs = []
    for start in range(0, L, max(chunk, context)):
        stop = min(L, start + max(chunk, context))
        first = max(0, past + start - context + 1)
        query_L = torch.arange(past + start, past + stop, device=q.device)
        key_P = torch.arange(first, past + stop, device=q.device)
        distance_LP = query_L[:, None] - key_P
        hidden_LP = (distance_LP < 0) | (distance_LP >= context)
        scores = (q[:, :, start:stop] @ k_all[:, :, first : past + stop].mT) * alpha
        if mode == "softmax":
            weights = scores.masked_fill(hidden_LP, -torch.inf).softmax(-1)
        else:
            weights = scores.masked_fill(hidden_LP, 0)
        outputs.append(weights @ v_all[:, :, first : past + stop])
    o = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2) if outputs else q
    o_TBHLd = o.view(B, H, L, T, d).permute(3, 0, 1, 2, 4)
    kept = min(context - 1, k.shape[3])
    keys, values = (x.detach()[:, :, :, x.shape[3] - kept :] for x in (k, v))
    dtype = torch.bool if spikes else k.dtype
    return o_TBHLd, AttentionState(keys=keys.to(dtype, copy=True), values=values.to(dtype, copy=True))
