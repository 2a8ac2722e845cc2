"""`neuro liquid train` and `eval`: readouts learnt, judged beside controls, used again."""

from __future__ import annotations

import csv
import json
import signal
import wave
from pathlib import Path

import numpy as np
import pytest
from ddp_utils import FileFormatError
from lsm.task_templates import template_streams
from neuro.liquid_readout import LinearReadout
from neuro.liquid_settings import TaskSettings
from neuro.liquid_tasks import make_task, only_tests

NET = """
[[input]]
name = "in"
channels = {channels}

[[population]]
name = "E"
neurons = 60
model = "lif"
box = [3.0, 3.0, 6.0]
refractory = 3.0

[[projection]]
from = "in"
to = "E"
rule = "fixed_indegree"
k = 6
weight = 9.0
delay = 1.0

[[projection]]
from = "E"
to = "E"
rule = "distance_bernoulli"
C = 0.3
lambda = 2.0
weight = 2.0
delay = 1.5
"""
SMALL = ("--samples", 20, "--set", "task.test_samples=15", "--set", "engine.threads=1", "--set", "block=5", "--quiet")


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


def description(path: Path, channels: int) -> Path:
    """A small liquid in TOML."""
    path.write_text(NET.format(channels=channels))
    return path


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    """A liquid with 40 channels; tests read it."""
    return description(tmp_path_factory.mktemp("liquid") / "net.toml", 40)


