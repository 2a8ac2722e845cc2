"""Nested state comes back as it was, through JSON and named tensors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from ddp_utils.state_tree import flatten_state, unflatten_state
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.complex64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32,
    torch.uint64, torch.bool,
]  # fmt: skip


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    dtype = draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    values = torch.randint(0, 2, shape, generator=generator).to(dtype)
    if draw(st.booleans()) and dtype in (torch.float64, torch.float32, torch.float16):
        values.masked_fill_(torch.rand(shape, generator=generator) < 0.5, float("nan"))
    return values.transpose(0, 1) if values.ndim > 1 and draw(st.booleans()) else values


def arrays() -> st.SearchStrategy[Any]:
    shapes = st.lists(st.integers(0, 3), max_size=3)
    dtypes = st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"])
    return st.builds(lambda shape, dtype: np.ones(shape, dtype), shapes, dtypes)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
KEYS = st.one_of(st.sampled_from(["a", "a.b", "b", "0", "$tensor", "$dict", ""]), st.integers(-3, 3), TEXT)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, tensors(), arrays())
STATES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=12,
)


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        raw = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
        assert torch.equal(*raw)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, strict=True)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        assert list(map(type, one)) == list(map(type, other))
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert repr(one) == repr(other)  # NaN, -0.0


@given(STATES)
def test_state_comes_back_through_json(state: Any) -> None:
    tree, named = flatten_state(state)
    assert_same(unflatten_state(json.loads(json.dumps(tree, allow_nan=False)), named), state)


def test_tensors_whose_paths_are_spelled_alike_stay_apart() -> None:
    state = {"a.b": torch.tensor(1), "a": {"b": torch.tensor(2)}, 1: np.array(3), "1": torch.tensor(4)}
    tree, named = flatten_state(state)
    assert_same(unflatten_state(tree, named), state)


def test_numpy_scalars_become_numbers_and_read_only_arrays_are_taken() -> None:
    array = np.arange(3)
    array.setflags(write=False)
    tree, named = flatten_state({"x": np.float32(0.5), "n": np.int64(3), "array": array})
    back = unflatten_state(tree, named)
    assert (back["x"], back["n"], back["array"].tolist()) == (0.5, 3, [0, 1, 2])


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j, {"deep": [{(1,): 2}]}, {True: 1}, {None: 1}])
def test_what_cannot_be_stored_is_refused_with_its_path(value: Any) -> None:
    with pytest.raises(TypeError, match=r"state \.here\.0"):
        flatten_state({"here": [value]})


@pytest.mark.parametrize(
    "tree",
    [{"$tensor": "gone"}, {"$tensor": []}, {"$float": "x"}, {"$float": []}, {"$tuple": 1}, {"$dict": [[1]]},
     {"$dict": [[[], 1]]}, {"$dict": 3}, {"other": 1}, {}, {"$numpy": "t", "shape": [7]}, {"$numpy": "t"}],
)  # fmt: skip
def test_a_tree_that_is_not_ours_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError, match="state tree"):
        unflatten_state([tree], {"t": torch.zeros(2)})
