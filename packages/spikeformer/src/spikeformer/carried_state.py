"""A model's state between the steps of a training, for streams that are dealt to processes.

Shapes: B streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ddp_utils import gather_objects
from torch import Tensor

from spikeformer.model_state import BATCH_AXIS, LayerState, SpikeformerState


def join_states(states: Sequence[SpikeformerState]) -> SpikeformerState:
    """The state of all the sequences of several states, in order; `SpikeformerState.select` takes them apart again.

    Args:
        states: at the same position, at least one.

    Raises:
        ValueError: there are none, or they are at different positions.
    """
    if len({state.position for state in states}) != 1:
        raise ValueError(f"join_states: expected states at one position, got {[state.position for state in states]}")
    if len(states) == 1:
        return states[0]
    layers = []
    for parts in zip(*(state.layers for state in states), strict=True):
        tensors = [part.tensors() for part in parts]
        joined = {name: torch.cat([of[name] for of in tensors], BATCH_AXIS[name]) for name in tensors[0]}
        layers.append(LayerState.from_tensors(joined))
    return SpikeformerState(tuple(layers), states[0].position)


def gather_states(state: SpikeformerState | None, streams: Sequence[int]) -> dict[str, Tensor] | None:
    """The state of the streams of all processes, in order of the streams, on the CPU; every process calls it.

    Args:
        state: of this process's streams, in their order; None where it has none, or all start anew.
        streams: numbers of this process's streams.

    Returns:
        What `pick_states` takes, the same in every process, fit for a checkpoint; None where no process has a state.
    """
    own = None if state is None else (list(streams), state.to("cpu").to_dict())
    gathered: list[Any] = [entry for entry in gather_objects(own) if entry is not None]
    if not gathered:
        return None
    order = torch.tensor([number for numbers, _ in gathered for number in numbers]).argsort()
    return join_states([SpikeformerState.from_dict(tensors) for _, tensors in gathered]).select(order).to_dict()


def pick_states(
    gathered: dict[str, Tensor] | None, streams: Sequence[int], device: torch.device
) -> SpikeformerState | None:
    """The state of some streams.

    Args:
        gathered: of all streams, as `gather_states` gave it.
        streams: which.
        device: where it goes.
    """
    if gathered is None or not streams:
        return None
    return SpikeformerState.from_dict(gathered).select(torch.tensor(list(streams))).to(device)
