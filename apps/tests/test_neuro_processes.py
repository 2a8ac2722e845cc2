"""Several processes, signals and kills: the same run in the end."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess

import numpy as np
import pytest
import torch
from binemb import BinaryCodes
from safetensors.torch import load_file

# gradient steps first, then rounds: a run can be stopped in both
LONG = ("--set", "train.steps=100", "--set", "train.checkpoint_every=20", "--set", "train.rounds=6")
FILES = ("model.safetensors", "codes.safetensors", "metrics.jsonl")


@pytest.fixture(scope="session")
def long(glove):
    """Options of a run that lasts long enough to be stopped."""
    return (*glove, *LONG)


@pytest.fixture(scope="session")
def uninterrupted(long, command, tmp_path_factory):
    """The same run, left alone."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    ended = command("embed", "train", *long, "--out", folder, "--quiet")
    assert ended.code == 0, ended.err
    return folder


def same_run(a, b):
    """Every tensor, and every byte of what a run leaves."""
    left, right = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)
    for name in FILES:
        assert (a / name).read_bytes() == (b / name).read_bytes()


@pytest.mark.parametrize("step", ["00000040", "00000102"])
def test_killed_and_resumed(started, neuro, long, uninterrupted, tmp_path, wait_for, step):
    """SIGKILL among the gradient steps or the rounds, then --resume auto."""
    process = started("embed", "train", *long, "--out", "run")
    wait_for(tmp_path / "run" / "checkpoints" / f"step-{step}", process)
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "model.safetensors").exists()
    unfinished = json.loads(neuro("embed", "info", "run", "--json").out)
    assert (unfinished["finished"], max(unfinished["checkpoints"]) >= 20) == (False, True)
    assert neuro("embed", "search", "--model", "run", "-q", "paris").err.endswith("has not finished\n")
    ended = neuro("embed", "train", *long, "--resume", "auto", "--out", "run")
    assert ended.code == 0, ended.err
    assert "resumed from run/checkpoints/step-" in ended.err
    same_run(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (signal.SIGTERM, "00000020"),
        (signal.SIGTERM, "00000101"),
        pytest.param(signal.SIGINT, "00000020", marks=pytest.mark.slow),
    ],
)
def test_stopped_and_resumed_as_the_message_says(started, neuro, long, uninterrupted, tmp_path, wait_for, number, step):
    process = started("embed", "train", *long, "--out", "run")
    wait_for(tmp_path / "run" / "checkpoints" / f"step-{step}", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (75, "")
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("stopped: ")
    said = shlex.split(last.partition("resume with ")[2])
    assert said == ["--resume", "auto", "--out", "run"]
    ended = neuro("embed", "train", *said, "--quiet")
    assert ended.code == 0, ended.err
    same_run(tmp_path / "run", uninterrupted)


def test_resume_finds_the_unfinished_run(neuro, trained, short, tmp_path):
    """Without --out: the newest run of the same settings that has no report yet, under whatever device."""
    runs = tmp_path / "runs"
    for name in ("20250101-000000-embed-train", "20250102-000000-embed-train", "20250103-000000-embed-train"):
        shutil.copytree(trained, runs / name)
        (runs / name / "report.html").unlink()
    (runs / "20250103-000000-embed-train" / "report.html").touch()
    plan = ["embed", "train", *short, "--resume", "auto", "--dry-run", "--json"]
    found = json.loads(neuro(*plan, "--device", "auto").out)
    assert (found["run"], found["resume"]) == ("runs/20250102-000000-embed-train", "auto")
    other = json.loads(neuro(*plan, "--seed", 1).out)
    assert other["resume"] is None
    assert "2025010" not in other["run"]
    ended = neuro("embed", "train", *short, "--resume", "auto", "--json")
    assert json.loads(ended.out)["run"] == "runs/20250102-000000-embed-train"
    same_run(runs / "20250102-000000-embed-train", trained)


@pytest.mark.parametrize("path", ["run", "run/checkpoints/step-00000002"])
def test_resume_from_a_path(neuro, trained, tmp_path, path):
    """The run's own settings hold; an earlier checkpoint trains the rounds after it again."""
    shutil.copytree(trained, tmp_path / "run")
    ended = neuro("embed", "train", "--resume", path)
    assert ended.code == 0, ended.err
    assert f"resumed from run/checkpoints/step-0000000{2 if 'step' in path else 3}" in ended.err
    same_run(tmp_path / "run", trained)


def test_resume_into_another_folder(neuro, trained, tmp_path):
    """A branch: the run it comes from stays as it is."""
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.rglob("*"))
    step = trained / "checkpoints" / "step-00000002"
    assert neuro("embed", "train", "--resume", step, "--out", "branch").code == 0
    same_run(tmp_path / "branch", trained)
    assert sorted((path, path.stat().st_mtime_ns) for path in trained.rglob("*")) == before


