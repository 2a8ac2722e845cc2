"""Bad batches are skipped while they are few."""

from __future__ import annotations

import pytest
from ddp_utils import BadBatchBudget, TooManyBadBatchesError
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.booleans(), max_size=60), st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_the_budget_holds_after_every_step(bad: list[bool], fraction: float) -> None:
    budget = BadBatchBudget(fraction)
    for step, flag in enumerate(bad, start=1):
        spent = sum(bad[:step]) > max(1, fraction * step)
        if flag and spent:
            with pytest.raises(TooManyBadBatchesError, match=f"{sum(bad[:step])} of {step} steps"):
                budget.should_skip(flag)
            return
        assert budget.should_skip(flag) == flag
    assert budget.state_dict() == {"steps": len(bad), "skipped": sum(bad)}


def test_a_restored_budget_has_not_forgotten() -> None:
    first, resumed = BadBatchBudget(0.0), BadBatchBudget(0.0)
    assert first.should_skip(True)
    resumed.load_state_dict(first.state_dict())
    with pytest.raises(TooManyBadBatchesError, match="2 of 2"):
        resumed.should_skip(True)


def test_log_and_error_name_the_records_and_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    budget = BadBatchBudget(0.0)
    budget.should_skip(True, ids=[17, "line-4"], reason="cannot be decoded")
    assert "cannot be decoded, records [17, 'line-4']" in caplog.text
    with pytest.raises(TooManyBadBatchesError, match=r"non-finite loss, records \[3\]"):
        budget.should_skip(True, ids=[3])


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        BadBatchBudget(fraction)
