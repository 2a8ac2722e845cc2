"""Descriptions: what is refused and how it is said; units; partitions; memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import lsm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsm import memory
from lsm.layout import MOST_SMALL, TILES, Layout, count_partitions
from lsm.quantum import quantum


def network_of_two() -> lsm.Network:
    network = lsm.Network()
    network.population("a", 10, lsm.LIF())
    network.population("b", 5, lsm.LIF(synapse="exponential", tau_syn_in=2.0))
    network.inputs("in", 3)
    return network


def connect(rule: Any = None, pre: str = "a", post: str = "a", **synapse: Any) -> None:
    chosen = lsm.FixedIndegree(2) if rule is None else rule
    network_of_two().connect(pre, post, chosen, **{"weight": 1.0, "delay": 1.0, **synapse})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: lsm.Network(step=0.0), "step must be > 0"),
        (lambda: network_of_two().population("a", 1, lsm.LIF()), "already"),
        (lambda: network_of_two().population("c", 0, lsm.LIF()), "neurons of .c. must be a whole number >= 1"),
        (lambda: network_of_two().population("c", 3, lsm.LIF(), positions=np.zeros((2, 2))), "positions of 'c'"),
        (lambda: connect(delay=0.04), "below the step"),
        (lambda: connect(delay=-1.0), "below the step"),
        (lambda: connect(delay=lsm.Uniform(0.0, 2.0)), "below the step"),
        (lambda: connect(delay=math.nan), "delay must be finite"),
        (lambda: connect(weight=math.nan), "weight must be finite"),
        (lambda: connect(lsm.Explicit([0], [1]), weight=[math.inf]), "NaN or infinity"),
        (lambda: connect(lsm.Explicit([0], [1]), weight=[1.0, 2.0]), "Explicit with 2 synapses"),
        (lambda: connect(weight=[1.0, 2.0]), "Explicit with 2 synapses"),
        (lambda: connect(lsm.Explicit([0, 10], [1, 1])), "sources must be below 10"),
        (lambda: lsm.Explicit([0, -1], [1, 1]), "whole numbers >= 0"),
        (lambda: lsm.Explicit([0.5], [1]), "whole numbers >= 0"),
        (lambda: lsm.Explicit([0], [1, 1]), "1 sources and 2 targets"),
        (lambda: connect(pre="x"), "no population 'x', there are 'a', 'b', 'in'"),
        (lambda: connect(post="in"), "receive no spikes"),
        (lambda: connect(post="b", weight=lsm.Normal(0.0, 1.0)), "one sign"),
        (lambda: connect(lsm.OneToOne(), post="b"), "one size, got 10 and 5"),
        (lambda: connect(lsm.DistanceBernoulli(0.1, 1.0)), "positions"),
        (lambda: connect(lsm.SpatialIndegree(3, 1.0)), "positions"),
        (lambda: lsm.FixedIndegree(-1), "k must be"),
        (lambda: lsm.FixedOutdegree(-1), "k must be"),
        (lambda: lsm.FixedTotalNumber(-1), "n must be"),
        (lambda: lsm.PairwiseBernoulli(-0.1), "p must be a probability"),
        (lambda: lsm.PairwiseBernoulli(1.1), "p must be a probability"),
        (lambda: lsm.DistanceBernoulli(-0.1, 1.0), "C must be a probability"),
        (lambda: lsm.DistanceBernoulli(0.1, 0.0), "lambda_ must be > 0"),
        (lambda: lsm.SpatialIndegree(1, 0.0), "sigma must be > 0"),
        (lambda: lsm.Normal(1.0, -1.0), "sd >= 0"),
        (lambda: lsm.Normal(1.0, 0.1, low=5.0), "must be near"),
        (lambda: lsm.Uniform(2.0, 1.0), "low <= high"),
        (lambda: lsm.DC(current=math.inf), "finite"),
        (lambda: network_of_two().drive("in", lsm.Poisson(1.0, 1.0)), "receives? nothing"),
        (lambda: network_of_two().drive("a", lsm.Poisson(1e12, 1.0)), "at most"),
        (lambda: lsm.Network().build(), "no population"),
        (lambda: network_of_two().build("tpu"), "device"),
        (lambda: network_of_two().build(precision=cast("Any", "float16")), "precision"),
        (lambda: network_of_two().build(threads=0), "threads"),
        (lambda: network_of_two().build(partitions=3), "power of two"),
    ],
)  # fmt: skip
def test_wrong_descriptions(wrong: Callable[[], Any], message: str) -> None:
    """A ValueError names what came and what is allowed."""
    with pytest.raises(ValueError, match=message):
        wrong()


def test_wrong_types() -> None:
    """A weight that is no number."""
    with pytest.raises(TypeError, match="weight must be a number"):
        connect(weight="heavy")


@pytest.mark.parametrize(
    ("inputs", "duration", "message"),
    [
        ({"a": ([1.0], [0])}, 5.0, "holds neurons"),
        ({"x": ([1.0], [0])}, 5.0, "no population 'x'"),
        ({"in": ([1.0, 2.0], [0])}, 5.0, "2 times, 1 channels"),
        ({"in": ([5.1], [0])}, 5.0, "from 0 to 5 ms"),
        ({"in": ([-0.1], [0])}, 5.0, "from 0 to 5 ms"),
        ({"in": ([math.nan], [0])}, 5.0, "from 0 to 5 ms"),
        ({"in": ([1.0], [3])}, 5.0, "from 0 to 2"),
        ({"in": ([1.0], [0.5])}, 5.0, "whole numbers"),
        ({}, 0.05, "whole number of steps"),
        ({}, -1.0, "whole number of steps"),
        ({}, math.inf, "whole number of steps"),
    ],
)
def test_wrong_runs(inputs: dict, duration: float, message: str) -> None:
    """Refused before anything is computed."""
    sim = network_of_two().build(threads=1)
    with pytest.raises(ValueError, match=message):
        sim.run(duration, inputs)
    assert sim.time == 0.0


def test_a_built_network_is_closed() -> None:
    """What is built does not change under the simulation."""
    network = network_of_two()
    network.build(threads=1)
    with pytest.raises(ValueError, match="is built"):
        network.population("c", 1, lsm.LIF())


def test_a_network_that_does_not_fit() -> None:
    """It is said at once, with bytes, before anything is taken; and an estimate is near what is taken."""
    network = lsm.Network()
    a = network.population("a", 10_000_000, lsm.LIF())
    network.connect(a, a, lsm.FixedIndegree(100_000), weight=0.1, delay=1.5)
    with pytest.raises(lsm.NetworkTooLarge, match=r"4,0.*bytes.*available") as caught:
        network.build()
    assert caught.value.needed > 4e12 > caught.value.available
    small = lsm.Network()
    a = small.population("a", 2000, lsm.LIF())
    small.connect(a, a, lsm.PairwiseBernoulli(0.2), weight=lsm.Normal(0.1, 0.01), delay=1.5)
    sim = small.build(threads=1)
    assert sim.synapse_bytes <= small.estimated_bytes() <= 1.5 * sim.n_bytes


def test_limits_of_containers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a container may take counts, not what its machine has."""
    (tmp_path / "limit").write_text("5000\n")
    (tmp_path / "use").write_text("2000\n")
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (str(tmp_path / "none"), str(tmp_path / "limit")))
    monkeypatch.setattr(memory, "_CGROUP_USES", (str(tmp_path / "none"), str(tmp_path / "use")))
    assert memory.available_memory() == 3000


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), st.sampled_from([1, 2, 4, 8, 16, 32, 64]))
def test_partitions_cover_everything_once(sizes: list[int], n_partitions: int) -> None:
    """Every neuron is in one partition, at one local id, in a slice of one of its tiles."""
    layout = Layout(tuple(sizes), n_partitions)
    assert (layout.first_PG[0] == 0).all()
    assert list(layout.first_PG[-1]) == sizes
    lengths = np.diff(layout.first_PG, axis=0)
    assert (lengths >= 0).all()
    assert np.array_equal(np.diff(layout.local_PG, axis=1), lengths)
    assert [t for p in range(n_partitions) for t in layout.tiles(p)] == list(range(TILES))


def test_number_of_partitions() -> None:
    """At least as many as threads, and as many as keep local ids in 16 bits while 64 are enough."""
    assert count_partitions([100], 3) == 4
    assert count_partitions([1_000_000], 2) == 16
    assert Layout((1_000_000,), 16).most_local <= MOST_SMALL
    assert count_partitions([10_000_000], 2) == 64


@given(st.lists(st.integers(-1000, 1000).filter(bool), min_size=1, max_size=6), st.sampled_from([1, 10, 8, 1000]))
def test_constant_weights_are_exact(numerators: list[int], denominator: int) -> None:
    """Weights with a common measure are whole multiples of the unit, to the last bit."""
    weights = [n / denominator for n in numerators]
    unit = quantum(weights, 0.0, 1000.0)
    for weight in weights:
        assert Fraction(repr(weight)) % Fraction(repr(unit)) == 0


def test_sums_cannot_overflow() -> None:
    """However many synapses, what one neuron can receive stays below 2^30 units."""
    assert 1e12 / quantum([0.1], 0.0, 1e12) <= 2**30
    assert 1e12 / quantum([], 0.5, 1e12) <= 2**30
