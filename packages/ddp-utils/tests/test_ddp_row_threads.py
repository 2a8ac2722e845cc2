"""Rows over threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from ddp_utils import over_rows


@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("worth", [0, 1, 50])
def test_every_row_is_done_once(n_rows: int, worth: int) -> None:
    done_N = np.zeros(n_rows, np.int64)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        over_rows(lambda rows, first, last: np.add.at(rows, np.arange(first, last), 1), (done_N,), n_rows, worth)
    finally:
        torch.set_num_threads(before)
    assert done_N.tolist() == [1] * n_rows


def test_work_that_is_worth_it_gets_threads_and_what_fails_in_one_is_raised() -> None:
    seen: set[int] = set()
    meet = threading.Barrier(2, timeout=30)

    def work(fail: bool, first: int, last: int) -> None:
        if first == last:  # called with no rows, to be compiled
            return
        seen.add(threading.get_ident())
        meet.wait()
        if fail and first:
            raise ValueError("in the second half")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        over_rows(work, (False,), 10, 1)
        with pytest.raises(ValueError, match="in the second half"):
            over_rows(work, (True,), 10, 1)
    finally:
        torch.set_num_threads(before)
    assert len(seen) >= 2
