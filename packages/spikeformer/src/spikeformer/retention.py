"""Linear attention with a decaying memory: chunked parallel form and single steps.

Shapes: T micro-steps (1 in the dense twin), B sequences, H heads, L tokens, d channels of a head, C tokens of a chunk,
N chunks.
"""

from __future__ import annotations

import torch
from torch import Tensor


def memory_decays(
    heads: int, *, shortest: float = 8.0, longest: float = 2000.0, device: torch.device | str | None = None
) -> Tensor:
    """Decays of the heads' memories, geometric in their time constants.

        lambda_h = 1 - 1 / tau_h,   tau_h from shortest to longest tokens

    Args:
        heads: H, >= 1; one head alone takes the longest.
        shortest: tau of the first head in tokens, > 1.
        longest: tau of the last head in tokens.
        device: where they live.

    Returns:
        Decays in (0, 1), float32, (H,).

    References:
        Sun et al. (2023), arXiv 2307.08621, section 2.2: retention with one decay a head.
    """
    first = 0.0 if heads > 1 else 1.0
    share_H = torch.linspace(first, 1, heads, dtype=torch.float64, device=device)
    return (1 - 1 / (shortest * (longest / shortest) ** share_H)).float()


def retention(
    q_TBHLd: Tensor,
    k_TBHLd: Tensor,
    v_TBHLd: Tensor,
    decay_H: Tensor,
    memory_TBHdd: Tensor | None = None,
    *,
    chunk: int = 64,
) -> tuple[Tensor, Tensor]:
    """Read a memory that decays and takes up every key with its value.

        M_i = lambda M_{i-1} + k_i v_i^T,   o_i = q_i M_i

    for every micro-step, sequence and head by itself. Within a chunk this is (q k^T . lambda^(i - j)) v with j <= i,
    between chunks the memory is carried; all chunks are computed at once, but for the sum of their memories.

    Args:
        q_TBHLd: queries, floating point, (T, B, H, L, d).
        k_TBHLd: keys, the same shape.
        v_TBHLd: values, the same shape.
        decay_H: lambda, in (0, 1], (H,).
        memory_TBHdd: M before the first token, (T, B, H, d, d); None: zero.
        chunk: C, >= 1.

    Returns:
        Outputs, (T, B, H, L, d), and the memory after the last token, (T, B, H, d, d).

    References:
        Sun et al. (2023), arXiv 2307.08621, equations 5 to 7.
    """
    T, B, H, L, d = q_TBHLd.shape
    decay_H = decay_H.to(q_TBHLd.dtype)
    if memory_TBHdd is None:
        memory_TBHdd = q_TBHLd.new_zeros(T, B, H, d, d)
    if L == 1:
        memory_TBHdd = decay_H[:, None, None] * memory_TBHdd + k_TBHLd.mT * v_TBHLd
        return q_TBHLd @ memory_TBHdd, memory_TBHdd
    outputs = []
    whole = L - L % chunk
    for start, stop, size in ((0, whole, chunk), (whole, L, L - whole)):
        if stop > start:
            q, k, v = (x[:, :, :, start:stop] for x in (q_TBHLd, k_TBHLd, v_TBHLd))
            output, memory_TBHdd = _chunks(q, k, v, decay_H, memory_TBHdd, size)
            outputs.append(output)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 3) if outputs else q_TBHLd, memory_TBHdd


def decay_mask(decay_H: Tensor, length: int) -> Tensor:
    """lambda^(i - j) for j <= i, else 0: (H, L, L)."""
    place_L = torch.arange(length, device=decay_H.device)
    distance_LL = place_L[:, None] - place_L
    return (decay_H[:, None, None] ** distance_LL.clamp(min=0)) * (distance_LL >= 0)


def _chunks(q: Tensor, k: Tensor, v: Tensor, decay_H: Tensor, memory_TBHdd: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Retention of a whole number of chunks."""
    T, B, H, L, d = q.shape
    n = L // size
    q, k, v = (x.reshape(T * B, H, n, size, d) for x in (q, k, v))
    place_C = torch.arange(size, device=q.device)
    since_HC = decay_H[:, None] ** (place_C + 1)
    until_HC = decay_H[:, None] ** (size - 1 - place_C)

    added = (k * until_HC[:, None, :, None]).mT @ v
    before, memory = [], memory_TBHdd.reshape(T * B, H, d, d)
    for added_n in added.unbind(2):
        before.append(memory)
        memory = decay_H[:, None, None] ** size * memory + added_n
    carried = before[0][:, :, None] if n == 1 else torch.stack(before, 2)

    scores = (q @ k.mT) * decay_mask(decay_H, size)[:, None]
    output = torch.baddbmm(
        ((q * since_HC[:, None, :, None]) @ carried).view(-1, size, d),
        scores.view(-1, size, size),
        v.reshape(-1, size, d),
    )
    return output.view(T, B, H, L, d), memory.view(T, B, H, d, d)
