"""Texts as spikes: every word is shown for a while as the spikes of its vector's population code."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro.config import ConfigError

SOURCE, NEURONS, DIMENSIONS, MOST_WORDS = "samples:glove-50d", 6, 50, 60
_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*|[^\sa-z0-9]")
log = logging.getLogger("neuro")


@dataclass(frozen=True, eq=False)
class TextSpikes:
    """Texts as spikes.

    Args:
        samples: (times in ms, channels) of each.
        durations_B: ms.
        n_channels: channel d * 6 + k is neuron k of dimension d.
    """

    samples: list[tuple[NDArray[np.float64], NDArray[np.int64]]]
    durations_B: NDArray[np.float64]
    n_channels: int


def read_labelled_texts(path: Path) -> tuple[list[str], list[str]]:
    """Labels and texts of a file with label<TAB>text lines; blank lines are passed over.

    Raises:
        FileNotFoundError: no such file.
        ConfigError: not UTF-8, a line without a tab, or no line at all.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--data {path}: not UTF-8 text: {error}") from error
    labels, texts = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        label, tab, text = line.partition("\t")
        if not tab or not label.strip() or not text.strip():
            raise ConfigError(f"--data {path}, line {number}: expected label<TAB>text, got {line[:40]!r}")
        labels.append(label.strip())
        texts.append(text.strip())
    if not texts:
        raise ConfigError(f"--data {path}: no text in it")
    return labels, texts


def texts_as_spikes(texts: list[str], *, hold: float, seed: int) -> TextSpikes:
    """Show the first 60 words of each text one after the other; a word that has no vector is silence.

    Args:
        texts: some.
        hold: ms a word; bins of 1 ms.
        seed: keys the spikes.

    Raises:
        ConfigError: no word of a text is known.
    """
    from binemb import load_vectors
    from spikecode import SpikeCodec

    vectors = load_vectors(SOURCE)
    place = {word: row for row, word in enumerate(vectors.words)}
    steps = max(1, round(hold))
    codec = SpikeCodec.fit(vectors.vectors, neurons=NEURONS, steps=steps, max_rate=200.0, density=0.05, seed=seed)
    samples, durations = [], []
    for number, text in enumerate(texts):
        words = _WORD.findall(text.lower())[:MOST_WORDS]
        known = [(position, place[word]) for position, word in enumerate(words) if word in place]
        if not known:
            raise ConfigError(f"text {number + 1}: no word of it has a vector in {SOURCE}: {text[:40]!r}")
        position, row = (np.array(column) for column in zip(*known, strict=True))
        train = codec.encode(vectors.vectors[torch.from_numpy(row)])
        token, dimension, neuron, step = (np.asarray(values, np.int64) for values in train.to_events())
        times = position[token] * float(steps) + step + 1.0
        ids = dimension * NEURONS + neuron
        order = np.lexsort((ids, times))
        samples.append((times[order], ids[order]))
        durations.append(float(steps * len(words)))
    return TextSpikes(samples, np.array(durations), DIMENSIONS * NEURONS)