def test_branch_of_a_finished_run(neuro, trained, tmp_path):
    """Nothing is left to train: the branch is the run, its metrics included."""
    assert neuro("embed", "train", "--resume", trained, "--out", "branch").code == 0
    same_run(tmp_path / "branch", trained)


def test_branch_of_an_unfinished_run(neuro, trained, tmp_path):
    """What is left is trained in the branch; the run it comes from stays unfinished."""
    run = shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(run / "checkpoints" / "step-00000003")
    for name in ("model.safetensors", "codes.safetensors", "report.html"):
        (run / name).unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 2))
    ended = neuro("embed", "train", "--resume", "run", "--out", "branch")
    assert ended.code == 0, ended.err
    assert "resumed from run/checkpoints/step-00000002" in ended.err
    same_run(tmp_path / "branch", trained)
    assert not (run / "model.safetensors").exists()


@pytest.mark.slow
def test_two_processes_train_the_same_model(neuro_process, short, trained, tmp_path):
    """After 3 rounds: parameters within 1e-3 of their norm, fewer than one bit in a thousand differs."""
    ended = neuro_process("embed", "train", *short, "--out", "run", "--nproc", 2, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["rounds"] == 3
    one, two = load_file(trained / "model.safetensors"), load_file(tmp_path / "run" / "model.safetensors")
    for name, tensor in one.items():
        difference = (two[name].double() - tensor.double()).norm()
        assert difference <= 1e-3 * tensor.double().norm() + 1e-6, name
    packed = [BinaryCodes.load(run / "codes.safetensors").packed.numpy() for run in (trained, tmp_path / "run")]
    differing = np.unpackbits(np.bitwise_xor(*packed)).mean()
    assert differing < 1e-3


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--vectors", "vectors.txt"], 2, "vectors.txt: line 1234: "),
        (["--set", "train.steps=20", "--set", "train.learning_rate=1e30", "--vectors", "good.txt"], 1, "bad batch"),
    ],
)
@pytest.mark.slow
def test_a_worker_failure_is_one_message(neuro_process, random_vectors, small, tmp_path, options, code, said):
    random_vectors(2000).rename(tmp_path / "good.txt")
    random_vectors(2000, edit={1234: "qz1233 oops"})
    ended = neuro_process("embed", "train", *small, *options, "--out", "run", "--nproc", 2, "--quiet")
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, "")
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert said in lines[-1]
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_two_processes_refuse_what_the_main_one_refuses(neuro_process, trained, tmp_path):
    """The main process alone finds it; its code is the command's."""
    shutil.copytree(trained, tmp_path / "run")
    for _ in range(3):
        ended = neuro_process("embed", "train", "--resume", "run", "--seed", 1, "--nproc", 2, "--quiet")
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert "was begun with another seed" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_two_processes_stopped_and_resumed(started, neuro_process, long, tmp_path, wait_for, number):
    whole = neuro_process("embed", "train", *long, "--out", "whole", "--nproc", 2, "--quiet")
    assert whole.code == 0, whole.err
    process = started("embed", "train", *long, "--out", "run", "--nproc", 2)
    wait_for(tmp_path / "run" / "checkpoints" / "step-00000020", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert process.returncode == 75
        assert err.splitlines()[-1].startswith("stopped: ")
    ended = neuro_process("embed", "train", "--resume", "auto", "--out", "run", "--nproc", 2)
    assert ended.code == 0, ended.err
    same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_a_stop_outside_training_is_resumable(started, neuro_process, random_vectors, small, tmp_path, wait_for):
    """While 400,000 words are read, nothing is trained yet: 75 all the same, and the run can begin again."""
    options = ["--vectors", "samples:glove-50d", *small, "--set", "train.rounds=1", "--out", "run"]
    process = started("embed", "train", *options)
    wait_for(tmp_path / "run" / "env.json", process)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "--resume auto --out run" in err.splitlines()[-1]
    assert neuro_process("embed", "train", "--resume", "auto", "--out", "run").code == 0


@pytest.mark.slow
def test_a_closed_pipe_is_no_traceback(program, trained, tmp_path):
    """`neuro ... | head -1`."""
    command = shlex.join([*program, "embed", "search", "--model", str(trained), "-q", "paris", "-k", "5000", "--json"])
    ended = subprocess.run(
        ["bash", "-c", f"{command} | head -1"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("[\n", "")
