"""Signs and decoders in turn: what a round does, how processes share it, what the code gains by it."""

from __future__ import annotations

import copy
import os
import pickle
import signal
from dataclasses import replace

import pytest
import torch
from binemb import (
    MatryoshkaBinarizer,
    Preparation,
    TrainConfig,
    asymmetric,
    evaluate_neighbours,
    nested_start,
    train_binarizer,
)
from binemb import alternation as alternation_module
from binemb.alternation import alternate, code_moments, level_errors
from binemb.projection_start import effective_dimensions, quantization_rotation, random_rotation, successive_signs
from ddp_utils import Stopped, read_metrics
from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file

LEVELS = (16, 32, 96)
QUICK = TrainConfig(rounds=4, global_batch=512, group=64, components=2)


@pytest.fixture(scope="module")
def prepared(glove):
    return Preparation.fit(glove.vectors, components=2)(glove.vectors)


@pytest.fixture(scope="module")
def fitted(glove):
    return {pull: MatryoshkaBinarizer.fit(glove.vectors, LEVELS, config=replace(QUICK, pull=pull)) for pull in (0.5, 0)}


@pytest.fixture(scope="module")
def signs_alone(glove):
    """The same start, without rounds: ITQ."""
    return MatryoshkaBinarizer.fit(glove.vectors, LEVELS, config=replace(QUICK, rounds=0))


def recall(model, glove, prepared, level, *, decoded):
    part = model.encode(glove.vectors).truncate(level)
    return evaluate_neighbours(model.decode(part) if decoded else part, prepared, queries=1000)


@pytest.mark.parametrize("level", LEVELS)
def test_search_finds_more_neighbours_than_signs(fitted, signs_alone, glove, prepared, level):
    """By Hamming distance no prefix loses, the longest gains; decoded, all beyond the first gain much."""
    hamming, decoded = (
        [recall(model, glove, prepared, level, decoded=d) for model in (fitted[0.5], signs_alone)]
        for d in (False, True)
    )
    assert hamming[0] > hamming[1] + (0.03 if level == 96 else -0.01)
    assert decoded[0] > decoded[1] + {16: 0, 32: 0.01, 96: 0.05}[level]


def test_without_a_pull_decoded_vectors_come_closest(fitted, glove, prepared):
    free, held = (recall(fitted[pull], glove, prepared, 96, decoded=True) for pull in (0, 0.5))
    assert free > held + 0.03
    by_bits = [recall(fitted[pull], glove, prepared, 96, decoded=False) for pull in (0, 0.5)]
    assert by_bits[0] < by_bits[1] - 0.1  # and this is its price


def test_errors_of_levels_are_those_of_the_decoded_vectors(prepared):
    model = MatryoshkaBinarizer(Preparation(torch.zeros(50), torch.zeros(0, 50)), LEVELS)
    alternate(model, prepared, pull=0.5)
    moments = code_moments(model.sign_search(), prepared, 96)
    found = level_errors(model, *moments, 1.0)
    signs = model.sign_search()(prepared.double()).float()
    written_out = [float((prepared - d.detach()).square().sum(1).mean()) for d in model.decode_levels(signs)]
    assert found == pytest.approx(written_out, rel=1e-4)


def test_moments_are_those_of_numpy_and_add_up_over_processes(prepared, monkeypatch):
    model = MatryoshkaBinarizer(Preparation(torch.zeros(50), torch.zeros(0, 50)), LEVELS)
    search = model.sign_search()
    moment, cross = code_moments(search, prepared, 96)
    signs = search(prepared.double()).double()
    torch.testing.assert_close(moment, signs.T @ signs / len(prepared), rtol=0, atol=1e-12)
    torch.testing.assert_close(cross, signs.T @ prepared.double() / len(prepared), rtol=0, atol=1e-12)
    monkeypatch.setattr(alternation_module, "ROWS_AT_ONCE", 512)
    monkeypatch.setattr(alternation_module, "world_size", lambda: 3)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda _: None)
    parts = []
    for number in range(3):
        monkeypatch.setattr(alternation_module, "rank", lambda number=number: number)
        parts.append(code_moments(search, prepared, 96))
    torch.testing.assert_close(sum(part[0] for part in parts), moment, rtol=0, atol=1e-12)
    torch.testing.assert_close(sum(part[1] for part in parts), cross, rtol=0, atol=1e-12)


