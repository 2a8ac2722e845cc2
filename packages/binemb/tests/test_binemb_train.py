"""Training: it gains on real vectors, resumes bit for bit, and its gradient is that of the global batch."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from binemb import (
    LossWeights,
    MatryoshkaBinarizer,
    Preparation,
    TrainConfig,
    evaluate_neighbours,
    train_binarizer,
)
from binemb.train import losses_per_group, start_model, validate
from ddp_utils import DistributedBatchSampler, Stopped, read_metrics, split_held_out
from ddp_utils.training_config import learning_rate_at
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

LEVELS = (8, 24)
SMALL = TrainConfig(
    steps=12,
    rounds=0,
    global_batch=128,
    group=16,
    micro_batch=64,
    validate_every=4,
    held_out=0.1,
    components=1,
    patience=100,
)
ROUNDS = replace(SMALL, steps=0, rounds=4)


def clustered(n: int = 600, dim: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, dim, generator=generator)
    return centres[torch.arange(n) % 20] + 0.3 * torch.randn(n, dim, generator=generator)


def assert_same_model(a: MatryoshkaBinarizer, b: MatryoshkaBinarizer) -> None:
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name]), name


def stop_at(step: int) -> Callable[[int], None]:
    def on_step(done: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return on_step


def gradients_of_first_steps(monkeypatch, config: TrainConfig, *, rank: int = 0, ranks: int = 1) -> list[torch.Tensor]:
    """Every step's gradient as one process of several computes it, before it is summed over them."""
    captured: list[torch.Tensor] = []

    def sampler(n_records, global_batch, *, seed, group):
        return DistributedBatchSampler(n_records, global_batch, seed=seed, group=group, rank=rank, world_size=ranks)

    def capture(parameters):
        captured.append(torch.cat([p.grad.double().flatten() for p in parameters]))

    with monkeypatch.context() as patch:
        patch.setattr("ddp_utils.training_loop.DistributedBatchSampler", sampler)
        patch.setattr("ddp_utils.training_loop.world_size", lambda: ranks)
        patch.setattr("ddp_utils.training_loop.all_reduce_gradients", capture)
        train_binarizer(clustered(), LEVELS, config)
    return captured


@pytest.fixture(scope="module")
def trained(glove):
    """A trained and an untrained model of the same preparation and rotations; the latter's decoders by least squares
    on the same words."""
    levels = (32, 64, 128)
    config = TrainConfig(
        steps=200, global_batch=512, micro_batch=512, group=64, validate_every=20, learning_rate=0.01, patience=100
    )
    model = train_binarizer(glove.vectors, levels, config, seed=0)
    untrained = MatryoshkaBinarizer(Preparation.fit(glove.vectors), levels, seed=0)
    prepared = untrained.preparation(glove.vectors)
    train_rows, held_out = split_held_out(len(glove), config, seed=0)
    untrained.fit_decoders(prepared[train_rows])
    return model, untrained, prepared, held_out, config


def test_training_lowers_every_held_out_loss(trained):
    model, untrained, prepared, held_out, config = trained
    groups = prepared[held_out].view(-1, config.group, 50)
    after, before = (validate(each, groups, config.weights) for each in (model, untrained))
    assert after["loss"] < 0.9 * before["loss"]
    assert all(after[name] < before[name] for name in before)


@pytest.mark.parametrize("level", [32, 64, 128])
def test_every_prefix_beats_random_rotations(trained, glove, level):
    """Held-out words decode closer, and neighbours are found better, at the same number of bits."""
    model, untrained, prepared, held_out, _ = trained
    cosine, recall = {}, {}
    for name, each in (("trained", model), ("random", untrained)):
        codes = each.encode(glove.vectors).truncate(level)
        cosine[name] = float(cosine_similarity(each.decode(codes)[held_out], prepared[held_out]).mean())
        recall[name] = evaluate_neighbours(codes, prepared, k=10, queries=2000)
    assert cosine["trained"] > cosine["random"] + 0.005
    assert recall["trained"] > recall["random"] + 0.005


