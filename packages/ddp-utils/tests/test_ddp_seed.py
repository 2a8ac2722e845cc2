"""Keyed streams depend on their key alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ddp_utils import keyed_generator, keyed_numpy_generator, seed_everything
from ddp_utils.seed import key_bits
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.tuples(st.integers(-(2**70), 2**70), st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**40))


def draw(key: tuple[int, str, int]) -> tuple[list[float], list[float]]:
    from_torch = torch.rand(4, generator=keyed_generator(*key), dtype=torch.float64)
    return from_torch.tolist(), keyed_numpy_generator(*key).random(4).tolist()


@given(KEYS)
def test_a_stream_depends_on_nothing_but_its_key(key: tuple[int, str, int]) -> None:
    first = draw(key)
    seed_everything(7)
    torch.rand(3)
    assert draw(key) == first


@given(KEYS, KEYS)
def test_different_keys_give_different_streams(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    assert (draw(one) == draw(other)) == (one == other)


def test_a_separator_in_the_name_does_not_merge_two_keys() -> None:
    assert key_bits(1, "a\x002", 3) != key_bits(1, "a", 3)
    assert key_bits(1, "2\x00a", 3) != key_bits(1, "a", 3)
    assert key_bits(12, "a") != key_bits(1, "2a")


def test_streams_of_this_release_are_those_of_the_first() -> None:
    assert key_bits(2024, "shuffle", 3) == 5652034574236428729
    assert torch.randperm(8, generator=keyed_generator(2024, "shuffle", 3)).tolist() == [3, 6, 5, 7, 0, 2, 4, 1]
    assert keyed_numpy_generator(2024, "shuffle", 3).integers(0, 1000, 4).tolist() == [934, 26, 816, 50]


def test_no_keyed_stream_touches_the_global_generators() -> None:
    seed_everything(1)
    expected = random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002
    seed_everything(1)
    draw((0, "x", 0))
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected  # noqa: NPY002


def test_ranks_draw_differently_after_seed_everything() -> None:
    seen = set()
    for rank in range(4):
        seed_everything(5, rank=rank)
        seen.add((random.random(), np.random.rand(), torch.rand(()).item()))  # noqa: NPY002
    assert all(len({entry[i] for entry in seen}) == 4 for i in range(3))


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match="index must be >= 0"):
        keyed_generator(0, "x", -1)
