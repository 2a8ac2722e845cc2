"""Laws of the connection rules."""

from __future__ import annotations

from typing import Any

import lsm
import numpy as np
import pytest
import scipy.stats
from lsm import streams
from lsm.connections import Connections, connections
from lsm.distributions import draw

PLACES = np.random.default_rng(0).random((400, 2))
RULES = {
    "indegree": lsm.FixedIndegree(20, autapses=False),
    "outdegree": lsm.FixedOutdegree(20, autapses=False),
    "total": lsm.FixedTotalNumber(8000, autapses=False),
    "bernoulli": lsm.PairwiseBernoulli(0.05, autapses=False),
    "one": lsm.OneToOne(),
    "all": lsm.AllToAll(autapses=False),
    "distance": lsm.DistanceBernoulli(0.5, 0.2),
    "spatial": lsm.SpatialIndegree(20, 0.1),
    "explicit": lsm.Explicit([0, 399, 5, 5], [7, 0, 399, 399]),
}


def one_population(rule: Any, n: int = 400, seed: int = 1, **synapse: Any) -> lsm.Network:
    network = lsm.Network(seed=seed)
    positions = np.resize(PLACES, (n, 2))
    a = network.population("a", n, lsm.LIF(), positions=positions)
    network.connect(a, a, rule, **{"weight": 0.1, "delay": 1.5, **synapse})
    return network


def drawn(rule: Any, **options: Any) -> Connections:
    network = one_population(rule, **options)
    return connections(network, network.projections[0])


@pytest.mark.parametrize("name", RULES)
def test_a_simulation_has_the_synapses_that_are_listed(name: str) -> None:
    """Whatever the partitions: number, targets by source, and the expected number that memory is asked for with."""
    network = one_population(RULES[name], weight=lsm.Normal(0.1, 0.01) if name != "explicit" else [1.0, 2.0, 3.0, 4.0])
    projection = network.projections[0]
    listed = connections(network, projection)
    for partitions in (1, 8, 64):
        sim = one_population(RULES[name], weight=projection.weight).build(threads=1, partitions=partitions)
        assert sim.synapses == len(listed.sources)
        pairs = np.concatenate([np.stack(stored_pairs(sim, p), axis=1) for p in range(partitions)])
        assert sorted(map(tuple, pairs)) == list(zip(listed.sources, listed.targets, strict=True))
    mean = projection.rule.expected(projection.pair(network.seed))
    assert abs(len(listed.sources) - mean) <= 5 * np.sqrt(mean)
    if name not in ("one", "explicit"):
        assert not (listed.sources == listed.targets).any()


