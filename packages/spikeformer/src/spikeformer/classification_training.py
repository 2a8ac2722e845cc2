"""Training a classifier of texts from scratch on labelled texts.

Shapes: B texts, L tokens of the longest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from ddp_utils import keyed_generator, progress
from torch import Tensor, nn
from torch.nn import functional

from spikeformer.heads import TextClassifier


def pad_texts(texts: Sequence[Sequence[int]], longest: int) -> tuple[Tensor, Tensor]:
    """Texts of different lengths as one batch.

    Args:
        texts: tokens of each, at least one in each.
        longest: tokens to keep of each, from its start, >= 1.

    Returns:
        Tokens, filled up with 0, int64, (B, L), and which of them belong to a text, bool, (B, L).

    Raises:
        ValueError: a text is empty, or there is none.
    """
    if not texts or not all(len(text) for text in texts):
        raise ValueError("pad_texts: every text must have a token")
    rows = [torch.as_tensor(list(text[:longest]), dtype=torch.int64) for text in texts]
    tokens_BL = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths_B = torch.tensor([len(row) for row in rows])
    return tokens_BL, torch.arange(tokens_BL.shape[1]) < lengths_B[:, None]


def train_classifier(
    classifier: TextClassifier,
    texts: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    epochs: int = 5,
    batch: int = 32,
    longest: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.05,
    rate_weight: float = 0.25,
    seed: int = 0,
    quiet: bool = True,
) -> list[float]:
    """Train a classifier with AdamW: linear warm-up over a tenth of the steps, then a cosine to zero.

    Args:
        classifier: trained in place where it is.
        texts: tokens of each text, (n,), at least one in each.
        labels: class of each text, 0 to classes - 1.
        epochs: times that every text is read, >= 1.
        batch: texts a step, >= 1.
        longest: tokens to read of each text, >= 1.
        learning_rate: peak, > 0.
        weight_decay: of all matrices, >= 0.
        rate_weight: of the loss that keeps firing rates in the model's band, >= 0.
        seed: keys the order of the texts.
        quiet: no progress bar.

    Returns:
        Mean cross-entropy of each epoch, nats.

    Raises:
        ValueError: an argument is out of its range, or labels do not fit the texts.
    """
    n, classes = len(texts), len(classifier.get_parameter("readout.bias"))
    if n != len(labels) or not n or not 0 <= min(labels) <= max(labels) < classes:
        raise ValueError(f"train_classifier: {len(labels)} labels do not fit {n} texts and the classifier's classes")
    if min(epochs, batch, longest) < 1 or not 0 < learning_rate < math.inf or min(weight_decay, rate_weight) < 0:
        raise ValueError(
            f"train_classifier: expected epochs, batch, longest >= 1, learning_rate > 0, weights >= 0, got {epochs}, "
            f"{batch}, {longest}, {learning_rate}, {weight_decay} and {rate_weight}"
        )
    device = next(classifier.parameters()).device
    matrices = [parameter for parameter in classifier.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in classifier.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    steps, step = epochs * -(-n // batch), 0
    warmup = max(1, steps // 10)
    means = []
    classifier.train()
    with progress("classifier", steps, quiet=quiet) as bar:
        for epoch in range(epochs):
            total = 0.0
            order = torch.randperm(n, generator=keyed_generator(seed, "texts", epoch)).tolist()
            for rows in (order[first : first + batch] for first in range(0, n, batch)):
                tokens_BL, mask_BL = pad_texts([texts[row] for row in rows], longest)
                out = classifier(tokens_BL.to(device), mask_BL.to(device))
                targets_B = torch.tensor([labels[row] for row in rows], device=device)
                loss = functional.cross_entropy(out.logits, targets_B)
                optimizer.zero_grad(set_to_none=True)
                (loss + rate_weight * out.rate_loss).backward()
                down = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, steps - warmup)))
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * min((step + 1) / warmup, down)
                nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
                optimizer.step()
                step += 1
                total += float(loss.detach()) * len(rows)
                bar.advance(loss=float(loss.detach()))
            means.append(total / n)
    return means


@torch.no_grad()
def classifier_accuracy(
    classifier: TextClassifier,
    texts: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    batch: int = 64,
    longest: int = 256,
) -> float:
    """Share of texts whose most likely class is the right one.

    Args:
        classifier: of texts.
        texts: tokens of each text.
        labels: class of each text.
        batch: texts at once, >= 1; it does not change the result.
        longest: tokens to read of each text, >= 1.

    Returns:
        The share, in [0, 1].
    """
    device = next(classifier.parameters()).device
    was_training = classifier.training
    classifier.eval()
    right = 0
    for first in range(0, len(texts), batch):
        tokens_BL, mask_BL = pad_texts(texts[first : first + batch], longest)
        found_B = classifier(tokens_BL.to(device), mask_BL.to(device)).logits.argmax(-1).cpu()
        right += int((found_B == torch.tensor(labels[first : first + batch])).sum())
    classifier.train(was_training)
    return right / len(texts)