def test_the_start_is_itq(prepared):
    """Rows of rotations: orthonormal runs; signs lie closer than those of the rotation it started from."""
    rows = nested_start(prepared, LEVELS, seed=0)
    assert rows.shape == (96, 50)
    torch.testing.assert_close(rows[:16] @ rows[:16].T, torch.eye(16), atol=1e-5, rtol=0)
    assert 16 < effective_dimensions(torch.linalg.eigvalsh(prepared.T @ prepared)) < 32  # PCA for the first level only
    torch.testing.assert_close(rows[16:66] @ rows[16:66].T, torch.eye(50), atol=1e-5, rtol=0)
    x = prepared.double()
    start = random_rotation(50, 0, 0)
    turned = quantization_rotation(x, start)
    torch.testing.assert_close(turned @ turned.T, torch.eye(50, dtype=torch.float64))

    def distance(rotation):
        z = x @ rotation.T
        return float((torch.where(z >= 0, 1.0, -1.0) - z).square().mean())

    assert distance(turned) < distance(start)
    assert effective_dimensions(torch.ones(7)) == pytest.approx(7)
    assert effective_dimensions(torch.tensor([1.0, 0, 0])) == pytest.approx(1)


def test_successive_levels_refine(prepared):
    signs = successive_signs(prepared[:2000], LEVELS, seed=0)
    errors = []
    for level in LEVELS:
        part = signs[:, :level]
        decoder = torch.linalg.lstsq(part, prepared[:2000]).solution
        errors.append(float((prepared[:2000] - part @ decoder).square().sum(1).mean()))
    assert errors[1] < 0.75 * errors[0]
    assert errors[2] < 0.4 * errors[1]


def test_weights_of_queries_score_as_decoded_vectors_do(fitted, glove, prepared):
    model = fitted[0.5]
    codes = model.encode(glove.vectors[:300]).truncate(32)
    weights = model.asymmetric_queries(glove.vectors[:20], n_bits=32)
    decoded = codes.signs() @ model.level_decoders()[1]
    torch.testing.assert_close(asymmetric(weights, codes), prepared[:20] @ decoded.T, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="asymmetric_queries: n_bits must be one of"):
        model.asymmetric_queries(glove.vectors[:2], n_bits=40)


def test_stopped_rounds_go_on_to_the_same_bits(glove, tmp_path):
    config = replace(QUICK, steps=4, validate_every=2, learning_rate=0.001)
    steps: list[int] = []
    whole = train_binarizer(glove.vectors, LEVELS, config, on_step=steps.append)
    assert steps == list(range(1, 9))  # four gradient steps, four rounds

    def stop(done):
        if done == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="after round 2 of 4; resume with --resume auto"):
        train_binarizer(glove.vectors, LEVELS, config, run_folder=tmp_path, on_step=stop)
    steps = []
    resumed = train_binarizer(glove.vectors, LEVELS, config, run_folder=tmp_path, resume="auto", on_step=steps.append)
    assert steps == [7, 8]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 2, 4, 5, 6, 7, 8]
    with pytest.raises(ValueError, match="was trained with other config"):
        train_binarizer(glove.vectors, LEVELS, replace(config, pull=0.1), run_folder=tmp_path, resume="auto")


def test_rounds_lower_the_held_out_error(glove, tmp_path):
    train_binarizer(glove.vectors, LEVELS, QUICK, run_folder=tmp_path)
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[-1]["reconstruction_96"] < 0.6 * lines[0]["reconstruction_96"]
    assert lines[-1]["loss"] < 0.95 * lines[0]["loss"]


def test_rounds_that_only_learn_by_heart_are_not_kept(glove):
    """More bits than words to fit them to: no worse on held-out words than the start."""
    few = replace(QUICK, global_batch=128, group=32, rounds=8)
    start = MatryoshkaBinarizer.fit(glove.vectors[:200], (64, 256), config=replace(few, rounds=0))
    fitted = MatryoshkaBinarizer.fit(glove.vectors[:200], (64, 256), config=few)
    others = glove.vectors[1000:2000]

    def error(model):
        decoded = [model.decode(model.encode(others).truncate(level)) for level in model.bits]
        return sum(float((1 - (d * model.preparation(others)).sum(1)).mean()) for d in decoded)

    assert error(fitted) < 1.05 * error(start)


