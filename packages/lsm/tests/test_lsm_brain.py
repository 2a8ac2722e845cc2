"""Parts of a brain at work: a memory that a cortex writes; and mean connections."""

from __future__ import annotations

import lsm
import numpy as np
import pytest
from lsm.memory_loop import PREFIX, add_memory_loop
from lsm.population_matrix import mean_input_matrix, spectral_radius

ITEM, ITEMS = 2, 5


def cortex_that_hears_a_band(*, facilitation: bool) -> list[np.ndarray]:
    """Rates of the memory's groups before, during and twice after 350 ms of noise on one band of the map."""
    net = lsm.cortex(1, 1000, channels=40, seed=0)
    add_memory_loop(net, items=ITEMS, facilitation=facilitation)
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(500, 850, 2800))
    channels = rng.integers(ITEM * 8, (ITEM + 1) * 8, len(times))
    recording = net.build(threads=1).run(2250.0, {"in": (times, channels)})
    stretches = ((100, 500), (500, 850), (1250, 1750), (1750, 2250))
    return [lsm.held_item(recording, ITEMS, start=a, end=b, prefix=PREFIX)[1] for a, b in stretches]


def test_a_memory_in_a_cortex_holds_what_the_cortex_heard_by_facilitation_alone() -> None:
    """What enters layer 4 passes through 2/3 and 5 to the group of its band, which stays active without input."""
    others = [item for item in range(ITEMS) if item != ITEM]
    before, heard, *delays = cortex_that_hears_a_band(facilitation=True)
    assert before.max() < 2.0
    assert heard[ITEM] > 20 * heard[others].max()
    for rates in delays:
        assert rates[ITEM] > 2.0
        assert rates[ITEM] > 3 * rates[others].max()
    _, heard, *delays = cortex_that_hears_a_band(facilitation=False)
    assert heard[ITEM] > 20 * heard[others].max()
    for rates in delays:
        assert rates[ITEM] < 1.5


def test_the_mean_matrix_is_indegree_times_weight() -> None:
    net = lsm.Network(seed=0)
    net.inputs("in", 4)
    net.population("E", 80, lsm.LIF())
    net.population("I", 20, lsm.LIF())
    net.connect("in", "E", lsm.AllToAll(), weight=lsm.Uniform(0.0, 1.0), delay=1.0)
    net.connect("E", ["E", "I"], lsm.FixedIndegree(10), weight=0.3, delay=1.0)
    net.connect("I", ["E", "I"], lsm.FixedOutdegree(10), weight=lsm.Normal(-0.5, 0.1), delay=1.0)
    np.testing.assert_allclose(mean_input_matrix(net), [[0, 0, 0], [2.0, 3.0, -1.25], [0, 3.0, -5.0]])
    # the eigenvalues of [[3, -1.25], [3, -5]] are (-2 +- 7) / 2
    assert spectral_radius(mean_input_matrix(net)) == pytest.approx(4.5)
