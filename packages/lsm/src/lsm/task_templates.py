"""Spike-template tasks: which template is heard now, which was heard before, and whether they differ.

Legend: B streams, G segments a stream, S spikes. Spikes are (times in ms, channel ids), sorted by time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

Spikes = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TemplateStreams:
    """Streams of jittered templates.

    Args:
        spikes: one (times, ids) a stream.
        templates_BG: which template each segment was made from, int64 (B, G).
        segment: length of a segment in ms.
        n_channels: how many channels carry the spikes.
    """

    spikes: tuple[Spikes, ...]
    templates_BG: np.ndarray
    segment: float
    n_channels: int

    @property
    def duration(self) -> float:
        """Length of a stream in ms."""
        return self.segment * self.templates_BG.shape[1]

    @property
    def ends_G(self) -> np.ndarray:
        """End of each segment in ms: when the readout is asked."""
        return self.segment * np.arange(1, self.templates_BG.shape[1] + 1)

    def now(self) -> np.ndarray:
        """The template of the segment that ends, (B, G)."""
        return self.templates_BG

    def delayed(self, back: int = 1) -> np.ndarray:
        """The template `back` segments before, (B, G); -1 in the first segments, where there was none."""
        delayed_BG = np.full_like(self.templates_BG, -1)
        delayed_BG[:, back:] = self.templates_BG[:, : self.templates_BG.shape[1] - back]
        return delayed_BG

    def exclusive_or(self) -> np.ndarray:
        """Parity of the template and the one before it, (B, G); -1 in the first segment."""
        parity_BG = (self.templates_BG + self.delayed()) % 2
        parity_BG[:, 0] = -1
        return parity_BG


def poisson_spikes(n_channels: int, rate: float, duration: float, rng: np.random.Generator) -> Spikes:
    """Independent Poisson trains.

    Args:
        n_channels: how many.
        rate: Hz.
        duration: ms.
        rng: what draws.
    """
    counts = rng.poisson(rate * duration / 1000.0, n_channels)
    return by_time(rng.uniform(0, duration, counts.sum()), np.repeat(np.arange(n_channels), counts))


def jittered(spikes: Spikes, jitter: float, duration: float, rng: np.random.Generator) -> Spikes:
    """Move every spike by a normal deviate; what leaves [0, duration] is set on its edge.

    Args:
        spikes: times and ids.
        jitter: standard deviation in ms, >= 0.
        duration: ms.
        rng: what draws.
    """
    times, ids = spikes
    return by_time(np.clip(times + rng.normal(0, jitter, len(times)), 0, duration), ids)


def template_streams(
    n_streams: int,
    *,
    n_segments: int = 4,
    n_templates: int = 2,
    n_channels: int = 40,
    rate: float = 20.0,
    segment: float = 100.0,
    jitter: float = 4.0,
    seed: int = 0,
    part: str = "train",
) -> TemplateStreams:
    """Draw streams whose segments are jittered copies of a few Poisson templates.

    Templates depend on the seed alone, streams on the seed, the part and their number: a training and a test part share
    templates and nothing else.

    Args:
        n_streams: B.
        n_segments: G.
        n_templates: templates to choose from, each as often as any other in the mean.
        n_channels: spike trains a template.
        rate: of each train, Hz.
        segment: ms.
        jitter: standard deviation of each spike's shift in ms.
        seed: keys the draws.
        part: a name for these streams.

    Raises:
        ValueError: a number that is not positive.

    References:
        Maass, Natschlaeger, Markram (2002), Neural Computation 14(11), section 4: the task, with one spike train there.
    """
    if min(n_streams, n_segments, n_templates, n_channels) < 1 or min(rate, segment) <= 0 or jitter < 0:
        raise ValueError("template_streams: numbers, rate and segment must be positive, and jitter not negative")
    templates = [
        poisson_spikes(n_channels, rate, segment, keyed_numpy_generator(seed, "template", number))
        for number in range(n_templates)
    ]
    chosen_BG = np.empty((n_streams, n_segments), np.int64)
    streams = []
    for stream in range(n_streams):
        rng = keyed_numpy_generator(seed, f"stream of templates, {part}", stream)
        chosen_BG[stream] = rng.integers(0, n_templates, n_segments)
        times, ids = [], []
        for number, template in enumerate(chosen_BG[stream]):
            moved, channels = jittered(templates[template], jitter, segment, rng)
            times.append(moved + segment * number)
            ids.append(channels)
        streams.append(by_time(np.concatenate(times), np.concatenate(ids)))
    return TemplateStreams(tuple(streams), chosen_BG, segment, n_channels)


def by_time(times: np.ndarray, ids: np.ndarray) -> Spikes:
    """Spikes sorted by time, then channel."""
    order = np.lexsort((ids, times))
    return times[order], ids[order].astype(np.int64)