def test_models_of_version_1_keep_their_codes(glove, tmp_path):
    """They had no search: the signs of the activations."""
    model = MatryoshkaBinarizer(Preparation.fit(glove.vectors), LEVELS, seed=1)
    model.save(tmp_path / "new")
    tensors, metadata = read_tensor_file(tmp_path / "new", kind="binemb.matryoshka", version=2)
    old = {name: tensor for name, tensor in tensors.items() if name not in ("level_weights_K", "pull_B")}
    write_tensor_file(tmp_path / "old", old, kind="binemb.matryoshka", version=1, metadata=metadata)
    codes = MatryoshkaBinarizer.load(tmp_path / "old").encode(glove.vectors[:100])
    assert torch.equal(codes.packed, model.encode(glove.vectors[:100]).packed)
    tensors["pull_B"] = -tensors["pull_B"]
    write_tensor_file(tmp_path / "bad", tensors, kind="binemb.matryoshka", version=2, metadata=metadata)
    with pytest.raises(FileFormatError, match="are negative"):
        MatryoshkaBinarizer.load(tmp_path / "bad")


def test_a_nested_model_is_close_to_models_for_each_size_alone(glove, prepared):
    """By Hamming distance within .02 at every prefix; decoded, prefixes give up more to the whole (docs/results)."""
    config = replace(QUICK, rounds=8)
    nested = MatryoshkaBinarizer.fit(glove.vectors, (32, 64, 128), config=config)
    for level in (32, 64, 128):
        alone = MatryoshkaBinarizer.fit(glove.vectors, (level,), config=config)
        hamming, decoded = (
            recall(nested, glove, prepared, level, decoded=d) - recall(alone, glove, prepared, level, decoded=d)
            for d in (False, True)
        )
        assert hamming > -0.02
        assert decoded > -0.05


def test_vectors_without_variance_are_fitted_without_failing():
    """Nothing is left of them once the mean is dropped."""
    config = replace(QUICK, global_batch=128, group=32, components=0, rounds=2)
    model = MatryoshkaBinarizer.fit(torch.ones(300, 5), (8,), config=config)
    assert len(model.encode(torch.ones(3, 5))) == 3


def test_gradient_steps_that_rounds_would_throw_away_are_refused():
    with pytest.raises(ValueError, match="steps move the projection, which rounds with pull=0 leave out"):
        TrainConfig(steps=3, pull=0)


def test_the_search_follows_every_change_of_the_model(fitted, glove):
    model = copy.deepcopy(fitted[0.5])
    x = glove.vectors[:200]
    before = model.encode(x).packed
    for _ in range(3):
        model.weight_BD = torch.nn.Parameter(-model.weight_BD.detach())
        model.pull_B = model.pull_B * 100
        after = model.encode(x).packed
        assert not torch.equal(after, before)
        before = after
    assert torch.equal(pickle.loads(pickle.dumps(model)).encode(x).packed, before)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(model).encode(x).packed, before)


def test_models_loaded_for_inference_encode(fitted, glove, tmp_path):
    fitted[0.5].save(tmp_path / "model")
    with torch.inference_mode():
        codes = MatryoshkaBinarizer.load(tmp_path / "model").encode(glove.vectors[:50])
    assert torch.equal(codes.packed, fitted[0.5].encode(glove.vectors[:50]).packed)


def test_models_in_other_precisions_decode_and_are_saved(fitted, glove, tmp_path):
    model = fitted[0.5]
    wide = copy.deepcopy(model).double()
    codes = wide.encode(glove.vectors[:20])
    torch.testing.assert_close(wide.decode(codes), model.decode(codes))
    wide.save(tmp_path / "wide")
    assert torch.equal(MatryoshkaBinarizer.load(tmp_path / "wide").encode(glove.vectors[:20]).packed, codes.packed)
