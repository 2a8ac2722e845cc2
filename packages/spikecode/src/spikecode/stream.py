"""Spike trains of a corpus, in blocks that fit in memory.

Shapes: n tokens, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from spikecode.calibration import check_matrix
from spikecode.memory import readable_size

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec
    from spikecode.train import SpikeTrain

_PER_VALUE = 160  # bytes that keys, places and windows of a value take while they are made
_BLOCKS = 4  # the block being made, room to pack it otherwise, the one before, held by the caller, and freed pages


def tokens_within(codec: SpikeCodec, memory: int) -> int:
    """Tokens of a block, so that making one while the one before is still held takes at most `memory` bytes.

    Raises:
        MemoryError: not even the train of one token fits.
    """
    per_token = codec.bytes_per_token + _PER_VALUE * codec.dim
    if per_token > memory:
        raise MemoryError(
            f"encode_stream: one token needs {readable_size(per_token)}, memory is {readable_size(memory)}; raise "
            "memory, or fit the codec with fewer neurons or steps"
        )
    return max(1, memory // (_BLOCKS * per_token))


def stream_trains(
    codec: SpikeCodec, x: Tensor | Iterable[Tensor], *, memory: int, first_token: int
) -> Iterator[SpikeTrain]:
    """Make the spikes of a corpus block by block; see `SpikeCodec.encode_stream`.

    Rows are collected until a block is full, so the blocks that come out do not depend on those that go in.

    Args:
        codec: the codec.
        x: vectors, (n, D), or an iterable of blocks (n_i, D).
        memory: bytes that a block and its making may take.
        first_token: number of the first vector in the corpus.

    Returns:
        Trains of consecutive tokens.
    """
    at_once = tokens_within(codec, memory)
    return _blocks(codec, [x] if isinstance(x, Tensor | np.ndarray) else x, at_once, first_token)


def _blocks(codec: SpikeCodec, parts: Iterable[Any], at_once: int, token: int) -> Iterator[SpikeTrain]:
    held: list[Tensor] = []
    n_held, n_seen = 0, 0
    for part in parts:
        part_nD = check_matrix("encode_stream", part, codec.dim)
        n_seen += len(part_nD)
        while len(part_nD):
            taken_nD, part_nD = part_nD[: at_once - n_held], part_nD[at_once - n_held :]
            held.append(taken_nD)
            n_held += len(taken_nD)
            if n_held == at_once:
                yield codec.encode(torch.cat(held), first_token=token)
                token, held, n_held = token + n_held, [], 0
    if n_held:
        yield codec.encode(torch.cat(held), first_token=token)
    if not n_seen:
        raise ValueError("encode_stream: x has no rows; pass at least one vector")
