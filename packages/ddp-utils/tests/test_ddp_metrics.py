"""The figures of a resumed run are those of an uninterrupted one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from ddp_utils import MetricsLog, WeightedMeans, read_metrics
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 1000)), min_size=1))
def test_means_are_weighted(observations: list[tuple[float, int]]) -> None:
    means = WeightedMeans()
    for value, weight in observations:
        means.update({"loss": value, "twice": 2 * value}, weight)
    expected = math.fsum(v * w for v, w in observations) / sum(w for _, w in observations)
    reduced = means.reduce()
    assert reduced["loss"] == pytest.approx(expected, rel=1e-9, abs=1e-6)
    assert reduced["twice"] == pytest.approx(2 * expected, rel=1e-9, abs=1e-6)
    assert means.reduce() == {}


def test_a_batch_of_no_records_counts_for_nothing_and_no_records_at_all_have_no_mean() -> None:
    means = WeightedMeans()
    means.update({"loss": float(torch.empty(0).mean())}, weight=0)
    assert math.isnan(means.reduce()["loss"])
    means.update({"loss": 2.0}, weight=3)
    means.update({"loss": float(torch.empty(0).mean())}, weight=0)
    assert means.reduce() == {"loss": 2.0}


@pytest.mark.parametrize("torn", ["", '{"step": 8, "lo', "\x00\x00\x00", '{"step": 8, "x": "\ufffd'])
def test_a_resumed_log_is_that_of_an_uninterrupted_run(tmp_path: Path, torn: str) -> None:
    log = MetricsLog(tmp_path)
    for step in range(8):
        log.write(step, loss=1 / (step + 1), phase="train")
    with log.path.open("a", encoding="utf-8") as file:
        file.write(torn)
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(8)), "a killed run's log can be read"
    resumed = MetricsLog(tmp_path, resume_step=5)
    for step in range(6, 10):
        resumed.write(step, loss=1 / (step + 1), phase="train")
    expected = [{"step": step, "loss": 1 / (step + 1), "phase": "train"} for step in range(10)]
    assert read_metrics(tmp_path) == expected
    assert [json.loads(line) for line in log.path.read_text(encoding="utf-8").split("\n")[:-1]] == expected


def test_a_new_run_begins_a_new_log(tmp_path: Path) -> None:
    MetricsLog(tmp_path).write(1, loss=1.0)
    MetricsLog(tmp_path)
    assert read_metrics(tmp_path) == []
    assert read_metrics(tmp_path / "absent") == []


@pytest.mark.filterwarnings("default")
def test_tensorboard_holds_the_numbers_and_drops_them_again_on_resume(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = MetricsLog(tmp_path, tensorboard=True)
    for step in range(4):
        log.write(step, train_loss=float(step), phase="train")
    log.close()
    resumed = MetricsLog(tmp_path, resume_step=2, tensorboard=True)
    resumed.write(3, train_loss=30.0)
    resumed.close()
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(0, 0), (1, 1), (2, 2), (3, 30)]