def test_a_stopped_and_resumed_run_is_bit_for_bit_the_same(tmp_path):
    x = clustered()
    whole = train_binarizer(x, LEVELS, SMALL, seed=3)
    with pytest.raises(Stopped, match="after step 5 of 12; resume with --resume auto"):
        train_binarizer(x, LEVELS, SMALL, seed=3, run_folder=tmp_path, resume="auto", on_step=stop_at(5))
    steps: list[int] = []
    resumed = train_binarizer(x, LEVELS, SMALL, seed=3, run_folder=tmp_path, resume="auto", on_step=steps.append)
    assert steps == list(range(6, 13))
    assert_same_model(resumed, whole)
    assert [record["step"] for record in read_metrics(tmp_path)] == [0, 4, 8, 12]
    again = train_binarizer(x, LEVELS, SMALL, seed=3, run_folder=tmp_path, resume="auto", on_step=steps.append)
    assert len(steps) == 7  # a finished run is not trained on
    assert_same_model(again, whole)


def test_stopping_without_a_folder_says_that_nothing_was_saved():
    with pytest.raises(Stopped, match="after step 2 of 12; nothing was saved"):
        train_binarizer(clustered(), LEVELS, SMALL, on_step=stop_at(2))


def test_another_run_is_not_resumed(tmp_path):
    x = clustered()
    train_binarizer(x, LEVELS, replace(SMALL, steps=2), run_folder=tmp_path)
    changed = [
        (x, LEVELS, replace(SMALL, steps=2, learning_rate=0.02), 0, "config"),
        (x, LEVELS, replace(SMALL, steps=2, weights=LossWeights(similarity=1)), 0, "config"),
        (x, (8, 16), replace(SMALL, steps=2), 0, "bits"),
        (x, LEVELS, replace(SMALL, steps=2), 1, "seed"),
        (clustered(seed=1), LEVELS, replace(SMALL, steps=2), 0, "vectors"),
    ]
    for vectors, bits, config, seed, what in changed:
        with pytest.raises(ValueError, match=f"was trained with other {what}; use the same or a new run"):
            train_binarizer(vectors, bits, config, seed=seed, run_folder=tmp_path, resume="auto")
    with pytest.raises(ValueError, match="resume='auto' needs the run_folder"):
        train_binarizer(x, LEVELS, SMALL, resume="auto")


def test_the_seed_and_nothing_else_decides():
    torch.manual_seed(1)
    first = train_binarizer(clustered(), LEVELS, SMALL, seed=5)
    torch.manual_seed(2)
    assert_same_model(train_binarizer(clustered(), LEVELS, SMALL, seed=5), first)
    other = train_binarizer(clustered(), LEVELS, SMALL, seed=6)
    assert not torch.equal(other.weight_BD, first.weight_BD)
    assert_same_model(MatryoshkaBinarizer.fit(clustered(), LEVELS, seed=5, config=SMALL), first)


def test_double_vectors_are_trained_on():
    """The preparation alone sees the further digits: the models agree to float32."""
    x = clustered()
    single = train_binarizer(x, LEVELS, replace(SMALL, steps=2))
    double = train_binarizer(x.double(), LEVELS, replace(SMALL, steps=2))
    prepared = single.preparation(x)  # weights along the dropped component meet nothing, and are rounding alone
    expected = prepared @ single.weight_BD.T + single.bias_B
    torch.testing.assert_close(prepared @ double.weight_BD.T + double.bias_B, expected, rtol=1e-3, atol=1e-3)


def test_the_micro_batch_does_not_change_the_gradient(monkeypatch):
    one_step = replace(SMALL, steps=1)
    (whole,) = gradients_of_first_steps(monkeypatch, replace(one_step, micro_batch=0))
    (small,) = gradients_of_first_steps(monkeypatch, replace(one_step, micro_batch=SMALL.group))
    assert float(whole.norm()) > 1e-3
    assert float((whole - small).norm()) < 1e-5 * float(whole.norm())


