"""Spike trains in the forms that other simulators and libraries take.

Shapes: n tokens, D dimensions, N neurons a dimension, T bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from spikecode.train import SpikeTrain

TONIC_EVENTS = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])


def to_snntorch(train: SpikeTrain, *, limit: int = 2**30) -> Tensor:
    """Spikes as snnTorch's layers take them: time first, one float a neuron.

    Args:
        train: of (n, D, N, T).
        limit: bytes that the result may take.

    Returns:
        0 and 1, float32, (T, n, D * N); column d * N + k is neuron k of dimension d.

    Raises:
        MemoryError: the result would take more than `limit` bytes; nothing was allocated.
    """
    n, dim, neurons, steps = train.shape
    return train.to_dense(time_first=True, limit=limit // 4).reshape(steps, n, dim * neurons).float()


def to_tonic(train: SpikeTrain, *, token: int = 0) -> NDArray[np.void]:
    """The spikes of one token as a structured array of events, as tonic's transforms and event cameras have them.

    The sensor is N wide and D high: x is the neuron, y the dimension; `sensor_size` of tonic is `(N, D, 1)`.

    Args:
        train: of (n, D, N, T), N and D below 32,768.
        token: row of the train, 0 to n - 1.

    Returns:
        Events by increasing time: x, y, t in whole microseconds at the start of the bin, p = 0.

    Raises:
        ValueError: no such token, or more neurons than the format can name.
    """
    _, dim, neurons, _ = train.shape
    if max(dim, neurons) > np.iinfo(np.int16).max:
        raise ValueError(
            f"to_tonic: {neurons} x {dim} neurons; the format names up to {np.iinfo(np.int16).max} an axis"
        )
    dimension, neuron, step = _events_of(train, token, "to_tonic")
    order = np.lexsort((neuron, dimension, step))
    events = np.empty(len(order), dtype=TONIC_EVENTS)
    events["x"], events["y"], events["p"] = neuron[order], dimension[order], 0
    events["t"] = np.round(step[order] * train.dt * 1000)
    return events


def to_nest(train: SpikeTrain, *, token: int = 0) -> dict[int, NDArray[np.float64]]:
    """The spikes of one token as times in ms by neuron, for the `spike_times` of NEST's `spike_generator`.

    A spike in bin b is at (b + 1) dt: NEST takes no spike at time 0. The width of the bins, dt, must be a multiple of
    NEST's resolution.

    Args:
        train: of (n, D, N, T).
        token: row of the train, 0 to n - 1.

    Returns:
        Neuron d * N + k of the token, for neuron k of dimension d, to its times, increasing, float64; neurons without
        a spike are left out.

    Raises:
        ValueError: no such token.
    """
    neurons = train.shape[2]
    dimension, neuron, step = _events_of(train, token, "to_nest")
    number = dimension * neurons + neuron
    order = np.lexsort((step, number))
    times = ((step[order] + 1) * train.dt).astype(np.float64)
    number = number[order]
    first = np.flatnonzero(np.diff(number, prepend=-1))
    return (
        {int(number[at]): part for at, part in zip(first, np.split(times, first[1:]), strict=True)}
        if len(first)
        else {}
    )


def _events_of(train: SpikeTrain, token: int, caller: str) -> tuple[NDArray[np.int64], ...]:
    if not 0 <= token < train.shape[0]:
        raise ValueError(f"{caller}: token must be 0 to {train.shape[0] - 1}, got {token}")
    _, dimension, neuron, step = train[token : token + 1].to_events()
    return tuple(np.asarray(values, dtype=np.int64) for values in (dimension, neuron, step))
