"""`neuro liquid`: networks built, simulated, looked at."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import lsm
import networkx as nx
import numpy as np
import pytest
from neuro.liquid_description import read_network
from neuro.liquid_spikes import Spikes
from PIL import Image

NET = """
[[input]]
name = "in"
channels = 10

[[population]]
name = "E"
neurons = 80
model = "lif"
tau_m = 20.0
threshold = 20.0
box = [1.0, 1.0, 0.5]

[[population]]
name = "I"
neurons = 20
model = "lif"

[[projection]]
from = ["in", "E"]
to = ["E", "I"]
rule = "fixed_indegree"
k = 8
weight = { mean = 0.5, sd = 0.05, low = 0.0 }
delay = 1.5

[[projection]]
from = "I"
to = ["E", "I"]
rule = "fixed_indegree"
k = 2
weight = -2.5
delay = 1.5

[[drive]]
to = ["E", "I"]
kind = "poisson"
rate = 20000.0
weight = 0.1
"""
QUICK = ("--ms", 200, "--set", "warmup=20", "--set", "chunk=50", "--set", "engine.threads=1", "--quiet")


def refused(ended, *said, code=2):
    """One line, the code, and what it says."""
    lines = ended.err.splitlines()
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    for text in said:
        assert text in lines[-1]


@pytest.fixture(scope="session")
def description(tmp_path_factory) -> Path:
    """A small network in TOML; tests read it."""
    path = tmp_path_factory.mktemp("description") / "net.toml"
    path.write_text(NET)
    return path


@pytest.fixture(scope="session")
def simulated(command, description, tmp_path_factory):
    """A finished simulation; tests read it and never write to it."""
    folder = tmp_path_factory.mktemp("simulated") / "run"
    ended = command("liquid", "simulate", "--network", description, *QUICK, "--out", folder, "--json")
    assert ended.code == 0, ended.err
    return folder, json.loads(ended.out)


def test_a_simulation_is_what_the_library_simulates(simulated, description):
    """Without the inputs' trains the two would differ; they are keyed by the seed and the time."""
    run, summary = simulated
    spikes = Spikes.load(run / "spikes.safetensors")
    assert spikes.sizes == {"in": 10, "E": 80, "I": 20}
    assert (spikes.begin, spikes.end) == (20, 220)
    assert len(spikes.times) == summary["spikes"] > 0
    fed = {"in": (spikes.times[spikes.ids < 10] - 20, spikes.ids[spikes.ids < 10])}
    sim = lsm.load(run / "state.lsm")
    assert sim.time == pytest.approx(220)
    again = read_network(description, 0).build()
    again.run(20.0, _warmup_inputs(again))
    recording = again.run(200.0, fed)
    np.testing.assert_array_equal(recording.ids, spikes.ids)
    np.testing.assert_array_equal(recording.times, spikes.times)


def _warmup_inputs(sim):
    from ddp_utils import keyed_numpy_generator
    from lsm.task_templates import poisson_spikes

    return {"in": poisson_spikes(10, 20.0, 20.0, keyed_numpy_generator(0, "inputs of in", 0))}


def test_a_run_folder_is_whole(simulated):
    run, summary = simulated
    names = {"config.toml", "env.json", "plots", "report.html", "spikes.safetensors", "state.lsm", "summary.json"}
    assert names <= {path.name for path in run.iterdir()}
    spikes = Spikes.load(run / "spikes.safetensors")
    rates = {row["population"]: row["rate"] for row in summary["populations"]}
    assert rates == pytest.approx(spikes.rates())
    assert sum(rate * n for rate, n in zip(rates.values(), (10, 80, 20), strict=True)) * 0.2 == pytest.approx(
        summary["spikes"]
    )
    pictures = (run / "report.html").read_text(encoding="utf-8").count("data:image/png")
    assert pictures == len(summary["plots"]) >= 7
    assert json.loads((run / "summary.json").read_text())["spikes"] == summary["spikes"]