@pytest.mark.parametrize("ranks", [2, 4])
def test_gradients_of_several_processes_add_up_to_that_of_one(monkeypatch, ranks):
    one_step = replace(SMALL, steps=1, micro_batch=16)
    (single,) = gradients_of_first_steps(monkeypatch, one_step)
    parts = [gradients_of_first_steps(monkeypatch, one_step, rank=rank, ranks=ranks)[0] for rank in range(ranks)]
    assert float((sum(parts, torch.zeros(())) - single).norm()) < 1e-5 * float(single.norm())
    assert float((ranks * parts[0] - single).norm()) > 1e-2 * float(single.norm())  # each has records of its own


def test_the_gradient_is_that_of_the_mean_loss_over_the_batch(monkeypatch):
    """Written out: the first batch of the keyed sampler, its groups, the untrained model."""
    x = clustered()
    (found,) = gradients_of_first_steps(monkeypatch, replace(SMALL, steps=1))
    train_rows, _ = split_held_out(len(x), SMALL, seed=0)
    preparation = Preparation.fit(x, components=1)
    prepared = preparation(x)
    model = start_model(preparation, prepared[train_rows], LEVELS, seed=0)
    records = DistributedBatchSampler(len(train_rows), 128, seed=0, group=16).batch(0)
    groups = prepared[train_rows[records]].view(8, 16, 12)
    losses_per_group(model, groups, SMALL.weights)["loss"].mean().backward()
    expected = torch.cat([p.grad.double().flatten() for p in model.parameters() if p.grad is not None])
    assert float((found - expected).norm()) < 1e-5 * float(expected.norm())


def test_the_loss_is_the_weighted_mean_over_levels():
    model = MatryoshkaBinarizer(Preparation.fit(clustered(), components=1), LEVELS)
    groups = model.preparation(clustered()).view(-1, 20, 12)
    model.fit_decoders(groups.flatten(0, 1))
    figures = losses_per_group(model, groups, LossWeights(reconstruction=2, similarity=3))
    parts = [2 * figures[f"reconstruction_{level}"] + 3 * figures[f"similarity_{level}"] for level in LEVELS]
    torch.testing.assert_close(figures["loss"], sum(parts) / 2)
    for weights, left_out in ((LossWeights(1, 0), "similarity"), (LossWeights(0, 1), "reconstruction")):
        assert not any(name.startswith(left_out) for name in losses_per_group(model, groups, weights))


def test_training_stops_when_validation_no_longer_gains():
    steps: list[int] = []
    frozen = replace(SMALL, steps=100, learning_rate=1e-30, patience=3, validate_every=2)
    train_binarizer(clustered(), LEVELS, frozen, on_step=steps.append)
    assert steps[-1] == 2 * 3  # the untrained model is the best, three validations gain nothing over it


def test_the_best_model_comes_back_not_the_last(tmp_path):
    x, config = clustered(), replace(SMALL, steps=100, learning_rate=2.0, validate_every=1, patience=2)
    model = train_binarizer(x, LEVELS, config, run_folder=tmp_path)
    losses = [record["loss"] for record in read_metrics(tmp_path)]
    assert losses[-1] > min(losses)
    _, held_out = split_held_out(len(x), config, seed=0)
    found = validate(model, model.preparation(x)[held_out].view(-1, 16, 12), config.weights)["loss"]
    assert found == pytest.approx(min(losses), rel=1e-5)


@settings(deadline=None)
@given(
    n=st.integers(20, 2000), share=st.floats(0.001, 0.3), group=st.sampled_from([2, 8, 32]), seed=st.integers(0, 2**32)
)
def test_held_out_rows_are_whole_groups_apart_from_the_rest(n, share, group, seed):
    """Their number is the share, to the nearest group and at least one; an impossible split names one that is not."""
    config = TrainConfig(steps=1, global_batch=2 * group, group=group, held_out=share)
    try:
        train_rows, held_out = split_held_out(n, config, seed=seed)
    except ValueError as error:
        found = re.search(rf"^{n} vectors .*global_batch=(\d+) and train.group=(\d+)$", str(error))
        assert found is not None
        config = replace(config, global_batch=int(found[1]), group=int(found[2]))
        train_rows, held_out = split_held_out(n, config, seed=seed)
    assert len(held_out) % config.group == 0
    assert abs(len(held_out) - n * share) <= config.group
    assert len(train_rows) >= config.global_batch
    assert sorted([*train_rows.tolist(), *held_out.tolist()]) == list(range(n))
    assert torch.equal(split_held_out(n, config, seed=seed)[1], held_out)


