"""The ready loop: what it minimises, which model it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from ddp_utils import (
    DistributedBatchSampler,
    Stopped,
    TooManyBadBatchesError,
    TrainingConfig,
    learning_rate_at,
    mean_losses,
    read_metrics,
    split_held_out,
    train_model,
)
from torch import Tensor, nn

SMALL = TrainingConfig(
    steps=12, global_batch=32, group=4, micro_batch=8, validate_every=4, held_out=0.1, patience=100, learning_rate=0.1
)
Losses = Callable[[Tensor], dict[str, Tensor]]


def records(n: int = 200) -> Tensor:
    """Columns: three inputs, and a target that is linear in them."""
    inputs = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    return torch.cat([inputs, inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + 1], dim=1)


def linear() -> tuple[nn.Linear, Losses]:
    model = nn.Linear(3, 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    def losses(x_GMD: Tensor) -> dict[str, Tensor]:
        return {"loss": (model(x_GMD[..., :3]) - x_GMD[..., 3:]).square().mean((1, 2))}

    return model, losses


def train(config: TrainingConfig = SMALL, *, x: Tensor | None = None, scale: float = 1.0, **options: Any) -> nn.Linear:
    model, losses = linear()
    groups = [{"params": list(model.parameters()), "scale": scale}]
    x = records() if x is None else x
    options = {"identity": {"what": "linear"}, **options}
    train_model(model, losses, x, config, parameter_groups=groups, **options)
    return model


def test_it_finds_the_line():
    model = train(replace(SMALL, steps=300))
    torch.testing.assert_close(model.weight.detach(), torch.tensor([[1.0, -2.0, 0.5]]), rtol=1e-2, atol=1e-2)
    assert float(model.bias.detach()) == pytest.approx(1, abs=1e-2)


def test_the_first_step_is_adams_on_the_mean_loss_of_the_first_batch():
    """Adam's first step has the length of the learning rate times the group's scale, against the gradient's sign."""
    model, losses = linear()
    train_rows, _ = split_held_out(200, SMALL, seed=7)
    rows = DistributedBatchSampler(len(train_rows), 32, seed=7, group=4).batch(0)
    losses(records()[train_rows[rows]].view(8, 4, 4))["loss"].mean().backward()
    assert model.weight.grad is not None
    one = train(replace(SMALL, steps=1), scale=0.5, seed=7)
    expected = -0.5 * learning_rate_at(0, replace(SMALL, steps=1)) * model.weight.grad.sign()
    torch.testing.assert_close(one.weight.detach(), expected, rtol=1e-4, atol=0)


def test_the_model_of_the_best_validation_is_left(tmp_path):
    config = replace(SMALL, steps=40, learning_rate=3.0, validate_every=1, patience=3)
    model = train(config, run_folder=tmp_path)
    figures = [line["loss"] for line in read_metrics(tmp_path)]
    assert len(figures) < 41
    assert figures[-1] > min(figures)
    _, held_out = split_held_out(200, config, seed=0)
    found = (model(records()[held_out, :3]) - records()[held_out, 3:]).square().mean()
    assert float(found.detach()) == pytest.approx(min(figures), rel=1e-5)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    def stop(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = train()
    with pytest.raises(Stopped, match="after step 5 of 12; resume"):
        train(run_folder=tmp_path, resume="auto", on_step=stop)
    steps: list[int] = []
    resumed = train(run_folder=tmp_path, resume="auto", on_step=steps.append)
    assert steps == list(range(6, 13))
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)
    changes: list[tuple[TrainingConfig, dict[str, Any], str]] = [
        (replace(SMALL, keep=3), {}, "config"),
        (SMALL, {"seed": 1}, "seed"),
        (SMALL, {"identity": {"what": "other"}}, "what"),
    ]
    for config, options, what in changes:
        with pytest.raises(ValueError, match=f"was trained with other {what}"):
            train(config, run_folder=tmp_path, resume="auto", **options)
    with pytest.raises(ValueError, match="resume='auto' needs the run_folder"):
        train(resume="auto")


def test_micro_batches_change_rounding_only():
    for micro_batch in (4, 32, 0):
        model = train(replace(SMALL, micro_batch=micro_batch))
        torch.testing.assert_close(model.weight, train().weight, rtol=1e-4, atol=1e-5)


def test_bad_records_are_skipped_until_there_are_too_many():
    x = records()
    train_rows, _ = split_held_out(200, SMALL, seed=0)
    first = DistributedBatchSampler(len(train_rows), 32, seed=0, group=4).batch(0)
    x[train_rows[first[3]], 0] = torch.nan
    with pytest.raises(TooManyBadBatchesError):
        train(replace(SMALL, steps=40), x=x)
    assert bool(torch.isfinite(train(replace(SMALL, steps=5), x=x).weight).all())


def test_mean_losses_weighs_every_group_the_same():
    _, losses = linear()
    groups = records()[:76].view(19, 4, 4)
    expected = torch.cat([losses(group[None])["loss"] for group in groups]).mean()
    assert mean_losses(losses, groups) == {"loss": pytest.approx(float(expected.detach()), rel=1e-5)}


def test_held_out_records_are_whole_groups_apart_from_the_rest():
    train_rows, held_out = split_held_out(203, SMALL, seed=3)
    assert len(held_out) == 20
    assert sorted([*train_rows.tolist(), *held_out.tolist()]) == list(range(203))
    assert not torch.equal(split_held_out(203, SMALL, seed=4)[1], held_out)
    with pytest.raises(ValueError, match=r"20 vectors do not fill .* use train.global_batch=8 and train.group=2"):
        split_held_out(20, SMALL, seed=0)
    with pytest.raises(ValueError, match=r"15 vectors .* at least 16 are needed"):
        split_held_out(15, SMALL, seed=0)


def test_the_learning_rate_rises_then_falls_to_zero():
    config = replace(SMALL, steps=200, learning_rate=0.5)
    rates = [learning_rate_at(step, config) for step in range(201)]
    assert max(rates) == rates[19] == 0.5
    assert all(a < b for a, b in pairwise(rates[:20]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[200] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"global_batch": 30}, "global_batch 30 is not a multiple of group 4"),
        ({"micro_batch": 6}, "micro_batch must be 0 or a multiple of group 4, got 6"),
        ({"learning_rate": math.inf}, "learning_rate must be positive and finite, got inf"),
        ({"clip_norm": 0}, "clip_norm must be positive and finite, got 0"),
        ({"held_out": 0.51}, r"held_out must lie in \(0, 0.5\], got 0.51"),
        ({"keep": 1}, "keep >= 2 .* got keep=1"),
        ({"bad_batches": -0.1}, r"bad_batches in \[0, 1\], got keep=2, bad_batches=-0.1"),
    ],
)
def test_configurations_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)
