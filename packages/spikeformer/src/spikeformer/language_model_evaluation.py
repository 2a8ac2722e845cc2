"""How well a model predicts a text: bits a token, a byte and a character.

Shapes: B streams, L tokens of each at once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ddp_utils import progress, rank, world_size
from torch import Tensor
from torch.nn import functional

from spikeformer.rate_control import FiringFigures, Rates, reduce_rates, sum_rates
from spikeformer.token_model import TokenModel
from spikeformer.token_stream import TokenSource


@dataclass(frozen=True)
class LanguageModelFigures:
    """What `evaluate_language_model` measures.

    Args:
        tokens: how many were predicted.
        bits_per_token: mean cross-entropy.
        bits_per_byte: of all tokens, over the bytes of their text; an end of document costs bits and has no bytes.
        bits_per_character: the same over its characters.
        perplexity: 2^bits_per_token.
        firing: of the neurons; None for a model without any.
    """

    tokens: int
    bits_per_token: float
    bits_per_byte: float
    bits_per_character: float
    perplexity: float
    firing: FiringFigures | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, figures: dict[str, Any]) -> LanguageModelFigures:
        """What `to_dict` gave."""
        firing = figures["firing"]
        return cls(**{**figures, "firing": None if firing is None else FiringFigures(**firing)})


@torch.no_grad()
def evaluate_language_model(
    model: TokenModel,
    source: TokenSource,
    *,
    streams: int = 8,
    length: int = 256,
    tokens: int = 0,
    quiet: bool = True,
) -> LanguageModelFigures:
    """Predict every token of a text from those before it.

    The text is cut into equal parts that are read side by side, each from an empty state that is then carried on to
    its end: with one stream the first token alone has nothing before it. Parts are dealt to the processes of the group,
    all of which call it; the result is that of one process, up to rounding.

    Args:
        model: a `Spikeformer` or a `dense_twin`.
        source: the text, at least 2 tokens.
        streams: parts, >= 1; fewer where the text is shorter.
        length: tokens of each part at once, >= 1; it changes memory and speed, not the result.
        tokens: tokens of the text to use, from its start; 0 for all.
        quiet: no progress bar.

    Returns:
        The figures; the first token of the text is not among the predicted ones.

    Raises:
        ValueError: an argument is out of its range, or the text or its vocabulary does not fit.
    """
    n = min(len(source), tokens or len(source))
    if streams < 1 or length < 1 or tokens < 0 or n < 2:
        raise ValueError(
            f"evaluate_language_model: expected streams >= 1, length >= 1, tokens >= 0 and a text of 2 tokens or more, "
            f"got {streams}, {length}, {tokens} and {n}"
        )
    check_vocabulary("evaluate_language_model", model, source)
    n_predicted = n - 1
    streams = min(streams, n_predicted)
    edges = [n_predicted * stream // streams for stream in range(streams + 1)]
    own = list(range(rank(), streams, world_size()))
    was_training = model.training
    model.eval()
    try:
        bits, rates = _read(model, source, [(edges[s], edges[s + 1]) for s in own], length, n_predicted, quiet=quiet)
    finally:
        model.train(was_training)
    if dist.is_initialized():
        dist.all_reduce(bits)
    total = float(bits)
    n_bytes, n_characters = source.measure(1, n)
    per_token = total / n_predicted
    return LanguageModelFigures(
        tokens=n_predicted,
        bits_per_token=per_token,
        bits_per_byte=total / n_bytes if n_bytes else math.nan,
        bits_per_character=total / n_characters if n_characters else math.nan,
        perplexity=2.0 ** min(per_token, 1000.0),
        firing=FiringFigures.of(rates, model.config.rate_band),
    )


def check_vocabulary(function: str, model: TokenModel, source: TokenSource) -> None:
    """Refuse a text with entries that the model does not know.

    Raises:
        ValueError: the vocabulary of the text is the larger one.
    """
    known = model.config.vocab_size
    if source.vocab_size > known:
        raise ValueError(f"{function}: the text has a vocabulary of {source.vocab_size}, the model one of {known}")


def _read(
    model: TokenModel, source: TokenSource, parts: list[tuple[int, int]], length: int, n_all: int, *, quiet: bool
) -> tuple[Tensor, Rates]:
    """Bits of this process's parts, float64, and the mean rates over all processes."""
    device = next(model.parameters()).device
    bits, total = torch.zeros((), dtype=torch.float64), {}

    def predict(starts: list[int], n: int, state: Any) -> Any:
        """Predict the n tokens after the one at each start."""
        nonlocal bits
        rows = [torch.from_numpy(source.read(start, start + n + 1).astype(np.int64)) for start in starts]
        tokens_BL = torch.stack(rows).to(device)
        out = model(tokens_BL[:, :-1], state)
        logits, targets = out.logits.float().flatten(0, 1), tokens_BL[:, 1:].flatten()
        bits += functional.cross_entropy(logits, targets, reduction="none").double().sum().cpu() / math.log(2)
        sum_rates(total, out.channel_rates, n * len(starts) / n_all)
        bar.advance(n * len(starts))
        return out.state

    shortest = min((last - first for first, last in parts), default=0)
    state = None
    with progress("evaluating", sum(last - first for first, last in parts), unit="tokens", quiet=quiet) as bar:
        for at in range(0, shortest, length):
            state = predict([first + at for first, _ in parts], min(length, shortest - at), state)
        longer = [i for i, (first, last) in enumerate(parts) if last - first > shortest]  # by one token
        if longer:
            rest = None if state is None else state.select(torch.tensor(longer))
            predict([parts[i][0] + shortest for i in longer], 1, rest)
    return bits, reduce_rates(total)
