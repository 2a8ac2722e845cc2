"""Synapses drawn again at every spike are the stored ones, without their memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lsm
import numpy as np
import pytest
from lsm.simulation_file import load


def network(*, autapses: bool = True, synapse: Any = None) -> lsm.Network:
    cell = lsm.LIF(tau_m=20.0, threshold=20.0, refractory=2.0)
    net = lsm.Network(seed=11)
    e, i = net.population("E", 333, cell), net.population("I", 129, cell)
    outward = lsm.FixedOutdegree(31, autapses=autapses)
    net.connect(e, [e, i], outward, weight=0.5, delay=1.5, synapse=synapse)
    net.connect(e, e, outward, weight=0.5, delay=1.5)  # the same weight again: a projection of its own
    net.connect(i, [e, i], lsm.FixedOutdegree(20), weight=-2.0, delay=1.0)
    net.connect(i, e, lsm.FixedIndegree(3), weight=-2.0, delay=1.0)  # is stored
    net.drive([e, i], lsm.Poisson(rate=9000.0, weight=0.2))
    return net


SHORT = lsm.ShortTerm(U=0.5, tau_rec=100.0)


@pytest.mark.parametrize("settings", [{}, {"autapses": False}, {"synapse": SHORT}], ids=repr)
@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_drawn_synapses_are_the_stored_ones(settings: dict[str, Any], device: str) -> None:
    stored = network(**settings).build(precision="float64", partitions=2)
    drawn = network(**settings).build(device, precision="float64", partitions=8, procedural=True)
    duration = 60.0 if device == "cpu" else 20.0
    a, b = stored.run(duration), drawn.run(duration)
    assert len(a) > 5 * duration
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.times, b.times)
    assert stored.events == drawn.events
    assert stored.synapses == drawn.synapses == 333 * 93 + 129 * 40 + 3 * 333
    assert drawn.synapse_bytes < stored.synapse_bytes / 5


def test_memory_does_not_grow_with_synapses() -> None:
    sizes = []
    for k in (10, 1000):
        net = lsm.Network()
        cells = net.population("E", 5000, lsm.LIF())
        net.connect(cells, cells, lsm.FixedOutdegree(k), weight=0.1, delay=1.0)
        simulation = net.build(procedural=True)
        assert simulation.synapses == 5000 * k
        sizes.append(simulation.n_bytes)
    assert sizes[0] == sizes[1]


def test_what_is_drawn_again_goes_on_from_a_file(tmp_path: Path) -> None:
    simulation = network().build(procedural=True)
    simulation.run(30.0)
    simulation.save(tmp_path / "net.lsm")
    loaded = load(tmp_path / "net.lsm")
    assert loaded.procedural
    np.testing.assert_array_equal(simulation.run(30.0).ids, loaded.run(30.0).ids)
