"""Recall over a stretch of distractors, with working memory and without; classification of texts from scratch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from spikeformer.classification_training import classifier_accuracy, pad_texts, train_classifier
from spikeformer.config import SpikeformerConfig
from spikeformer.dense import dense_twin
from spikeformer.heads import TextClassifier
from spikeformer.model import Spikeformer
from spikeformer.recall_task import RecallTask, evaluate_recall, train_recall

TASK = RecallTask(items=2, symbols=4, distractors=24, distractor_symbols=2)
SMALL: dict[str, Any] = {
    "vocab_size": TASK.vocab_size,
    "dim": 32,
    "heads": 2,
    "layers": 1,
    "steps": 2,
    "mlp_ratio": 2,
    "segment": 8,
}


def test_sequences_are_what_they_are_said_to_be():
    task = RecallTask(items=3, symbols=5, distractors=20, distractor_symbols=4)
    tokens_BL, items_BK = task.batch(7, 6, seed=3)
    assert tokens_BL.shape == (6, task.length)
    assert torch.equal(tokens_BL[:, :3], items_BK)
    between = tokens_BL[:, 3:23]
    assert ((between >= 5) & (between < 9)).all()
    assert (tokens_BL[:, 23] == task.cue).all()
    assert torch.equal(tokens_BL[:, 24:], items_BK[:, :2])
    assert torch.equal(task.batch(9, 1, seed=3)[0][0], tokens_BL[2]), "a sequence depends on its number alone"
    assert not torch.equal(task.batch(7, 6, seed=4)[0], tokens_BL)


@pytest.mark.parametrize("make", [Spikeformer, dense_twin])
def test_memory_is_what_recalls(make):
    """The same training; without a memory that outlasts a segment nothing better than guessing is possible."""
    found = {}
    model = make(SpikeformerConfig(**SMALL))
    for memory in (True, False):
        model = make(SpikeformerConfig(**SMALL, memory=memory))
        found[memory] = train_recall(model, TASK, steps=200, batch=16, learning_rate=1e-2)
    assert found[True].accuracy > 0.55
    assert found[False].accuracy == pytest.approx(found[False].chance, abs=0.1)
    assert evaluate_recall(model, TASK, batch=7).accuracy == found[False].accuracy


def test_recall_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="symbols must be at least 2"):
        RecallTask(symbols=1)
    with pytest.raises(ValueError, match="the task has 7 tokens, the model 5"):
        train_recall(Spikeformer(SpikeformerConfig(**{**SMALL, "vocab_size": 5})), TASK)
    with pytest.raises(ValueError, match="must be positive"):
        train_recall(Spikeformer(SpikeformerConfig(**SMALL)), TASK, steps=0)


@pytest.mark.parametrize("dense", [False, True])
def test_texts_are_classified(dense):
    """Texts with more of one token than of another, of several lengths; new ones are told apart too."""
    generator = torch.Generator().manual_seed(0)
    texts, labels = [], []
    for number in range(160):
        length = int(torch.randint(3, 20, (1,), generator=generator))
        label = number % 2
        draws = torch.rand(length, generator=generator)
        texts.append([1 + int((draw < 0.85) == bool(label)) for draw in draws])
        labels.append(label)
    config = SpikeformerConfig(vocab_size=8, dim=16, heads=2, layers=1, steps=2, mlp_ratio=2)
    classifier = TextClassifier(config, 2, dense=dense)
    options: dict[str, Any] = {"epochs": 6, "batch": 16, "learning_rate": 1e-2}
    losses = train_classifier(classifier, texts[:120], labels[:120], **options)
    assert losses[-1] < 0.7 * losses[0]
    assert classifier_accuracy(classifier, texts[120:], labels[120:]) >= 0.85
    accuracy = [classifier_accuracy(classifier, texts[120:], labels[120:], batch=batch) for batch in (1, 64)]
    assert accuracy[0] == accuracy[1], "what fills a batch up has no influence"


def test_padding():
    tokens_BL, mask_BL = pad_texts([[5], [6, 7, 8, 9]], 3)
    assert tokens_BL.tolist() == [[5, 0, 0], [6, 7, 8]]
    assert mask_BL.tolist() == [[True, False, False], [True, True, True]]
    with pytest.raises(ValueError, match="must have a token"):
        pad_texts([[1], []], 3)
    classifier = TextClassifier(SpikeformerConfig(**SMALL), 2)
    with pytest.raises(ValueError, match="1 labels do not fit 2 texts"):
        train_classifier(classifier, [[1], [2]], [0])
    with pytest.raises(ValueError, match="labels do not fit"):
        train_classifier(classifier, [[1], [2]], [0, 2])
