"""What would have given a wrong figure in silence, or an error without a name, is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lsm
import numpy as np
import pytest
from lsm import memory
from lsm.connections import connections
from lsm.kernels import in_use
from lsm.task_series import normalised_error, series_as_spikes


def network_of_two() -> lsm.Network:
    network = lsm.Network(seed=0)
    network.population("a", 10, lsm.LIF())
    network.population("b", 5, lsm.Izhikevich())
    network.inputs("in", 3)
    return network


def driven_by_current() -> lsm.Simulation:
    network = network_of_two()
    network.drive("b", lsm.DC(current=5.0))
    return network.build(threads=1)


def weights_that_differ(least: float) -> lsm.Simulation:
    network = network_of_two()
    network.connect("in", "a", lsm.AllToAll(), weight=1.0, delay=1.0)
    network.connect("in", "a", lsm.AllToAll(), weight=least, delay=1.0)
    return network.build(threads=1)


def of_liquid(act: Callable[[lsm.LiquidStateMachine], Any]) -> Any:
    return act(lsm.LiquidStateMachine(lsm.maass(20), device="reference", instants=2))


SPIKES = (np.array([1.0, 2.0]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: network_of_two().population("c", cast("Any", 2.5), lsm.LIF()), "whole number"),
        (lambda: lsm.FixedIndegree(cast("Any", 2.0)), "k must be a whole number"),
        (lambda: lsm.FixedOutdegree(cast("Any", math.nan)), "k must be a whole number"),
        (lambda: lsm.FixedTotalNumber(cast("Any", "many")), "n must be a whole number"),
        (lambda: lsm.Normal(0.0, 1.0, low=0.5, high=0.5), "at least one in"),
        (lambda: lsm.Normal(0.0, 1.0, low=math.nan), "must be near"),
        (lambda: lsm.Normal(1.0, 0.0, low=2.0), "must be near"),
        (lambda: lsm.LIF(initial=math.nan), "LIF: initial: a finite number"),
        (lambda: lsm.Izhikevich(initial=math.inf), "Izhikevich: initial: a finite number"),
        (lambda: lsm.ConductanceLIF(initial=math.nan), "initial: a finite number"),
        (driven_by_current, r"DC\(voltage"),
        (lambda: weights_that_differ(1e-8), "too small beside its others"),
        (lambda: lsm.scrambled(network_of_two(), gain=0.0), "gain"),
        (lambda: of_liquid(lambda liquid: liquid.predict([SPIKES])), "not fitted yet"),
        (lambda: of_liquid(lambda liquid: liquid.score([SPIKES], np.array([1]))), "not fitted yet"),
        (lambda: of_liquid(lambda liquid: liquid.fit([SPIKES] * 2, np.zeros(3, int))), r"must be \(2,\) or \(2, 2\)"),
        (lambda: lsm.LiquidStateMachine(lsm.maass(20), of=["E", "E"]), "read once"),
        (lambda: lsm.RidgeReadout().fit(np.full((3, 2), np.nan), np.array([0, 1, 1])), "must be finite"),
        (lambda: lsm.RidgeReadout().fit(np.zeros((3, 9)), np.array([0, 1])), "targets as many"),
        (lambda: lsm.binned_counts(*SPIKES, 1, duration=4.0, bin_ms=1.0), "ids must lie"),
        (lambda: lsm.interval_variation(*SPIKES, 1), "ids must lie"),
        (lambda: lsm.state_rank(np.full((2, 2), np.nan)), "finite states"),
        (lambda: lsm.separation(np.zeros((3, 2)), np.array([0, 1])), "a label for each"),
        (lambda: normalised_error(np.zeros(3), np.zeros((3, 1))), "one shape"),
        (lambda: series_as_spikes(np.array([0.1, math.nan])), "finite"),
        (lambda: lsm.load("no file", device="tpu"), "device must be"),
        (lambda: lsm.load("no file", threads=0), "threads"),
        (lambda: lsm.load("no file", partitions=3), "power of two"),
    ],
)
def test_values(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: network_of_two().population("c", 3, cast("Any", lsm.LIF)), "model must be a neuron"),
        (lambda: network_of_two().population("c", 3, cast("Any", None)), "model must be a neuron"),
        (lambda: network_of_two().connect("a", "a", cast("Any", 100), weight=1.0, delay=1.0), "rule must be one"),
        (lambda: network_of_two().drive("a", cast("Any", 5.0)), "source must be"),
    ],
)
def test_types(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        wrong()


def test_a_long_refractory_period_does_not_wrap_around() -> None:
    network = lsm.Network(step=0.1)
    network.population("a", 1, lsm.LIF(refractory=5000.0))
    with pytest.raises(ValueError, match="at most 32767 steps"):
        network.build(threads=1)


def test_a_volley_to_one_target_does_not_overflow() -> None:
    """Of many targets one receives nearly all synapses: its sum is that of the weights."""
    n, weight = 5000, lsm.ShortTerm(U=1.0, tau_rec=0.0)
    network = lsm.Network(step=1.0)
    network.inputs("in", n)
    network.population("a", 1000, lsm.LIF(tau_m=1e9, threshold=1e9))
    rule = lsm.Explicit(np.arange(n), np.zeros(n, int))
    network.connect("in", "a", rule, weight=1.0, delay=1.0, synapse=weight)
    network.connect("in", "a", rule, weight=np.linspace(0.5, 1.0, n), delay=1.0)
    sim = network.build("reference")
    sim.run(4.0, {"in": (np.full(n, 1.0), np.arange(n))})
    assert sim.state("a")["membrane"][0] == pytest.approx(1.75 * n, rel=1e-3)


def test_the_edge_of_a_regular_sheet_is_a_source_as_any_other() -> None:
    """A grid of 10 x 10 whose cells end at the last row and column."""
    places = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    network = lsm.Network(seed=0)
    sheet = network.population("sheet", 100, lsm.LIF(), positions=places)
    network.connect(sheet, sheet, lsm.SpatialIndegree(400, 20.0), weight=1.0, delay=1.0)
    drawn = np.bincount(connections(network, network.projections[0]).sources, minlength=100)
    edge = (places == 9.0).any(axis=1)
    assert drawn[edge].mean() == pytest.approx(drawn[~edge].mean(), rel=0.05)


def test_nothing_is_connected_or_driven_when_a_pair_is_refused() -> None:
    network = network_of_two()
    with pytest.raises(ValueError, match="one size"):
        network.connect("a", ["a", "b"], lsm.OneToOne(), weight=1.0, delay=1.0)
    with pytest.raises(ValueError, match="receive nothing"):
        network.drive(["a", "in"], lsm.DC(voltage=1.0))
    assert not network.projections
    assert not network.drives


def test_lists_without_synapses_are_taken() -> None:
    network = network_of_two()
    network.connect("a", "a", lsm.Explicit([], []), weight=np.zeros(0), delay=np.zeros(0))
    assert network.build(threads=1).synapses == 0


def test_what_was_not_recorded_is_not_taken_for_silence() -> None:
    network = network_of_two()
    network.drive("a", lsm.DC(voltage=30.0))
    sim = network.build("reference")
    recording = sim.run(50.0, record="b")
    assert recording.rates("a") > 0
    with pytest.raises(ValueError, match="counted, not recorded"):
        recording.spikes("a")
    assert not len(recording.spikes("in")[0])
    with pytest.raises(ValueError, match="0 ms has no rates"):
        sim.run(0.0).rates("a")


def test_processes_need_their_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    with pytest.raises(lsm.NetworkTooLarge):
        memory.check_memory(1600, 2)  # both on this machine
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    memory.check_memory(1600, 2)
    with pytest.raises(lsm.NetworkTooLarge):
        memory.check_memory(1600, 1)


def test_bytes_of_synapses_that_learn_are_counted() -> None:
    """Target, weight, eligibility, and the way back from the target: 18 bytes, and pointers."""
    network = lsm.Network(seed=0)
    network.population("a", 1000, lsm.LIF())
    rule = lsm.DopamineSTDP(w_max=1.0)
    network.connect("a", "a", lsm.FixedIndegree(100), weight=0.5, delay=1.0, synapse=rule)
    sim = network.build(threads=1)
    assert 18 <= sim.bytes_per_synapse < 20
    assert sim.synapse_bytes < sim.n_bytes
    assert network.estimated_bytes(precision="float64") > network.estimated_bytes() >= sim.synapse_bytes


def test_an_estimate_knows_what_is_not_kept() -> None:
    network = lsm.Network(seed=0)
    network.population("a", 1000, lsm.LIF())
    network.connect("a", "a", lsm.FixedOutdegree(100), weight=0.5, delay=1.0)
    assert network.estimated_bytes() - network.estimated_bytes(procedural=True) >= 200_000


def test_a_file_that_claims_too_many_steps_is_refused(tmp_path: Path) -> None:
    from ddp_utils.tensor_file import FileFormatError, read_tensor_file, write_tensor_file
    from lsm.simulation_file import KIND, VERSION

    network_of_two().build(threads=1).save(tmp_path / "a.lsm")
    tensors, facts = read_tensor_file(tmp_path / "a.lsm", kind=KIND, version=VERSION)
    facts["steps_done"] = 1 << 62
    write_tensor_file(tmp_path / "b.lsm", tensors, kind=KIND, version=VERSION, metadata=facts)
    with pytest.raises(FileFormatError, match=r"b\.lsm"):
        lsm.load(tmp_path / "b.lsm")


def test_kernels_are_named() -> None:
    assert in_use("cpu") == in_use("auto") == "numba"
    assert in_use("cuda:0") in ("triton", "none")
    assert in_use("mps") == "none"
