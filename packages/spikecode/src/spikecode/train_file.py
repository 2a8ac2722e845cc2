"""The file of a spike train: safetensors with a format name, a version and a checksum."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
from torch import Tensor

from spikecode.codec_settings import MOST_TOKENS
from spikecode.train import SpikeTrain

KIND, VERSION = "spikecode.train", 1


def write_train(train: SpikeTrain, path: str | Path) -> None:
    """Write a train; see `SpikeTrain.save`."""
    tensors = {"first": train.first_nD, "clipped": train.clipped_n}
    optional = {"words": train.words_nDWK, "events": train.events_S, "offsets": train.offsets_R}
    tensors |= {name: tensor for name, tensor in optional.items() if tensor is not None}
    facts = {
        "window": train.window,
        "neurons": train.neurons,
        "steps": train.steps,
        "scheme": train.scheme,
        "dt": train.dt,
        "first_token": train.first_token,
        "codec_id": train.codec_id,
    }
    write_tensor_file(path, tensors, kind=KIND, version=VERSION, metadata=facts)


def read_train(path: str | Path) -> SpikeTrain:
    """Read a train; see `SpikeTrain.load`."""
    tensors, facts = read_tensor_file(path, kind=KIND, version=VERSION)
    try:
        train = SpikeTrain(
            words_nDWK=tensors.get("words"),
            first_nD=tensors["first"],
            window=int(facts["window"]),
            neurons=int(facts["neurons"]),
            steps=int(facts["steps"]),
            scheme=str(facts["scheme"]),
            dt=float(facts["dt"]),
            first_token=int(facts["first_token"]),
            codec_id=str(facts["codec_id"]),
            clipped_n=tensors["clipped"],
            events_S=tensors.get("events"),
            offsets_R=tensors.get("offsets"),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{path}: not a usable spike train: {error!r}") from error
    wrong = _disagreement(train)
    if wrong:
        raise FileFormatError(f"{path}: not a usable spike train: {wrong}")
    return train


def _is(tensor: Tensor | None, dtypes: tuple[torch.dtype, ...], ndim: int) -> bool:
    return tensor is not None and tensor.dtype in dtypes and tensor.ndim == ndim


def _disagreement(train: SpikeTrain) -> str | None:
    """What of the content does not fit together."""
    if not (0 < train.neurons <= 2**20 and 0 < train.steps <= 2**24 and math.isfinite(train.dt) and train.dt > 0):
        return f"neurons {train.neurons}, steps {train.steps} and dt {train.dt} are out of range"
    if not 0 <= train.first_token <= MOST_TOKENS:
        return f"first token {train.first_token} is out of range"
    if not _is(train.first_nD, (torch.int32,), 2) or not _is(train.clipped_n, (torch.int64,), 1):
        return "tensors of another type or rank"
    if len(train.clipped_n) != len(train.first_nD):
        return f"{len(train.clipped_n)} tokens in one tensor, {len(train.first_nD)} in another"
    if not 0 < train.window <= train.neurons:
        return f"a window of {train.window} of {train.neurons} neurons"
    first = train.first_nD
    if first.numel() and not (int(first.min()) >= 0 and int(first.max()) + train.window <= train.neurons):
        return "a window lies outside the neurons"
    return _bits_disagreement(train) if train.words_nDWK is not None else _events_disagreement(train)


def _bits_disagreement(train: SpikeTrain) -> str | None:
    words: Any = train.words_nDWK
    if not _is(words, (torch.int64,), 4) or words.shape[:2] != train.first_nD.shape:
        return "the words do not fit the windows"
    if words.shape[2:] != (train.window, (train.steps + 63) // 64):
        return f"words of shape {tuple(words.shape)} do not hold {train.steps} bins of {train.window} neurons"
    beyond = train.steps % 64
    if beyond and words.numel() and bool((words[..., -1] >> beyond != 0).any()):
        return f"spikes after bin {train.steps - 1}"
    return None


def _events_disagreement(train: SpikeTrain) -> str | None:
    events: Any = train.events_S
    offsets: Any = train.offsets_R
    if not _is(events, (torch.int32, torch.int64), 1) or not _is(offsets, (torch.int64,), 1):
        return "neither words nor events"
    if len(offsets) != train.first_nD.numel() + 1 or int(offsets[0]) != 0 or int(offsets[-1]) != len(events):
        return "the offsets do not fit the events"
    if bool((offsets.diff() < 0).any()):
        return "the offsets are not in order"
    row = torch.repeat_interleave(torch.arange(len(offsets) - 1), offsets.diff())
    place = events.long() - train.first_nD.reshape(-1)[row].long() * train.steps
    if len(events) and not (int(place.min()) >= 0 and int(place.max()) < train.window * train.steps):
        return "an event lies outside its window"
    ahead = events.long().diff() <= 0
    if bool((ahead & (row.diff() == 0)).any()):
        return "the events are not in order"
    return None
