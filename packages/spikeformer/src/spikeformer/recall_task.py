"""Copy and recall: items shown at the start of a text, asked for after a long stretch of other tokens.

    item_1 ... item_K  distractor_1 ... distractor_D  cue  item_1 ... item_{K-1}
                                                      -> item_1 ... item_K

Shapes: B sequences, L = 2 K + D tokens of each, K items.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from ddp_utils import keyed_generator, progress
from torch import Tensor, nn
from torch.nn import functional

from spikeformer.token_model import TokenModel

_MASTERED, _KEPT = 0.9, 0.9  # share of right items, averaged over about ten steps


@dataclass(frozen=True)
class RecallTask:
    """Sequences that are recalled; each is drawn by its key.

    Args:
        items: K, how many are shown, >= 1.
        symbols: how many different items there are, >= 2.
        distractors: D, tokens between the items and the cue, >= 0.
        distractor_symbols: how many different ones there are, >= 1; none of them is an item.

    Raises:
        ValueError: a number is out of its range.

    References:
        Hochreiter, Schmidhuber (1997), Neural Computation 9(8), section 5: long time lags between cue and recall.
        Arjovsky, Shah, Bengio (2016), arXiv 1511.06464, section 5.1: the copying memory problem.
        Departs from the second: distractors are drawn from several symbols instead of one blank, and the items
        recalled so far are given.
    """

    items: int = 4
    symbols: int = 8
    distractors: int = 1000
    distractor_symbols: int = 8

    def __post_init__(self) -> None:
        least = {"items": 1, "symbols": 2, "distractors": 0, "distractor_symbols": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"RecallTask: {name} must be at least {value}, got {getattr(self, name)}")

    @property
    def vocab_size(self) -> int:
        """Items, distractors and the cue."""
        return self.symbols + self.distractor_symbols + 1

    @property
    def cue(self) -> int:
        """The token that asks for the items."""
        return self.vocab_size - 1

    @property
    def length(self) -> int:
        """Tokens L of a sequence."""
        return 2 * self.items + self.distractors

    def batch(self, first: int, n: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Sequences number first to first + n - 1.

        Args:
            first: number of the first, >= 0.
            n: how many, >= 1.
            seed: keys the draws.

        Returns:
            Tokens, int64, (n, L), and the items that the last K outputs should be, int64, (n, K).
        """
        rows, targets = [], []
        for number in range(first, first + n):
            generator = keyed_generator(seed, "recall", number)
            items_K = torch.randint(self.symbols, (self.items,), generator=generator)
            between = torch.randint(self.distractor_symbols, (self.distractors,), generator=generator) + self.symbols
            rows.append(torch.cat([items_K, between, torch.tensor([self.cue]), items_K[:-1]]))
            targets.append(items_K)
        return torch.stack(rows), torch.stack(targets)


@dataclass(frozen=True)
class RecallFigures:
    """How well items are recalled.

    Args:
        accuracy: share of items that are named rightly, of sequences not seen in training.
        sequences_right: share of sequences with all items right.
        chance: accuracy of guessing.
        sequences: how many were judged.
        steps: training steps.
    """

    accuracy: float
    sequences_right: float
    chance: float
    sequences: int
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def train_recall(
    model: TokenModel,
    task: RecallTask,
    *,
    steps: int = 1000,
    batch: int = 16,
    learning_rate: float = 3e-3,
    curriculum: bool = True,
    judged: int = 256,
    seed: int = 0,
    quiet: bool = True,
) -> RecallFigures:
    """Train a model to recall, with gradients through the whole sequence, and judge it on new sequences.

    Args:
        model: a `Spikeformer` or a `dense_twin` of at least the task's vocabulary, trained in place.
        task: what is recalled.
        steps: optimizer steps, >= 1: Adam, linear warm-up over a twentieth, then a cosine to zero.
        batch: sequences a step, >= 1.
        learning_rate: peak, > 0.
        curriculum: begin with few distractors, 8: they double when nine in ten items of the last steps were right.
        judged: sequences to judge by, >= 1.
        seed: keys the sequences.
        quiet: no progress bar.

    Returns:
        The figures for the task with all its distractors.

    Raises:
        ValueError: an argument is out of its range, or the model's vocabulary is too small.
    """
    if min(steps, batch, judged) < 1 or not 0 < learning_rate < math.inf:
        raise ValueError(
            f"train_recall: steps, batch, judged and learning_rate must be positive, got {steps}, {batch}, {judged} "
            f"and {learning_rate}"
        )
    if model.config.vocab_size < task.vocab_size:
        raise ValueError(f"train_recall: the task has {task.vocab_size} tokens, the model {model.config.vocab_size}")
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, betas=(0.9, 0.98))
    distractors, mastered = min(8, task.distractors) if curriculum else task.distractors, 0.0
    model.train()
    with progress("recall", steps, quiet=quiet) as bar:
        for step in range(steps):
            now = replace(task, distractors=distractors)
            tokens_BL, items_BK = (tensor.to(device) for tensor in now.batch(step * batch, batch, seed=seed))
            logits_BKV = model(tokens_BL).logits[:, -task.items :]
            loss = functional.cross_entropy(logits_BKV.flatten(0, 1), items_BK.flatten())
            warm = min(1.0, 20 * (step + 1) / steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            right = float((logits_BKV.argmax(-1) == items_BK).float().mean())
            mastered = _KEPT * mastered + (1 - _KEPT) * right
            if mastered > _MASTERED and distractors < task.distractors:
                distractors, mastered = min(2 * distractors, task.distractors), 0.0
            bar.advance(loss=float(loss.detach()), distractors=distractors)
    return evaluate_recall(model, task, judged=judged, batch=batch, seed=seed, steps=steps)


@torch.no_grad()
def evaluate_recall(
    model: TokenModel, task: RecallTask, *, judged: int = 256, batch: int = 16, seed: int = 0, steps: int = 0
) -> RecallFigures:
    """Judge a model on sequences that training does not draw.

    Args:
        model: as for `train_recall`.
        task: what is recalled.
        judged: sequences, >= 1.
        batch: sequences at once, >= 1; it does not change the result.
        seed: keys the sequences.
        steps: training steps to note in the figures.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    right = whole = 0
    for first in range(0, judged, batch):
        tokens_BL, items_BK = task.batch(first, min(batch, judged - first), seed=~seed)
        found_BK = model(tokens_BL.to(device)).logits[:, -task.items :].argmax(-1).cpu()
        right += int((found_BK == items_BK).sum())
        whole += int((found_BK == items_BK).all(1).sum())
    model.train(was_training)
    return RecallFigures(right / (judged * task.items), whole / judged, 1 / task.symbols, judged, steps)
