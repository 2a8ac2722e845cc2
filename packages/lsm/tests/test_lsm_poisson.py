"""Poisson drive and the random streams under it."""

from __future__ import annotations

import lsm
import numpy as np
import pytest
import scipy.stats
from lsm import streams
from lsm.poisson import BITS, UNSETTLED, count_guide, count_limits


@pytest.mark.parametrize("mean", [0.0, 0.003, 0.7, 2.0, 31.0, 900.0, 1e5])
def test_limits_are_the_cumulated_probabilities(mean: float) -> None:
    """As scipy has them, from end to end; the guide tells the same, where it tells anything, as the limits."""
    least, limits = count_limits(mean)
    cdf = scipy.stats.poisson(mean).cdf(least + np.arange(len(limits)))
    np.testing.assert_allclose(limits.astype(float) / 2**BITS, cdf, atol=1e-13 * max(100.0, mean))
    numbers = np.random.default_rng(0).integers(0, 1 << BITS, 20_000, dtype=np.uint64)
    told = count_guide(limits)[numbers >> np.uint64(BITS - 11)]
    settled = told != UNSETTLED
    assert np.array_equal(told[settled], np.searchsorted(limits, numbers[settled], side="right"))
    assert settled.mean() > (0.9 if mean < 1000 else 0.3)


@pytest.mark.parametrize("rate", [50.0, 20_000.0])
def test_counts_that_neurons_receive(rate: float) -> None:
    """Counts are Poisson, and neighbours and steps do not know of each other."""
    network = lsm.Network(seed=4)
    model = lsm.LIF(tau_m=1e-3, threshold=1e6)  # forgets within a step: the membrane is what arrived
    network.population("a", 4003, model)
    network.drive("a", lsm.Poisson(rate, weight=1.0))
    sim = network.build(precision="float64", threads=1)
    counts = np.array([(sim.run(0.1), np.rint(sim.state("a")["membrane"]).copy())[1] for _ in range(50)])
    mean = rate * 1e-4
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / counts.size))
    assert counts.var() == pytest.approx(mean, rel=0.05 if mean > 1 else 0.15)
    for left, right in ((counts[:, 1:], counts[:, :-1]), (counts[1:], counts[:-1]), (counts[:, 4:], counts[:, :-4])):
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 5 / np.sqrt(left.size)


def test_inhibitory_drive_and_two_drives_add() -> None:
    """Drives of one population add up."""
    network = lsm.Network(seed=4)
    network.population("a", 2000, lsm.LIF(tau_m=1e-3, threshold=1e6))
    network.drive("a", lsm.Poisson(10_000.0, weight=0.2))
    network.drive("a", lsm.Poisson(5_000.0, weight=-0.3))
    sim = network.build(precision="float64", threads=1)
    sim.run(0.1)
    arrived = sim.state("a")["membrane"]
    assert arrived.mean() == pytest.approx(1.0 * 0.2 - 0.5 * 0.3, abs=0.03)
    assert arrived.var() == pytest.approx(1.0 * 0.04 + 0.5 * 0.09, rel=0.15)


def test_streams() -> None:
    """Words are uniform; keys of different purposes, seeds and indices differ."""
    words = streams.word(streams.key(0, "test", 1), np.arange(100_000, dtype=np.uint64))
    assert scipy.stats.kstest(streams.uniform(words), "uniform").pvalue > 1e-4
    for below in (streams.high_below, streams.low_below):
        drawn = below(words, np.uint64(10))
        assert scipy.stats.chisquare(np.bincount(drawn.astype(int), minlength=10)).pvalue > 1e-4
    keys = {
        int(streams.key(*args)) for args in [(0, "a"), (0, "b"), (1, "a"), (0, "a", 0), (0, "a", 1), (-1, "a", 0, 0)]
    }
    assert len(keys) == 6


@pytest.mark.parametrize(("rate", "weight"), [(-1.0, 1.0), (float("nan"), 1.0), (1.0, float("inf"))])
def test_wrong_drive(rate: float, weight: float) -> None:
    """The message names what is wrong."""
    with pytest.raises(ValueError, match="Poisson"):
        lsm.Poisson(rate, weight)
