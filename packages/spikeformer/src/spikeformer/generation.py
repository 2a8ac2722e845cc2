"""Text from a model, token by token, in memory that does not grow with the text.

Shapes: L tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

from spikeformer.model_state import SpikeformerState
from spikeformer.token_model import TokenModel

_PROMPT_CHUNK = 512  # tokens of the prompt read at once


def generate(
    model: TokenModel,
    prompt_tokens: Tensor | Sequence[int],
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    state: SpikeformerState | None = None,
) -> Iterator[int]:
    """Go on with a text.

    A token is drawn with a number keyed by seed and position, so the same seed gives the same text, whatever is drawn
    elsewhere. In memory there are the state, which does not grow, and one token.

    Args:
        model: a `Spikeformer` or a `dense_twin`.
        prompt_tokens: the text so far, tokens in [0, V), (L,), L >= 1.
        n: tokens to make, >= 0.
        temperature: logits are divided by it, >= 0; 0 takes the most likely token.
        top_k: draw among the k most likely tokens only; 0: among all.
        seed: keys the draws, any integer.
        state: of a text before the prompt, one sequence.

    Returns:
        An iterator over n tokens. Each is computed when it is asked for.

    Raises:
        TypeError: the prompt is not of whole numbers.
        ValueError: a value is out of range, or the prompt is empty; from the iterator, logits are not finite.
    """
    prompt_L = torch.as_tensor(prompt_tokens)
    if prompt_L.is_floating_point() and prompt_L.numel():
        raise TypeError(f"generate: prompt_tokens must be whole numbers, got {prompt_L.dtype}")
    if prompt_L.ndim != 1 or not len(prompt_L):
        raise ValueError(f"generate: prompt_tokens must be (L,) with L >= 1, got {tuple(prompt_L.shape)}")
    for name, value in (("n", n), ("top_k", top_k)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"generate: {name} must be a whole number >= 0, got {value!r}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"generate: temperature must be a finite number >= 0, got {temperature}")
    device = next(model.parameters()).device
    return _generate(model, prompt_L.long().to(device), n, temperature, top_k, seed, state)


def _generate(
    model: TokenModel,
    prompt_L: Tensor,
    n: int,
    temperature: float,
    top_k: int,
    seed: int,
    state: SpikeformerState | None,
) -> Iterator[int]:
    *earlier, part_BL = prompt_L[None].split(_PROMPT_CHUNK, 1)
    with torch.inference_mode():
        for earlier_BL in earlier:
            state = model(earlier_BL, state).state
    for _ in range(n):
        with torch.inference_mode():  # not across the yield: the mode is the thread's, and the caller runs there
            output = model(part_BL, state)
        state, position = output.state, output.state.position
        token = draw_token(output.logits[0, -1], temperature, top_k, seed=seed, position=position)
        yield token
        part_BL = prompt_L.new_tensor([[token]])


def draw_token(logits_V: Tensor, temperature: float, top_k: int, *, seed: int, position: int) -> int:
    """Draw one token by inversion of the distribution function, in float64 on the CPU.

    Args:
        logits_V: logits, (V,).
        temperature: they are divided by it; 0, or one so small that this overflows, takes the greatest, the first of
            equals.
        top_k: only the k greatest count; 0: all.
        seed: keys the draw.
        position: keys the draw, >= 0.

    Returns:
        The token.

    Raises:
        ValueError: a logit is NaN or infinite; minus infinity is allowed for all but one.
    """
    logits_V = logits_V.double().cpu()
    greatest = logits_V.max()
    if not greatest.isfinite():
        raise ValueError(f"generate: logits at position {position} must be finite, got {float(greatest)}")
    if temperature == 0 or not (greatest / temperature).isfinite():
        return int((logits_V == greatest).nonzero()[0, 0])
    if 0 < top_k < len(logits_V):
        kept = logits_V.argsort(descending=True, stable=True)[:top_k]
        logits_V = torch.full_like(logits_V, -torch.inf).index_copy(0, kept, logits_V[kept])
    cumulative_V = torch.softmax(logits_V / temperature, 0).cumsum(0)
    place = torch.rand(1, generator=keyed_generator(seed, "generate", position), dtype=torch.float64)
    token = int(torch.searchsorted(cumulative_V, place * cumulative_V[-1], right=True))
    return min(token, int(logits_V.isfinite().nonzero()[-1, 0]))
