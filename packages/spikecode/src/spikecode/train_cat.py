"""Joining the trains of consecutive tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from spikecode.train import SpikeTrain


def join_trains(parts: Sequence[SpikeTrain]) -> SpikeTrain:
    """Join the trains of consecutive tokens of one codec, in the layout of the first.

    Args:
        parts: at least one train, each starting at the token after the last of the one before.

    Returns:
        One train.

    Raises:
        ValueError: there are none, they are of different shapes or schemes, or do not follow each other.
    """
    if not parts:
        raise ValueError("SpikeTrain.cat: needs at least one train")
    kinds = {(part.shape[1:], part.scheme, part.dt, part.codec_id) for part in parts}
    if len(kinds) != 1:
        raise ValueError(f"SpikeTrain.cat: trains of one codec can be joined, got {len(kinds)} kinds: {sorted(kinds)}")
    token = parts[0].first_token
    for part in parts:
        if part.first_token != token:
            raise ValueError(f"SpikeTrain.cat: a train starts at token {part.first_token}, expected {token}")
        token += len(part)
    window = max(part.window for part in parts)
    # Windows of one width; those at the end of the lattice move back to stay on it.
    first_nD = torch.cat([part.first_nD for part in parts]).clamp(max=parts[0].neurons - window)
    common = {"first_nD": first_nD, "window": window, "clipped_n": torch.cat([part.clipped_n for part in parts])}
    words = [part.words_nDWK for part in parts if part.words_nDWK is not None and part.window == window]
    if len(words) == len(parts):
        return replace(parts[0], words_nDWK=torch.cat(words), **common)
    events = [part.as_events() for part in parts]
    lengths_R = torch.cat([part.offsets_R.diff() for part in events if part.offsets_R is not None])
    joined = replace(
        events[0],
        events_S=torch.cat([part.events_S for part in events if part.events_S is not None]),
        offsets_R=torch.cat([lengths_R.new_zeros(1), lengths_R.cumsum(0)]),
        **common,
    )
    return joined.as_bits() if parts[0].layout == "bits" else joined