@pytest.fixture(scope="session")
def trained(command, network, tmp_path_factory):
    """A finished run on templates; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    ended = command("liquid", "train", "--network", network, *SMALL, "--out", folder, "--json")
    assert ended.code == 0, ended.err
    return folder, json.loads(ended.out)


def test_a_run_folder_is_whole(trained):
    run, summary = trained
    names = {"config.toml", "env.json", "plots", "report.html", "readout.safetensors", "answers.csv", "train.json"}
    assert names <= {path.name for path in run.iterdir()}
    assert not (run / "states").exists()
    methods = [row["method"] for row in summary["methods"]]
    assert methods == ["liquid", "scrambled liquid", "input alone", "random features of the input"]
    with (run / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == summary["test_rows"] == 15 * 4
    for row in summary["methods"]:
        right = np.mean([answer[row["method"]] == answer["target"] for answer in rows])
        assert row["accuracy"] == pytest.approx(right)
        assert row["low"] <= row["accuracy"] <= row["high"]
        if row["method"] != "liquid":
            assert row["gain"] == pytest.approx(summary["methods"][0]["accuracy"] - row["accuracy"])
    assert summary["methods"][0]["accuracy"] > 0.8  # templates that are being heard are easy
    pictures = (run / "report.html").read_text(encoding="utf-8").count("data:image/png")
    assert pictures == len(summary["plots"]) == 3


def test_the_readout_is_used_again(neuro, trained, tmp_path):
    """On the run's own test streams it answers the same; on others about as well."""
    run, summary = trained
    refused(neuro("liquid", "eval", run, "--part", "train"), "the readout was trained on")
    ended = neuro("liquid", "eval", run, "--part", "test", "--out", "same", "--json", "--quiet")
    assert ended.code == 0, ended.err
    same = json.loads(ended.out)
    assert same["accuracy"] == summary["methods"][0]["accuracy"]
    assert (tmp_path / "same" / "confusion.png").is_file()
    with (tmp_path / "same" / "answers.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == same["items"] == 60
    ended = neuro("liquid", "eval", run, "--set", "task.jitter=0", "--out", "other", "--json", "--quiet")
    assert json.loads(ended.out)["accuracy"] > 0.8
    assert json.loads(ended.out)["items"] == 60


@pytest.mark.slow
def test_stopped_and_resumed(neuro, started, wait_for, network, trained, tmp_path):
    """Ctrl-C ends it with 75 and keeps the states that are there; the answers are those of a run in one go."""
    options = ("--network", network, *SMALL, "--out", "run")
    process = started("liquid", "train", *options, "--samples", 3000)
    wait_for(tmp_path / "run" / "states" / "liquid" / "000010.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 75, err
    assert "--resume auto --out run" in err.splitlines()[-1]
    assert not (tmp_path / "run" / "readout.safetensors").exists()
    refused(neuro("liquid", "train", *options, "--resume", "auto"), "begun with another task.samples")
    process = started("liquid", "train", "--network", network, *SMALL, "--out", "short")
    wait_for(tmp_path / "short" / "states" / "liquid" / "000000.safetensors", process)
    process.kill()
    process.communicate()
    ended = neuro("liquid", "train", "--network", network, *SMALL, "--out", "short", "--resume", "auto", "--json")
    assert ended.code == 0, ended.err
    assert (tmp_path / "short" / "answers.csv").read_bytes() == (trained[0] / "answers.csv").read_bytes()


@pytest.mark.parametrize("task", ["narma10", "memory"])
def test_series(neuro, network, task):
    ended = neuro(
        "liquid", "train", "--task", task, "--network", network, "--samples", 400, "--set", "task.test_samples=200",
        "--set", "controls=false", "--set", "readout.tau=15", "--quiet", "--out", "run", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (row,) = json.loads(ended.out)["methods"]
    assert row["items"] == 200 - 21
    assert len(row["memory"]) == (1 if task == "narma10" else 20)
    assert row["capacity"] == pytest.approx(sum(row["memory"]))
    assert row["memory"][0] > 0.1 or task == "narma10"  # the last value is still heard
    ended = neuro("liquid", "eval", "run", "--json", "--quiet")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["nrmse"] < 1.3


def test_spoken_digits(neuro, tmp_path):
    """Tones stand for digits: two speakers, each left out in turn, and then a third."""
    folder = tmp_path / "wavs"
    folder.mkdir()
    rng = np.random.default_rng(0)

    def speak(digit, speaker, index, where=folder):
        pitch = 300.0 * (1 + digit) * (1 + 0.02 * rng.normal())
        tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(1600) / 8000)
        with wave.open(str(where / f"{digit}_{speaker}_{index}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((tone * 32767).astype("<i2").tobytes())

    for speaker in ("ann", "bob"):
        for digit in (0, 4, 9):
            for index in range(3):
                speak(digit, speaker, index)
    network = description(tmp_path / "net.toml", 64)
    options = (
        "--network",
        network,
        "--data",
        folder,
        "--set",
        "task.split=speakers",
        "--quiet",
        "--out",
        "run",
        "--json",
    )
    ended = neuro("liquid", "train", "--task", "digits", *options)
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert (summary["folds"], summary["test_rows"]) == (2, 18)
    assert summary["methods"][0]["accuracy"] > 0.8
    assert summary["methods"][2]["features"] == 64 * 8
    refused(neuro("liquid", "eval", "run"), "--data")
    other = tmp_path / "third"
    other.mkdir()
    speak(4, "eve", 0, other)
    ended = neuro("liquid", "eval", "run", "--data", other, "--json", "--quiet")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["items"] == 1
    (other / "9_eve_1.wav").write_bytes(b"no sound")
    refused(neuro("liquid", "eval", "run", "--data", other), "9_eve_1.wav")
    refused(
        neuro("liquid", "train", "--task", "digits", "--network", network, "--data", tmp_path / "empty.tar"),
        "empty.tar",
    )


@pytest.mark.slow
def test_texts(neuro, tmp_path):
    lines = [f"{label}\tthis is {word} {word}" for _ in range(12) for label, word in (("up", "good"), ("down", "bad"))]
    (tmp_path / "texts.tsv").write_text("\n".join(lines), encoding="utf-8")
    network = description(tmp_path / "net.toml", 300)
    options = (
        "--network",
        network,
        "--data",
        "texts.tsv",
        "--set",
        "controls=false",
        "--quiet",
        "--out",
        "run",
        "--json",
    )
    ended = neuro("liquid", "train", "--task", "text", *options)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["methods"][0]["accuracy"] > 0.7
    classes = LinearReadout.load(tmp_path / "run" / "readout.safetensors").classes
    assert classes is not None
    assert classes.tolist() == ["down", "up"]
    (tmp_path / "new.tsv").write_text("up\tvery good\n", encoding="utf-8")
    ended = neuro("liquid", "eval", "run", "--data", "new.tsv", "--json", "--quiet")
    assert json.loads(ended.out)["items"] == 1
    (tmp_path / "new.tsv").write_text("up very good\n", encoding="utf-8")
    refused(neuro("liquid", "eval", "run", "--data", "new.tsv"), "new.tsv, line 1: expected label<TAB>text")


def test_xor_asks_for_two_segments():
    """The first segment has no target; a stream lies on one side of the split."""
    task = make_task(TaskSettings("xor", samples=6, test_samples=4), instants=0, seed=3)
    streams = template_streams(6, seed=3)
    np.testing.assert_array_equal(task.targets[: 6 * 3].reshape(6, 3), streams.exclusive_or()[:, 1:])
    ((train, test),) = task.folds
    assert not set(task.groups_I[train]) & set(task.groups_I[test])
    alone = only_tests(task)
    assert len(alone.samples) == 4
    np.testing.assert_array_equal(alone.targets, task.targets[test])
    np.testing.assert_array_equal(alone.rows_I, task.rows_I[test] - 6 * 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--task", "digits"], "needs task.data (--data)"),
        (["train", "--task", "tempaltes"], "task.name"),
        (["train", "--set", "readout.tua=3"], "did you mean readout.tau"),
        (["train", "--set", "readout.tau=-3"], "tau must be positive"),
        (["train", "--network", "microcircuit"], "no input channels"),
        (["train", "--network", "net.toml"], "has 7 channels, the task templates has 40"),
        (["train", "--task", "text", "--data", "none.tsv"], "none.tsv: No such file"),
        (["train", "--task", "text", "--data", "one.tsv"], "at least two labels"),
        (["train", "--task", "memory", "--samples", "30"], "more than 42 values"),
        (["eval", "empty"], "no readout.safetensors"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    description(tmp_path / "net.toml", 7)
    (tmp_path / "one.tsv").write_text("up\tgood\nup\tbetter\n")
    refused(neuro("liquid", *arguments), said)
    assert not (tmp_path / "runs").exists()


def test_a_damaged_readout_is_named(trained, tmp_path):
    whole = (trained[0] / "readout.safetensors").read_bytes()
    (tmp_path / "bad").write_bytes(whole[:-9])
    with pytest.raises(FileFormatError, match="bad"):
        LinearReadout.load(tmp_path / "bad")


@pytest.mark.slow
def test_two_processes(neuro_process, network, trained, tmp_path):
    """--nproc 2 shares the samples; the answers are the same."""
    ended = neuro_process("liquid", "train", "--network", network, *SMALL, "--nproc", 2, "--out", "two")
    assert ended.code == 0, ended.err
    assert (tmp_path / "two" / "answers.csv").read_bytes() == (trained[0] / "answers.csv").read_bytes()
