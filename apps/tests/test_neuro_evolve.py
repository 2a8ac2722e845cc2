"""`neuro evolve`: a task in, a genome, films and figures out; agents that steer."""

from __future__ import annotations

import json
import shutil
import signal

import evosnn
import pytest
from ddp_utils import read_metrics
from evosnn.agent import load_agent
from evosnn.task_evaluator import suitable_config
from PIL import Image

SMALL = ("--population", 12, "--set", "evolution.evaluation.final_episodes=2", "--device", "cpu", "--quiet")
STEER = [
    argument
    for key, value in {
        "train": '["XOR"]',
        "test": '["CartPole-v1"]',
        "population": 4,
        "generations": 2,
        "evaluations": 1,
        "episodes": 4,
        "constants": 2,
        "seeds": 2,
    }.items()
    for argument in ("--set", f"steering.{key}={value}")
]


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


@pytest.fixture(scope="session")
def evolved(command, tmp_path_factory):
    """A finished run on XOR, which is quick; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("evolved") / "run"
    ended = command("evolve", "run", "--task", "XOR", "--generations", 2, *SMALL, "--out", folder, "--json")
    assert ended.code == 0, ended.err
    return folder, json.loads(ended.out)


def test_a_run_folder_is_whole(evolved):
    run, summary = evolved
    names = {"config.toml", "env.json", "metrics.jsonl", "checkpoints", "plots", "report.html", "best.genome"}
    assert names <= {path.name for path in run.iterdir()}
    genome = evosnn.Genome.load(run / "best.genome")
    assert (genome.n_neurons, genome.n_enabled) == (summary["neurons"], summary["synapses"])
    lines = read_metrics(run)
    assert [line["step"] for line in lines] == list(range(1, summary["generations"] + 1))
    assert lines[-1]["episodes"] <= summary["episodes"]
    pictures = (run / "report.html").read_text(encoding="utf-8").count("data:image/png")
    assert pictures == len(summary["plots"]) >= 3


def test_a_run_is_what_the_library_evolves(evolved):
    run, summary = evolved
    config = suitable_config("XOR").adjusted(final_episodes=2)
    result = evosnn.Evolution("XOR", population=12, seed=0, config=config).run(2, summary["target"])
    assert result.best == evosnn.Genome.load(run / "best.genome")
    assert result.score == summary["score"]


def test_replay_and_inspect(neuro, evolved, tmp_path):
    run, summary = evolved
    for name in ("film.png", "film.gif"):
        ended = neuro("evolve", "replay", run, "--out", name, "--seed", 3, "--json")
        assert ended.code == 0, ended.err
        with Image.open(tmp_path / name) as film:
            assert getattr(film, "n_frames", 1) == (json.loads(ended.out)["steps"] if name.endswith("gif") else 1)
    facts = json.loads(neuro("evolve", "inspect", run / "best.genome", "--draw", "net.png", "--json").out)
    assert len(facts["neurons"]) == summary["neurons"]
    assert len(facts["synapses"]) == summary["synapses"]
    assert facts["metadata"]["task"]["name"] == "XOR"
    with Image.open(tmp_path / "net.png") as drawing:
        assert drawing.format == "PNG"
    assert "XOR" in neuro("evolve", "inspect", run).out


def test_settings_suit_the_task(neuro, tmp_path):
    document = json.loads(neuro("evolve", "run", "--dry-run", "--json", "--task", "TMaze").out)
    assert document["settings"]["task"] == "TMaze"
    assert document["settings"]["evolution"]["plastic"] == suitable_config("TMaze").plastic
    settings = json.loads(neuro("evolve", "steer", "--dry-run", "--json", *STEER).out)["settings"]
    assert settings["steering"]["train"] == ["XOR"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--task", "CartPole-v9"], "CartPole-v1"),
        (["run", "--set", "evolution.mutation.weight_sise=1"], "did you mean evolution.mutation.weight_size"),
        (["run", "--set", "evolution.mutation.weight_rate=2"], "weight_rate must lie in [0, 1]"),
        (["run", "--max-episodes", "3"], "max_episodes"),
        (["run", "--target", "nan"], "target must be a finite number"),
        (["steer", "--set", 'steering.test=["XOR"]'], "none in both"),
        (["steer", "--set", "steering.constants=3"], "power of two"),
        (["steer", "--set", 'steering.train=["Nowhere-v0"]'], "Nowhere-v0"),
        (["replay", "missing"], "missing: no such file"),
        (["replay", "empty"], "no best.genome"),
        (["replay", "text", "--out", "film.avi"], ".png, .gif, .mp4"),
        (["inspect", "text"], "text: not a readable evosnn.genome file"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no genome")
    refused(neuro("evolve", *arguments), said)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "text"}  # no run folder


def test_mp4_needs_ffmpeg(neuro, evolved, tmp_path, monkeypatch):
    run, _ = evolved
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(neuro("evolve", "replay", run, "--out", "film.mp4"), "ffmpeg", code=1)
    assert not (tmp_path / "film.mp4").exists()
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nfor last; do :; done\n/usr/bin/env -i /bin/cat > $last\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    ended = neuro("evolve", "replay", run, "--out", "film.mp4", "--json")
    assert ended.code == 0, ended.err
    # raw pictures, as ffmpeg is told
    size = (tmp_path / "film.mp4").stat().st_size
    assert size % (3 * 300) == 0
    assert size // json.loads(ended.out)["steps"] > 300 * 300 * 3


def test_a_damaged_genome_is_named(neuro, evolved, tmp_path):
    run, _ = evolved
    whole = (run / "best.genome").read_bytes()
    (tmp_path / "bad.genome").write_bytes(whole[:-5])
    refused(neuro("evolve", "inspect", "bad.genome"), "bad.genome")


@pytest.mark.slow
def test_stopped_and_resumed(neuro, started, wait_for, tmp_path):
    """Ctrl-C ends it with 75 and --resume auto goes on; the champion is that of a run in one go."""
    options = ("--task", "XOR", "--generations", 60, "--target", 2, *SMALL)
    process = started("evolve", "run", *options, "--out", "run")
    wait_for(tmp_path / "run" / "checkpoints" / "latest", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 75, err
    assert err.splitlines()[-1].startswith("stopped: ")
    assert "--resume auto --out run" in err
    assert not (tmp_path / "run" / "best.genome").exists()
    shutil.copytree(tmp_path / "run", tmp_path / "short")
    refused(neuro("evolve", "run", "--out", "run", "--resume", "auto", "--task", "TMaze"), "begun with another task")
    ended = neuro("evolve", "run", *options[:-1], "--out", "run", "--resume", "auto", "--quiet")
    assert ended.code == 0, ended.err
    assert neuro("evolve", "run", *options, "--out", "whole").code == 0
    digests = {json.loads(neuro("evolve", "inspect", name, "--json").out)["digest"] for name in ("run", "whole")}
    assert len(digests) == 1
    lines = [read_metrics(tmp_path / name) for name in ("run", "whole")]
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_two_processes(neuro, neuro_process, tmp_path):
    """--nproc 2 evolves the same genome."""
    options = ("--task", "XOR", "--generations", 2, *SMALL)
    ended = neuro_process("evolve", "run", *options, "--nproc", 2, "--out", "two")
    assert ended.code == 0, ended.err
    assert neuro("evolve", "run", *options, "--out", "one").code == 0
    genomes = [evosnn.Genome.load(tmp_path / name / "best.genome") for name in ("one", "two")]
    assert genomes[0] == genomes[1]


def test_connectivity_evolves_probabilities(neuro, tmp_path):
    """A run goes on where it stopped, and gives the library's network; its networks have one strength of weights."""
    options = ("--method", "connectivity", "--task", "CartPole-v1", "--population", 16, "--target", 501, "--quiet")
    options = (*options, "--set", "connectivity.neurons=6", "--device", "cpu", "--json")
    ended = neuro("evolve", "run", *options, "--generations", 2, "--out", "run")
    assert ended.code == 0, ended.err
    ended = neuro("evolve", "run", *options, "--generations", 4, "--out", "run", "--resume", "auto")
    assert ended.code == 0, ended.err
    search = evosnn.ConnectivityEvolution("CartPole-v1", population=16, config=evosnn.ConnectivityConfig(neurons=6))
    genome = evosnn.Genome.load(tmp_path / "run" / "best.genome")
    assert genome == search.run(4, 501).best
    assert genome.n_neurons == 6
    assert len(set(abs(genome.weight).tolist())) == 1
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [1, 2, 3, 4]
    refused(neuro("evolve", "run", *options, "--population", 15), "must be even")
    refused(neuro("evolve", "run", *options, "--set", "connectivity.neurons=1", "--out", "no"), "needs 2")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_steer(neuro, tmp_path):
    """Everyone is judged on the same evolutions; a run that was judged in part goes on."""
    ended = neuro("evolve", "steer", *STEER, "--out", "run", "--json", "--quiet")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    everyone = {"planner", "policy gradient", "best constant", "random"}
    assert {row["agent"] for row in summary["compared"]} == everyone
    assert {row["task"] for row in summary["compared"]} == {"CartPole-v1", "all"}
    for row in summary["compared"]:
        assert row["low"] <= row["mean"] <= row["high"]
        if row["agent"] == "best constant":
            assert row["difference"] == 0
    for path in summary["agents"].values():
        load_agent(tmp_path / path)
    assert len(read_metrics(tmp_path / "run" / "planner")) == 4
    judged = (tmp_path / "run" / "judged.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "judged.jsonl").write_text("".join(judged[:3]))
    (tmp_path / "run" / "report.html").unlink()
    ended = neuro("evolve", "steer", *STEER, "--out", "run", "--resume", "auto", "--json", "--quiet")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["compared"] == summary["compared"]
    text = neuro("evolve", "steer", *STEER, "--out", "run", "--resume", "auto", "--quiet").out
    assert "best constant" in text


@pytest.mark.slow
def test_steer_on_two_processes(neuro, neuro_process, tmp_path):
    """--nproc 2 trains the same agent and judges it alike; --tensorboard writes events beside the metrics."""
    options = (*STEER, "--agents", "policy gradient", "--device", "cpu", "--quiet")
    ended = neuro_process("evolve", "steer", *options, "--nproc", 2, "--tensorboard", "--out", "two")
    assert ended.code == 0, ended.err
    assert neuro("evolve", "steer", *options, "--out", "one").code == 0
    one, two = (json.loads((tmp_path / name / "steering.json").read_text()) for name in ("one", "two"))
    assert one["rows"] == two["rows"]
    assert list((tmp_path / "two" / "policy-gradient" / "tensorboard").iterdir())
    files = [(tmp_path / name / "policy-gradient" / "agent").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
