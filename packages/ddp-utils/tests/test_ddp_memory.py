"""Batch sizes that fit, and steps that are tried again when one does not."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
from ddp_utils import find_batch_size, is_out_of_memory, memory_report, retry_on_out_of_memory
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(autouse=True, scope="module")
def _quick_collections() -> Iterator[None]:
    """Every try ends in a garbage collection; the objects of all other tests need not be walked each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Machine:
    """Runs out of memory above a number of records."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.tried: list[int] = []

    def __call__(self, size: int) -> int:
        self.tried.append(size)
        if size > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return size


@given(fits=st.integers(0, 300), multiple_of=st.integers(1, 8), factor=st.integers(1, 64))
def test_the_size_found_is_the_first_of_the_halves_that_fits(fits: int, multiple_of: int, factor: int) -> None:
    machine, upper = Machine(fits), multiple_of * factor
    if fits < multiple_of:
        with pytest.raises(MemoryError, match=f"batch of {multiple_of} does not fit"):
            find_batch_size(machine, upper=upper, multiple_of=multiple_of)
        assert machine.tried[-1] == multiple_of
        return
    found = find_batch_size(machine, upper=upper, multiple_of=multiple_of)
    assert found % multiple_of == 0
    assert found <= min(fits, upper)
    assert found == machine.tried[-1]
    assert machine.tried[0] == upper
    # never less than half of what fits, but for rounding to the multiple
    assert found == upper or 2 * found + 2 * multiple_of > min(fits, upper)


@pytest.mark.parametrize(("upper", "multiple_of"), [(0, 1), (5, 2), (2, 4), (4, 0)])
def test_an_upper_bound_that_is_no_multiple_is_refused(upper: int, multiple_of: int) -> None:
    with pytest.raises(ValueError, match="positive multiple"):
        find_batch_size(Machine(9), upper=upper, multiple_of=multiple_of)


def test_a_step_is_tried_again_with_half_the_micro_batch(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(3)
    assert retry_on_out_of_memory(machine, 16) == (2, 2)
    assert machine.tried == [16, 8, 4, 2]
    assert "micro-batches of 16: trying 8" in caplog.text
    with pytest.raises(MemoryError, match="smallest micro-batch of 4"):
        retry_on_out_of_memory(Machine(3), 16, multiple_of=4)


def test_a_failed_step_frees_its_tensors_before_the_next_try() -> None:
    alive: list[int] = []

    class Held:
        def __init__(self) -> None:
            alive.append(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    def step(size: int) -> int:
        held = Held()
        assert len(alive) == 1
        if size > 1:
            raise torch.OutOfMemoryError(f"{id(held)}")
        return size

    assert retry_on_out_of_memory(step, 8) == (1, 1)


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("shape mismatch"), KeyError("k")])
def test_other_errors_pass_through(error: Exception) -> None:
    def fail(_: int) -> None:
        raise error

    for function in (lambda: find_batch_size(fail, upper=4), lambda: retry_on_out_of_memory(fail, 4)):
        with pytest.raises(type(error)) as raised:
            function()
        assert raised.value is error


def test_what_the_allocators_raise_is_recognised() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)
    with pytest.raises(MemoryError) as python:
        bytearray(2**60)
    assert is_out_of_memory(python.value)
    assert not is_out_of_memory(RuntimeError("expected scalar type Float"))
    assert not is_out_of_memory(ValueError("CUDA out of memory"))


def test_a_real_allocation_is_halved_until_it_fits() -> None:
    found = find_batch_size(lambda size: torch.empty(size * 2**20, dtype=torch.uint8), upper=2**40)
    assert 1 <= found < 2**40


def test_peak_memory_is_in_mebibytes() -> None:
    before = memory_report(torch.device("cpu"))["host_peak_mib"]
    held = torch.ones(64 * 2**20, dtype=torch.uint8)
    after = memory_report(torch.device("cpu"))["host_peak_mib"]
    assert 50 < before <= after < 2**20
    assert len(held)
