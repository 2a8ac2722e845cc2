import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sdquant.bit_stream import pack_numbers, pack_sorted, sorted_bytes, stream_bytes, unpack_numbers, unpack_sorted


@given(n_bits=st.integers(0, 40), data=st.data())
def test_numbers_round_trip_in_their_bits(n_bits: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 2**n_bits - 1), max_size=50))
    stream = pack_numbers(torch.tensor(numbers, dtype=torch.int64), n_bits)
    assert stream.dtype == torch.uint8
    assert len(stream) == math.ceil(len(numbers) * n_bits / 8)
    assert unpack_numbers(stream, len(numbers), n_bits).tolist() == numbers


def test_bytes_are_lowest_bits_first() -> None:
    assert pack_numbers(torch.tensor([1, 2, 3], dtype=torch.uint8), 4).tolist() == [0x21, 0x03]


@given(universe=st.integers(1, 5000), data=st.data())
def test_sorted_numbers_round_trip_near_their_entropy(universe: int, data: st.DataObject) -> None:
    ids = sorted(data.draw(st.sets(st.integers(0, universe - 1), max_size=60)))
    stream = pack_sorted(torch.tensor(ids, dtype=torch.int64), universe)
    assert len(stream) == sorted_bytes(len(ids), universe)
    assert len(stream) <= len(ids) * (2 + math.log2(universe / max(1, len(ids)))) / 8 + 3
    assert unpack_sorted(stream, len(ids), universe).tolist() == ids


@given(universe=st.integers(1, 300), data=st.data())
def test_any_bytes_are_increasing_numbers_or_an_error(universe: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, min(universe, 40)))
    size = sorted_bytes(count, universe)
    stream = torch.tensor(data.draw(st.lists(st.integers(0, 255), min_size=size, max_size=size)), dtype=torch.uint8)
    try:
        ids = unpack_sorted(stream, count, universe)
    except ValueError:
        return
    assert torch.equal(pack_sorted(ids, universe), stream)
    assert len(ids) == count


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"0\.\.15, got 3 to 16"):
        pack_numbers(torch.tensor([3, 16]), 4)
    with pytest.raises(ValueError, match="must increase"):
        pack_sorted(torch.tensor([3, 3]), 10)
    with pytest.raises(ValueError, match=r"within 0\.\.9"):
        pack_sorted(torch.tensor([3, 10]), 10)
    with pytest.raises(ValueError, match="take 2 bytes"):
        unpack_numbers(torch.zeros(3, dtype=torch.uint8), 4, 4)
    with pytest.raises(ValueError, match="beyond the last"):
        unpack_numbers(torch.tensor([0x10], dtype=torch.uint8), 1, 4)
    assert stream_bytes(3, 4) == 2