def test_vectors_that_do_not_fit_are_refused():
    x = clustered()
    for few in (30, 143):
        with pytest.raises(ValueError, match=f"{few} vectors do not fill a batch of 128 and 16 held out; use train."):
            train_binarizer(x[:few], LEVELS, SMALL)
    with pytest.raises(ValueError, match=r"15 vectors do not fill .* at least 16 are needed"):
        train_binarizer(x[:15], LEVELS, SMALL)
    train_binarizer(x[:144], LEVELS, replace(SMALL, steps=1))
    train_binarizer(x[:32], LEVELS, ROUNDS)
    with pytest.raises(ValueError, match="31 vectors do not fill a fit to 16 and 16 held out; use train"):
        train_binarizer(x[:31], LEVELS, ROUNDS)
    x[17, 3] = torch.nan
    with pytest.raises(ValueError, match="train_binarizer: 1 rows hold NaN or infinity, the first is row 17"):
        train_binarizer(x, LEVELS, SMALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"rounds": -1}, "rounds must be >= 0, got -1"),
        ({"pull": -1}, "pull must be >= 0 and finite, got -1"),
        ({"fitted_rows": 0}, "fitted_rows must be at least 1, got 0"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"validate_every": -1}, "validate_every must be at least 1, got -1"),
        ({"global_batch": 100}, "global_batch 100 is not a multiple of group 16"),
        ({"micro_batch": 24}, "micro_batch must be 0 or a multiple of group 16, got 24"),
        ({"micro_batch": -16}, "micro_batch must be 0 or a multiple of group 16, got -16"),
        ({"learning_rate": 0}, "learning_rate must be positive and finite, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive and finite, got nan"),
        ({"clip_norm": -1}, "clip_norm must be positive and finite, got -1"),
        ({"held_out": 0.6}, r"held_out must lie in \(0, 0.5\], got 0.6"),
        ({"held_out": 0}, r"held_out must lie in \(0, 0.5\], got 0"),
        ({"components": -1}, "components must be >= 0"),
        ({"keep": 1}, "keep >= 2"),
        ({"bad_batches": 2}, r"bad_batches in \[0, 1\]"),
    ],
)
def test_configurations_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize("weights", [(-1, 1), (0, 0), (float("nan"), 1), (1, float("nan")), (1, float("inf"))])
def test_weights_that_are_refused(weights):
    with pytest.raises(ValueError, match="loss weights must be >= 0, finite and not all 0"):
        LossWeights(*weights)


def test_the_learning_rate_rises_then_falls_to_zero():
    config = replace(SMALL, steps=200, learning_rate=0.5)
    rates = [learning_rate_at(step, config) for step in range(201)]
    assert max(rates) == rates[19] == 0.5
    assert all(a < b for a, b in pairwise(rates[:20]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[110] == pytest.approx(0.25)
    assert rates[200] == pytest.approx(0, abs=1e-12)


def test_training_gains_from_the_first_step_on(glove, tmp_path):
    """Default learning rate on real vectors: every validation is below the untrained model's, and they fall.

    Between neighbours of the last ones rounding decides, which differs between processors.
    """
    config = TrainConfig(steps=100, rounds=0, global_batch=1024, group=128, validate_every=25)
    train_binarizer(glove.vectors, (128, 256), config, run_folder=tmp_path)
    figures = [line["loss"] for line in read_metrics(tmp_path)]
    assert len(figures) == 5
    assert max(figures[1:]) < figures[0]
    assert max(figures[3:]) < min(figures[1:3])