def test_pictures_of_a_run(neuro, simulated, tmp_path):
    run, _ = simulated
    for picture, name in (("raster", "a.png"), ("spectrum", "b.svg"), ("connectivity", "c.png")):
        ended = neuro("liquid", "plot", run, "--picture", picture, "--out", name, "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["file"] == name
        assert (tmp_path / name).stat().st_size > 5000
    ended = neuro("liquid", "plot", run, "--picture", "film", "--frames", 5, "--out", "film.gif")
    assert ended.code == 0, ended.err
    with Image.open(tmp_path / "film.gif") as film:
        assert getattr(film, "n_frames", 1) == 5
    assert neuro("liquid", "plot", run, "--picture", "graph", "--out", "net.graphml").code == 0
    graph = nx.read_graphml(tmp_path / "net.graphml")
    assert {tuple(edge) for edge in graph.edges} == {(s, t) for s in ("in", "E", "I") for t in ("E", "I")}
    assert graph.edges["E", "I"]["synapses"] == 160


def test_a_network_is_saved_and_goes_on(neuro, description, simulated, tmp_path):
    ended = neuro("liquid", "build", "--network", description, "--out", "net.lsm", "--json")
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["synapses"] == facts["synapses_expected"] == 8 * 100 * 2 + 2 * 100
    ended = neuro("liquid", "simulate", "--network", "net.lsm", *QUICK, "--out", "run", "--json")
    assert ended.code == 0, ended.err
    spikes = [Spikes.load(run / "spikes.safetensors") for run in (tmp_path / "run", simulated[0])]
    np.testing.assert_array_equal(spikes[0].times, spikes[1].times)
    np.testing.assert_array_equal(spikes[0].ids, spikes[1].ids)


def test_dry_runs_say_how_large(neuro, description, tmp_path):
    for verb in ("build", "simulate"):
        document = json.loads(neuro("liquid", verb, "--network", description, "--dry-run", "--json").out)
        assert document["neurons"] == 110
        assert document["synapses_expected"] == 1800
        assert document["bytes_estimated"] > 1800 * 2
        assert "110 neurons" in neuro("liquid", verb, "--network", description, "--dry-run").out
    document = json.loads(
        neuro("liquid", "build", "--network", "microcircuit", "--scale", 1, "--dry-run", "--json").out
    )
    assert document["neurons"] == 77_169
    assert document["synapses_expected"] == 298_880_968
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_stopped_and_resumed(neuro, started, wait_for, description, simulated, tmp_path):
    """Ctrl-C ends it with 75; what --resume auto adds is what one run would have had, to the last spike."""
    options = ("--network", description, "--set", "warmup=20", "--set", "chunk=50", "--quiet", "--out", "run")
    process = started("liquid", "simulate", *options, "--ms", 1_000_000)
    wait_for(tmp_path / "run" / "parts" / "000000000700.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 75, err
    assert "--resume auto --out run" in err.splitlines()[-1]
    reached = lsm.load(tmp_path / "run" / "state.lsm").time
    refused(neuro("liquid", "simulate", *options, "--resume", "auto", "--seed", 3), "begun with another seed")
    ms = reached + 130 - 20
    ended = neuro("liquid", "simulate", *options, "--ms", ms, "--resume", "auto", "--json")
    assert ended.code == 0, ended.err
    whole = ("--network", description, "--set", "warmup=20", "--set", "chunk=50", "--quiet", "--out", "whole")
    assert neuro("liquid", "simulate", *whole, "--ms", ms).code == 0
    spikes = [Spikes.load(tmp_path / name / "spikes.safetensors") for name in ("run", "whole")]
    assert spikes[0].end == pytest.approx(reached + 130)
    np.testing.assert_array_equal(spikes[0].times, spikes[1].times)
    np.testing.assert_array_equal(spikes[0].ids, spikes[1].ids)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name = "E"', 'nam = "E"'), "population 1: 'name' is missing"),
        (("k = 8", "kk = 8"), "projection 1: unknown key 'kk'"),
        (("k = 8", "k = -8"), "projection 1: FixedIndegree: k must"),
        (("sd = 0.05", "spread = 0.05"), "projection 1: weight: unknown key 'spread'"),
        (("weight = -2.5", 'weight = "much"'), "projection 2: weight: expected a number"),
        (("delay = 1.5", "delay = 0.01"), "below the step"),
        (('to = ["E", "I"]', 'to = ["E", "J"]'), "no population 'J'"),
        (('model = "lif"', 'model = "lift"'), "no model 'lift'; did you mean lif?"),
        (('rule = "fixed_indegree"', 'rule = "fixed_indegre"'), "did you mean fixed_indegree?"),
        (("tau_m = 20.0", "tau_m = -20.0"), "population 1: LIF: tau_m must be > 0"),
        (("rate = 20000.0", "rates = 20000.0"), "drive 1: unknown key 'rates'; did you mean rate?"),
        (("box = [1.0, 1.0, 0.5]", "box = [1.0]"), "box and origin"),
        (("[[drive]]", "[[drives]]"), "unknown key 'drives'; did you mean drive?"),
        (("[[drive]]", "[[drive]"), "not valid TOML"),
    ],
)
def test_descriptions_are_refused_by_their_place(neuro, tmp_path, change, said):
    before, after = change
    assert before in NET
    (tmp_path / "net.toml").write_text(NET.replace(before, after, 1))
    refused(neuro("liquid", "build", "--network", "net.toml", "--out", "a.lsm"), "net.toml", said)
    assert not (tmp_path / "a.lsm").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "--network", "microcircus"], "did you mean microcircuit?"),
        (["build", "--network", "nowhere.toml"], "nowhere.toml: No such file"),
        (["build", "--network", "microcircuit", "--scale", "1.5"], "scale must lie in (0, 1]"),
        (["build", "--network", "maass", "--out", "net.safetensors"], "ending in .lsm"),
        (["build", "--network", "microcircuit", "--neurons", "500"], "network.neurons is a setting of maass, cortex"),
        (["simulate", "--network", "maass", "--columns", "2"], "network.columns is a setting of cortex"),
        (["build", "--set", "network.neuron=3"], "did you mean network.neurons"),
        (["simulate", "--ms", "-5"], "ms and chunk must be positive"),
        (["simulate", "--network", "text.lsm"], "text.lsm"),
        (["plot", "empty"], "no spikes.safetensors"),
        (["plot", "text.lsm"], "text.lsm: not a readable neuro.liquid.spikes file"),
        (["plot", "empty", "--picture", "rastr"], "expected one of raster"),
        (["plot", "empty", "--picture", "film", "--out", "film.png"], ".gif, .html, .mp4"),
    ],
)
def test_bad_input_is_one_line(neuro, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.lsm").write_text("no network")
    refused(neuro("liquid", *arguments), said)


def test_a_stretch_must_lie_in_the_recording(neuro, simulated):
    refused(neuro("liquid", "plot", simulated[0], "--begin", 300), "200 ms that were recorded")


def test_a_network_that_does_not_fit_is_refused_with_bytes(neuro, description, tmp_path):
    large = NET.replace("neurons = 80", "neurons = 100_000_000").replace("k = 8", "k = 100_000").replace("box =", "#")
    (tmp_path / "large.toml").write_text(large)
    for verb in ("build", "simulate"):
        ended = neuro("liquid", verb, "--network", "large.toml", "--quiet")
        assert ended.code == 2
        assert "bytes" in ended.err.splitlines()[-1] or "GiB" in ended.err.splitlines()[-1]
    assert not (tmp_path / "network.lsm").exists()


@pytest.mark.slow
def test_two_processes(neuro_process, description, simulated, tmp_path):
    """--nproc 2 shares the network; the spikes and the saved state are the same."""
    ended = neuro_process(
        "liquid", "simulate", "--network", description, *QUICK, "--nproc", 2, "--out", "two", "--json"
    )
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["synapses"] == simulated[1]["synapses"]
    spikes = [Spikes.load(run / "spikes.safetensors") for run in (tmp_path / "two", simulated[0])]
    np.testing.assert_array_equal(spikes[0].times, spikes[1].times)
    np.testing.assert_array_equal(spikes[0].ids, spikes[1].ids)
    assert (tmp_path / "two" / "state.lsm").read_bytes() == (simulated[0] / "state.lsm").read_bytes()
