"""Runs end when there is no more gain, or when they are asked to."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import pytest
from ddp_utils import EarlyStopping, SignalStop
from hypothesis import given
from hypothesis import strategies as st

FIGURES = st.lists(st.floats(-100, 100) | st.just(math.nan), max_size=30)


@given(FIGURES, st.integers(1, 5), st.sampled_from([0.0, 0.5, 3.0]))
def test_it_stops_after_patience_updates_without_gain(figures: list[float], patience: int, min_delta: float) -> None:
    stopping = EarlyStopping(patience, min_delta=min_delta)
    best, since = math.inf, 0
    for step, figure in enumerate(figures):
        improved = best - figure > min_delta
        best, since = (figure, 0) if improved else (best, since + 1)
        assert stopping.update(figure, step) == improved
        assert stopping.best == best
        assert stopping.should_stop == (since >= patience)
        if improved:
            assert stopping.best_step == step


@given(FIGURES)
def test_max_is_min_of_the_negated_figures(figures: list[float]) -> None:
    low, high = EarlyStopping(3, min_delta=0.1), EarlyStopping(3, min_delta=0.1, mode="max")
    for step, figure in enumerate(figures):
        assert low.update(figure, step) == high.update(-figure, step)
    assert (low.best, low.best_step, low.misses) == (-high.best, high.best_step, high.misses)


@given(FIGURES, FIGURES)
def test_a_restored_one_goes_on_as_if_never_stopped(before: list[float], after: list[float]) -> None:
    whole, first, resumed = EarlyStopping(3), EarlyStopping(3), EarlyStopping(3)
    for step, figure in enumerate(before):
        whole.update(figure, step)
        first.update(figure, step)
    resumed.load_state_dict(first.state_dict())
    for step, figure in enumerate(after):
        assert whole.update(figure, step) == resumed.update(figure, step)
    assert whole.state_dict() == resumed.state_dict()


@pytest.mark.parametrize(
    "arguments", [{"patience": 0}, {"patience": 1, "min_delta": -1}, {"patience": 1, "mode": "up"}]
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="EarlyStopping"):
        EarlyStopping(**arguments)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_for_a_stop_and_the_handlers_come_back(number: signal.Signals) -> None:
    former = {which: signal.getsignal(which) for which in (signal.SIGTERM, signal.SIGINT)}
    with SignalStop() as stop:
        assert not stop.agreed()
        os.kill(os.getpid(), number)
        assert stop.agreed()
        assert stop.received == number
    assert {which: signal.getsignal(which) for which in former} == former


def test_the_handlers_come_back_after_an_error_too() -> None:
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="in the loop"), SignalStop():
        raise RuntimeError("in the loop")
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_second_interrupt_ends_the_run_at_once_and_a_second_sigterm_does_not() -> None:
    with SignalStop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.agreed()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
