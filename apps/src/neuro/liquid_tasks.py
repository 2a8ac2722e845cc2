"""Tasks of `neuro liquid train`: spikes in, targets out, and who trains and who tests.

Legend: B samples, A instants that are read, I rows (a sample, or an instant of one).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import keyed_numpy_generator
from lsm.cochlea import cochleagram
from lsm.spike_coding import integrate_and_fire
from lsm.splits import leave_one_group_out, official_digit_split
from lsm.spoken_digits import SpokenDigit, read_spoken_digits
from lsm.task_series import delayed_series, narma10, random_series, series_as_spikes
from lsm.task_templates import template_streams
from numpy.typing import NDArray

from neuro.config import ConfigError
from neuro.liquid_settings import TaskSettings
from neuro.liquid_text import read_labelled_texts, texts_as_spikes

CHANNELS, DELAYS, WASHOUT = 40, 20, 20
Spikes = tuple[NDArray[np.float64], NDArray[np.int64]]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
log = logging.getLogger("neuro")


@dataclass(frozen=True, eq=False)
class Task:
    """Samples for a liquid and what their readout should say.

    Args:
        samples: spikes of each, (times in ms, channels).
        durations_B: ms.
        n_channels: input channels.
        instants: of each sample that are read, equally spaced, the last at its end.
        each_instant: a row is an instant of a sample; else it is a sample, whose instants are joined.
        rows_I: rows that have a target, ascending.
        targets: labels, (I,), or values, (I, K).
        groups_I: which rows belong together (a stream, a speaker): never split when a penalty is chosen.
        folds: training and test rows, as places in rows_I.
        names_I: what a row is called in the file of answers.
    """

    samples: list[Spikes]
    durations_B: NDArray[np.float64]
    n_channels: int
    instants: int
    each_instant: bool
    rows_I: NDArray[np.int64]
    targets: NDArray[Any]
    groups_I: NDArray[np.int64]
    folds: list[Fold]
    names_I: list[str]

    @property
    def labelled(self) -> bool:
        """Labels are learnt, not values."""
        return self.targets.dtype.kind != "f"

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """Rows of all tests."""
        return np.concatenate([test for _, test in self.folds])


def only_tests(task: Task) -> Task:
    """The test rows and their samples alone, as one fold."""
    keep_I = np.sort(task.test_rows)
    per = task.instants if task.each_instant else 1
    wanted, sample_I = np.unique(task.rows_I[keep_I] // per, return_inverse=True)
    return replace(
        task,
        samples=[task.samples[i] for i in wanted],
        durations_B=task.durations_B[wanted],
        rows_I=sample_I * per + task.rows_I[keep_I] % per,
        targets=task.targets[keep_I],
        groups_I=task.groups_I[keep_I],
        folds=[(np.arange(0), np.arange(len(keep_I)))],
        names_I=[task.names_I[i] for i in keep_I],
    )


def make_task(settings: TaskSettings, *, instants: int, seed: int, part: str = "test", whole: bool = False) -> Task:
    """The task of the settings.

    Args:
        settings: which.
        instants: of a sample with one label; 0 for what suits the task.
        seed: keys streams and series.
        part: names the test streams: another name gives others of the same kind.
        whole: all recordings or texts are the test.

    Raises:
        ConfigError: data that cannot be used; AudioFileError: a recording that is no wav.
    """
    makers: dict[str, Callable[[], Task]] = {
        "digits": lambda: _digits(settings, instants or 8, whole=whole),
        "text": lambda: _text(settings, instants or 4, seed, whole=whole),
    }
    if settings.name in makers:
        return makers[settings.name]()
    if settings.name in ("narma10", "memory"):
        return _series(settings, seed, part)
    return _templates(settings, seed, part)


def _templates(settings: TaskSettings, seed: int, part: str) -> Task:
    parts = [
        template_streams(n, jitter=settings.jitter, n_channels=CHANNELS, seed=seed, part=name)
        for n, name in ((settings.n_train, "train"), (settings.n_test, part))
    ]
    of = {"templates": lambda s: s.now(), "delayed": lambda s: s.delayed(), "xor": lambda s: s.exclusive_or()}
    labels_BG = np.concatenate([of[settings.name](streams) for streams in parts])
    samples = [spikes for streams in parts for spikes in streams.spikes]
    n_segments = labels_BG.shape[1]
    rows_I = np.flatnonzero(labels_BG.ravel() >= 0)
    stream_I = rows_I // n_segments
    train = stream_I < settings.n_train
    return Task(
        samples=samples,
        durations_B=np.full(len(samples), parts[0].duration),
        n_channels=CHANNELS,
        instants=n_segments,
        each_instant=True,
        rows_I=rows_I,
        targets=labels_BG.ravel()[rows_I],
        groups_I=stream_I,
        folds=[(np.flatnonzero(train), np.flatnonzero(~train))],
        names_I=[f"stream {stream}, segment {row % n_segments}" for stream, row in zip(stream_I, rows_I, strict=True)],
    )


def _series(settings: TaskSettings, seed: int, part: str) -> Task:
    """Two series, one to train on and one to judge by; the first values of each are not asked for."""
    n = max(settings.n_train, settings.n_test)
    samples, targets = [], []
    for name in ("train", part):
        values_T = random_series(n, seed=seed, part=name)
        samples.append(series_as_spikes(values_T, n_channels=CHANNELS, hold=settings.hold, seed=seed))
        targets.append(narma10(values_T)[:, None] if settings.name == "narma10" else delayed_series(values_T, DELAYS))
    skip = max(WASHOUT, DELAYS + 1)
    if min(settings.n_train, settings.n_test) <= 2 * skip:
        raise ConfigError(f"task.samples: a series needs more than {2 * skip} values, got {settings.n_train}")
    train, test = np.arange(skip, settings.n_train), n + np.arange(skip, settings.n_test)
    rows_I = np.concatenate([train, test])
    return Task(
        samples=samples,
        durations_B=np.full(2, n * settings.hold),
        n_channels=CHANNELS,
        instants=n,
        each_instant=True,
        rows_I=rows_I,
        targets=np.concatenate(targets)[rows_I],
        groups_I=rows_I // 100,  # stretches
        folds=[(np.arange(len(train)), len(train) + np.arange(len(test)))],
        names_I=[f"{'train' if row < n else part}, value {row % n}" for row in rows_I],
    )


def _digits(settings: TaskSettings, instants: int, *, whole: bool) -> Task:
    recordings = _limited(read_spoken_digits(Path(settings.data)), settings.limit)
    samples = [_heard(recording) for recording in recordings]
    speakers = sorted({recording.speaker for recording in recordings})
    groups = np.array([speakers.index(recording.speaker) for recording in recordings])
    try:
        if whole:
            folds = [_all_test(len(samples))]
        elif settings.split == "speakers":
            folds = [(train, test) for _, train, test in leave_one_group_out(groups)]
        else:
            folds = [official_digit_split([recording.index for recording in recordings])]
    except ValueError as error:
        raise ConfigError(f"task.split={settings.split}: {error}") from error
    return Task(
        samples=samples,
        durations_B=np.array([recording.duration for recording in recordings]),
        n_channels=64,
        instants=instants,
        each_instant=False,
        rows_I=np.arange(len(samples)),
        targets=np.array([recording.digit for recording in recordings]),
        groups_I=groups if len(speakers) > 1 else np.arange(len(samples)),
        folds=folds,
        names_I=[f"{r.digit}_{r.speaker}_{r.index}.wav" for r in recordings],
    )


def _heard(recording: SpokenDigit) -> Spikes:
    """A recording as the spikes of 64 channels."""
    values_MC = cochleagram(recording.samples_T, recording.rate, n_channels=64)
    times, ids = integrate_and_fire(values_MC, frame=5.0)
    inside = times <= recording.duration  # the last frame may be longer than the rest of the sound
    return times[inside], ids[inside]


def _text(settings: TaskSettings, instants: int, seed: int, *, whole: bool) -> Task:
    labels, texts = read_labelled_texts(Path(settings.data))
    kept = _limited(list(zip(labels, texts, strict=True)), settings.limit)
    names = sorted({label for label, _ in kept})
    if len(names) < 2 and not whole:
        raise ConfigError(f"--data {settings.data}: texts of at least two labels are needed, got {', '.join(names)}")
    spikes = texts_as_spikes([text for _, text in kept], hold=settings.hold, seed=seed)
    number = np.arange(len(kept))
    test = keyed_numpy_generator(seed, "test texts").permutation(len(kept)) % 5 == 0
    return Task(
        samples=spikes.samples,
        durations_B=spikes.durations_B,
        n_channels=spikes.n_channels,
        instants=instants,
        each_instant=False,
        rows_I=number,
        targets=np.array([label for label, _ in kept]),
        groups_I=number,
        folds=[_all_test(len(kept)) if whole else (np.flatnonzero(~test), np.flatnonzero(test))],
        names_I=[f"text {n}" for n in number],
    )


def _all_test(n: int) -> Fold:
    return np.arange(0), np.arange(n)


def _limited(items: list[Any], limit: int) -> list[Any]:
    """Some of the items, always the same, in their order."""
    if not limit or limit >= len(items):
        return items
    chosen = keyed_numpy_generator(0, "limit").permutation(len(items))[:limit]
    return [items[i] for i in sorted(chosen)]
