"""Training: it gains, resumes bit for bit, does not depend on the number of processes, and survives bad steps."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sdquant as sd
import torch
from ddp_utils import Stopped, TooManyBadBatchesError, read_metrics
from sdquant.autoencoder_train import losses_per_group

SCRIPTS = Path(__file__).parent / "scripts"
SMALL = sd.AutoencoderConfig(
    steps=12, global_batch=128, group=16, micro_batch=64, validate_every=4, held_out=0.1, patience=100
)


def clustered(n: int = 600, dim: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, dim, generator=generator)
    return centres[torch.arange(n) % 20] + 0.3 * torch.randn(n, dim, generator=generator)


def assert_same_state(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def variance_left(model: sd.BinaryAutoencoder, x: torch.Tensor) -> float:
    decoded = model.decode(model.encode(x))
    assert isinstance(decoded, torch.Tensor)
    return float((decoded - x).square().mean() / (x - x.mean(0)).square().mean())


@pytest.mark.parametrize("quantizer", ["greedy", "sd1", "sd2", "sd3"])
@pytest.mark.parametrize("ternary", [True, False])
def test_training_gains_over_the_untrained_code(quantizer, ternary):
    """On vectors it has not seen, at the same bits; the untrained one is decoded by least squares in real numbers."""
    x = clustered(2500)
    config = replace(SMALL, steps=150, global_batch=256, micro_batch=256, validate_every=50)
    trained = sd.train_binary_autoencoder(x[:2000], 16, quantizer, ternary, hidden=32, config=config)
    untrained = sd.BinaryAutoencoder(12, 16, quantizer, ternary=False, hidden=0)
    untrained.start(x[:2000])
    assert variance_left(trained, x[2000:]) < 0.8 * variance_left(untrained, x[2000:])


def test_concatenated_models_are_trained_on_together():
    x = clustered()
    parts = [x[:, :4].double(), 100 * x[:, 4:]]
    model = sd.train_binary_autoencoder(parts, 24, hidden=8, config=replace(SMALL, steps=60))
    decoded = model.decode(model.encode(parts))
    assert isinstance(decoded, list)
    for part, estimate in zip(parts, decoded, strict=True):
        assert estimate.shape == part.shape
        assert float((estimate - part).square().mean() / part.square().mean()) < 0.5


def test_a_stopped_and_resumed_run_is_bit_for_bit_the_same(tmp_path):
    def stop(done: int) -> None:
        if done == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    x = clustered()
    options = {"hidden": 8, "config": SMALL, "seed": 3}
    whole = sd.train_binary_autoencoder(x, 16, **options)
    with pytest.raises(Stopped, match="after step 5 of 12; resume"):
        sd.train_binary_autoencoder(x, 16, **options, run_folder=tmp_path, resume="auto", on_step=stop)
    steps: list[int] = []
    resumed = sd.train_binary_autoencoder(x, 16, **options, run_folder=tmp_path, resume="auto", on_step=steps.append)
    assert steps == list(range(6, 13))
    assert_same_state(resumed.state_dict(), whole.state_dict())
    assert [record["step"] for record in read_metrics(tmp_path)] == [0, 4, 8, 12]
    changed = [
        ({"bits": 24}, "bits"),
        ({"quantizer": "sd1"}, "quantizer"),
        ({"ternary": False}, "ternary"),
        ({"hidden": 4}, "hidden"),
        ({"seed": 4}, "seed"),
        ({"config": replace(SMALL, learning_rate=0.01)}, "config"),
        ({"x": clustered(seed=1)}, "vectors"),
    ]
    for change, what in changed:
        with pytest.raises(ValueError, match=f"was trained with other {what}"):
            sd.train_binary_autoencoder(**{"x": x, "bits": 16, **options, **change}, run_folder=tmp_path, resume="auto")


def two_processes(mode: str, folder: Path) -> tuple[int, str]:
    """Run the script in two processes: exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPTS / "train_autoencoder.py"), mode, str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, done.stderr