def stored_pairs(sim: lsm.Simulation, partition: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets as they lie in the store of a network of one population and projection."""
    stores = sim.stores
    n_delays = int(stores.table_SF[0, 3])
    begin = stores.pointer_SP[0, partition]
    pointers = stores.pointers[begin : begin + 400 * n_delays + 1]
    index = stores.synapse_SP[0, partition] + np.arange(pointers[-1])
    targets = (stores.synapses[index] & 0xFFFF) + sim.layout.first_PG[partition, 0]
    return np.repeat(np.arange(400), np.diff(pointers[::n_delays])), targets


def test_indegrees_and_outdegrees() -> None:
    """Fixed where they are fixed, binomial where they are not."""
    k_in = np.bincount(drawn(RULES["indegree"]).targets, minlength=400)
    assert (k_in == 20).all()
    k_out = np.bincount(drawn(RULES["outdegree"]).sources, minlength=400)
    assert (k_out == 20).all()
    for name, side in (("indegree", "sources"), ("outdegree", "targets"), ("total", "sources"), ("total", "targets")):
        degree = np.bincount(getattr(drawn(RULES[name]), side), minlength=400)
        ratio = degree.var() / degree.mean()
        assert 0.75 < ratio < 1.25, (name, side)  # Poisson-like
    assert len(drawn(RULES["total"]).sources) == 8000


@pytest.mark.parametrize("name", ["indegree", "outdegree", "total"])
def test_every_partner_is_as_likely(name: str) -> None:
    """Drawn pairs fill the matrix evenly."""
    rules = {
        "indegree": lsm.FixedIndegree(400),
        "outdegree": lsm.FixedOutdegree(400),
        "total": lsm.FixedTotalNumber(160_000),
    }
    listed = drawn(rules[name])
    counts, *_ = np.histogram2d(listed.sources, listed.targets, bins=20)
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 1e-4


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 1.0])
def test_pairwise_probability(p: float) -> None:
    """Each pair once at most; each row as many as a binomial count, and rows of sources know nothing of each other."""
    listed = drawn(lsm.PairwiseBernoulli(p))
    assert len(set(zip(listed.sources, listed.targets, strict=True))) == len(listed.sources)
    sd = np.sqrt(160_000 * p * (1 - p))
    assert abs(len(listed.sources) - 160_000 * p) <= 4 * sd
    for side in (listed.sources, listed.targets):
        degree = np.bincount(side, minlength=400)
        assert degree.var() <= 1.35 * 400 * p * (1 - p) + 1e-9


def test_distance_law() -> None:
    """Among pairs at a distance the share that is connected is C exp(-(D / lambda)^2)."""
    listed = drawn(lsm.DistanceBernoulli(0.6, 0.3))
    distance = np.linalg.norm(PLACES[:, None] - PLACES[None], axis=2)
    connected = np.zeros((400, 400), bool)
    connected[listed.sources, listed.targets] = True
    for low in (0.01, 0.1, 0.2, 0.3, 0.5):
        ring = (distance > low) & (distance < low + 0.05)
        expected = (0.6 * np.exp(-((distance / 0.3) ** 2)))[ring]
        assert abs(connected[ring].mean() - expected.mean()) < 5 * np.sqrt(expected.mean() / ring.sum())


def test_spatial_law() -> None:
    """Sources lie around their target as the normal distribution says, moved by the shift."""
    rng = np.random.default_rng(1)
    places = rng.random((20_000, 2))
    network = lsm.Network(seed=2)
    a = network.population("a", 20_000, lsm.LIF(), positions=places)
    network.connect(a, a, lsm.SpatialIndegree(20, 0.05, shift=(0.1, 0.0)), weight=0.1, delay=1.0)
    listed = connections(network, network.projections[0])
    assert (np.bincount(listed.targets, minlength=20_000) == 20).all()
    inside = np.all(np.abs(places - 0.5) < 0.2, axis=1)[listed.targets]
    offset = (places[listed.sources] - places[listed.targets])[inside]
    np.testing.assert_allclose(offset.mean(axis=0), [0.1, 0.0], atol=0.001)
    np.testing.assert_allclose(offset.std(axis=0), 0.05, rtol=0.03)


def test_weights_and_delays_follow_their_distributions() -> None:
    """Moments of the drawn values; delays on the grid of steps, at least one; weights within their bounds."""
    listed = drawn(lsm.FixedIndegree(100), weight=lsm.Normal(0.5, 0.1, low=0.3), delay=lsm.Normal(1.5, 0.75))
    expected = scipy.stats.truncnorm(-2, np.inf, loc=0.5, scale=0.1)
    assert scipy.stats.kstest(listed.weights, expected.cdf).pvalue > 1e-4
    assert listed.delays.min() == pytest.approx(0.1)
    np.testing.assert_allclose(listed.delays / 0.1, np.rint(listed.delays / 0.1), atol=1e-9)
    cut = scipy.stats.truncnorm((0.05 - 1.5) / 0.75, np.inf, loc=1.5, scale=0.75)
    assert listed.delays.mean() == pytest.approx(cut.mean(), abs=0.02)
    assert abs(np.corrcoef(listed.weights, listed.delays)[0, 1]) < 0.02
    even = drawn(lsm.FixedIndegree(100), weight=lsm.Uniform(-1.0, 3.0))
    assert scipy.stats.kstest(even.weights, scipy.stats.uniform(-1.0, 4.0).cdf).pvalue > 1e-4


def test_seeds_and_projections_draw_anew() -> None:
    """Another seed, and another projection of one network, are other draws."""
    network = one_population(lsm.FixedIndegree(20))
    network2 = lsm.Network(seed=1)
    a = network2.population("a", 400, lsm.LIF())
    network2.connect(a, a, lsm.FixedIndegree(20), weight=0.1, delay=1.5)
    network2.connect(a, a, lsm.FixedIndegree(20), weight=0.1, delay=1.5)
    first, second = (connections(network2, projection).sources for projection in network2.projections)
    assert np.array_equal(first, connections(network, network.projections[0]).sources)
    for other in (second, drawn(lsm.FixedIndegree(20), seed=2).sources):
        assert np.count_nonzero(other != first) > 4000


def test_bytes_of_a_synapse() -> None:
    """Two bytes where weight and delay are constant, four where each synapse has its own; pointers beside."""
    constant = one_population(lsm.FixedIndegree(1000), n=4000).build(threads=2)
    assert constant.bytes_per_synapse < 2.1
    spread = one_population(
        lsm.FixedIndegree(1000), n=4000, weight=lsm.Normal(0.1, 0.01), delay=lsm.Normal(1.5, 0.3)
    ).build(threads=2)
    assert spread.bytes_per_synapse < 5


def test_normal_numbers_far_out() -> None:
    """The normal numbers that weights are made of are normal out to 4 sd."""
    words = streams.word(streams.key(0, "normal"), np.arange(2_000_000, dtype=np.uint64))
    drawn = draw(lsm.Normal(0.0, 1.0), words)
    assert scipy.stats.kstest(drawn, "norm").pvalue > 1e-4
    for reach in (2.0, 3.0, 3.5, 3.66, 4.0):
        expected = len(drawn) * scipy.stats.norm.sf(reach)
        for beyond in (np.count_nonzero(drawn > reach), np.count_nonzero(drawn < -reach)):
            assert abs(beyond - expected) < 4.5 * np.sqrt(expected)
