"""Random streams keyed by what they are for, so that results do not depend on batch, chunk or world size."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def key_bits(seed: int, name: str, index: int = 0, *, n_bytes: int = 8) -> int:
    """A well-mixed integer that stands for the triple (seed, name, index).

    Args:
        seed: the run's seed, any integer.
        name: what the stream is for, for example "shuffle" or "rotation".
        index: which one of its kind, for example the epoch or the global number of a record, >= 0.
        n_bytes: width of the key, 1 to 64 bytes.

    Returns:
        An integer in [0, 256**n_bytes): the BLAKE2b digest of the triple, the same on every machine.
    """
    if index < 0:
        raise ValueError(f"key_bits: index must be >= 0, got {index} for stream {name!r}")
    digest = hashlib.blake2b(f"{seed}\0{name}\0{index}".encode(), digest_size=n_bytes).digest()
    return int.from_bytes(digest, "little")


def keyed_generator(seed: int, name: str, index: int = 0, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator whose stream depends on (seed, name, index) alone.

    Draw on the CPU what must agree across kinds of device: CPU and CUDA generators give different streams.

    Args:
        seed: the run's seed, any integer.
        name: what the stream is for.
        index: which one of its kind, >= 0.
        device: where the generator lives.
    """
    return torch.Generator(device).manual_seed(key_bits(seed, name, index) >> 1)


def keyed_numpy_generator(seed: int, name: str, index: int = 0) -> np.random.Generator:
    """A numpy generator (Philox, counter-based) whose stream depends on (seed, name, index) alone."""
    return np.random.Generator(np.random.Philox(key=key_bits(seed, name, index, n_bytes=16)))


def seed_everything(seed: int, *, rank: int = 0) -> None:
    """Seed the global generators of Python, numpy and torch (CPU and every CUDA device).

    For third-party code that draws from them; the packages here draw from keyed generators only. Each rank gets a
    stream of its own, so that ranks do not drop the same units or pick the same negatives.

    Args:
        seed: the run's seed, any integer.
        rank: this process's rank.
    """
    random.seed(key_bits(seed, "python", rank))
    np.random.seed(key_bits(seed, "numpy", rank, n_bytes=4))  # noqa: NPY002
    torch.manual_seed(key_bits(seed, "torch", rank) >> 1)