def states(folder: Path, name: str) -> list[dict[str, torch.Tensor]]:
    return [torch.load(folder / f"{rank}-{name}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def stopped_in_two(tmp_path_factory):
    """Folder of a whole run and of one that a signal to the second process stopped, both in two processes."""
    folder = tmp_path_factory.mktemp("two")
    code, said = two_processes("stop", folder)
    assert code == 0, said
    return folder


@pytest.mark.slow
def test_two_processes_end_alike_and_as_one_within_rounding(stopped_in_two, monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    train = importlib.import_module("train_autoencoder").train

    first, second = states(stopped_in_two, "whole")
    assert_same_state(first, second)
    single = train(None).state_dict()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, single[name], rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(first[name], single[name]) for name in first)  # other sums: it was two that trained


@pytest.mark.slow
def test_two_stopped_processes_go_on_bit_for_bit(stopped_in_two):
    for rank, (whole, resumed) in enumerate(
        zip(states(stopped_in_two, "whole"), states(stopped_in_two, "resumed"), strict=True)
    ):
        assert (stopped_in_two / f"{rank}-stopped").exists()
        assert_same_state(whole, resumed)


@pytest.mark.slow
def test_two_killed_processes_go_on_bit_for_bit(stopped_in_two, tmp_path):
    code, said = two_processes("kill", tmp_path)
    assert code != 0
    assert "SIGKILL" in said
    code, said = two_processes("go-on", tmp_path)
    assert code == 0, said
    for whole, resumed in zip(states(stopped_in_two, "whole"), states(tmp_path, "resumed"), strict=True):
        assert_same_state(whole, resumed)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    first = sd.train_binary_autoencoder(clustered(), 16, hidden=8, config=replace(SMALL, steps=3), seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    again = sd.train_binary_autoencoder(clustered(), 16, hidden=8, config=replace(SMALL, steps=3), seed=5)
    assert_same_state(first.state_dict(), again.state_dict())
    other = sd.train_binary_autoencoder(clustered(), 16, hidden=8, config=replace(SMALL, steps=3), seed=6)
    names = [name for name, tensor in first.state_dict().items() if not torch.equal(tensor, other.state_dict()[name])]
    assert "encoder.direct.weight" in names


@pytest.mark.parametrize("quantizer", ["greedy", "sd2"])
def test_the_loss_reaches_every_parameter(quantizer):
    """Through the bits too, which have no gradient of their own."""
    model = sd.BinaryAutoencoder(12, 24, quantizer, hidden=8)
    z = model.start(clustered())
    losses_per_group(model, z[:64].view(4, 16, 12), sd.AutoencoderLossWeights())["loss"].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.norm()) > 0, name


def test_losses_are_their_definitions():
    model = sd.BinaryAutoencoder(12, 24, hidden=8)
    z_GSD = model.start(clustered())[:32].view(2, 16, 12)
    with torch.no_grad():
        found = losses_per_group(model, z_GSD, sd.AutoencoderLossWeights(2, 3, 4))
        decoded_GSD = model(z_GSD).double()
    for g, z in enumerate(z_GSD.double()):
        decoded = decoded_GSD[g]
        apart = (torch.cdist(decoded, decoded) ** 2 - torch.cdist(z, z) ** 2) / 12
        likely = torch.softmax(-8 * torch.cdist(decoded, z) ** 2 / 12, dim=1).diagonal()
        expected = {
            "reconstruction": ((decoded - z) ** 2).mean(),
            "distances": (apart**2).mean(),
            "identity": -likely.log().mean(),
        }
        expected["loss"] = 2 * expected["reconstruction"] + 3 * expected["distances"] + 4 * expected["identity"]
        for name, value in expected.items():
            assert float(found[name][g]) == pytest.approx(float(value), rel=1e-4), name


def test_steps_that_blow_up_are_skipped_until_there_are_too_many():
    with pytest.raises(TooManyBadBatchesError, match="Check the data, lower the learning rate"):
        sd.train_binary_autoencoder(clustered(), 16, hidden=8, config=replace(SMALL, learning_rate=1e30, patience=100))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_encoder_that_has_blown_up_gives_a_bad_loss_not_an_error(bad):
    """One process alone must not leave the step that all agree on."""
    model = sd.BinaryAutoencoder(12, 16, hidden=8)
    z_GSD = model.start(clustered())[:32].view(2, 16, 12)
    model.encoder.state_dict()["direct.bias"][3] = bad
    loss_G = losses_per_group(model, z_GSD, SMALL.loss_weights)["loss"]
    assert bool(loss_G.isnan().all())
    loss_G.sum().backward()


def test_vectors_that_do_not_fit_are_refused():
    x = clustered()

    def train(vectors, **options):
        return sd.train_binary_autoencoder(vectors, 16, hidden=8, config=SMALL, **options)

    with pytest.raises(ValueError, match="no rows"):
        train(x[:0])
    with pytest.raises(ValueError, match="the rows of x are all the same"):
        train(x[:1])
    with pytest.raises(ValueError, match="100 vectors do not fill a batch of 128"):
        train(x[:100])
    with pytest.raises(ValueError, match="the rows of x are all the same"):
        train(torch.ones(600, 12))
    with pytest.raises(ValueError, match="row 3 is zero"):
        train(torch.cat([x[:3], torch.zeros(1, 12), x]), metric="cosine")
    with pytest.raises(ValueError, match="row 17 has a NaN"):
        train(x.index_fill(0, torch.tensor(17), torch.nan))
    with pytest.raises(ValueError, match="same rows"):
        train([x, x[1:]])
    for no_matrix in (x.int(), x[0], x.tolist(), x[0, 0]):
        with pytest.raises(TypeError, match="floating tensor"):
            train(no_matrix)
    with pytest.raises(ValueError, match="resume='auto' needs the run_folder"):
        train(x, resume="auto")


@pytest.mark.parametrize("weights", [(-1, 1, 1), (0, 0, 0), (float("nan"), 1, 1), (1, float("inf"), 0)])
def test_loss_weights_that_are_refused(weights):
    with pytest.raises(ValueError, match="loss weights must be >= 0, finite and not all 0"):
        sd.AutoencoderLossWeights(*weights)
