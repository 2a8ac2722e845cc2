"""Structural plasticity: what is pruned, what connects, what grows."""

import numpy as np
import pytest
import torch
from evosnn.afferents import AfferentDrive
from evosnn.distance_connectivity import (
    BASE_PROBABILITY,
    connection_probability,
    pairwise_distance,
    sample_connections,
)
from evosnn.network import Network
from evosnn.pruning import activity_trace, edges_to_prune, input_and_output_edges, last_edges, prune
from evosnn.rule import Rule
from evosnn.structural_growth import calcium_trace, form_synapses, free_elements, grow, growth_rate
from hypothesis import given, settings
from hypothesis import strategies as st
from network_genomes import make_genome, random_genome
from scipy.stats import chi2


def test_sampled_connections_fit_the_probability():
    """Chi-square of the counts of connections by kinds and distance, over many draws."""
    rng = np.random.default_rng(0)
    position_N3 = rng.uniform(0, 5, (60, 3))
    excitatory_N = rng.random(60) < 0.7
    distance_NN = pairwise_distance(position_N3, position_N3)
    probability_NN = connection_probability(distance_NN, excitatory_N, excitatory_N)
    draws = 40
    counts_NN = np.zeros((60, 60))
    for _ in range(draws):
        source_E, target_E = sample_connections(position_N3, excitatory_N, rng)
        counts_NN[source_E, target_E] += 1
    assert (np.diag(counts_NN) == 0).all()
    off_NN = ~np.eye(60, dtype=bool)
    kind_NN = 2 * excitatory_N[:, None] + excitatory_N[None]
    statistic, freedom = 0.0, 0
    for kind in range(4):
        for low in np.arange(0, 6, 0.5):
            cell_NN = off_NN & (kind_NN == kind) & (distance_NN >= low) & (distance_NN < low + 0.5)
            expected = draws * probability_NN[cell_NN].sum()
            variance = draws * (probability_NN[cell_NN] * (1 - probability_NN[cell_NN])).sum()
            if expected > 5:
                statistic += (counts_NN[cell_NN].sum() - expected) ** 2 / variance
                freedom += 1
    assert freedom > 20
    assert 0.001 < chi2.sf(statistic, freedom) < 0.999


def test_probability_at_known_distances():
    """C at no distance, C / e at the reach, by kinds as in the paper."""
    kinds = np.array([True, False])
    at_0 = connection_probability(np.zeros((2, 2)), kinds, kinds)
    np.testing.assert_allclose(at_0, [[0.3, 0.2], [0.4, 0.1]])
    np.testing.assert_allclose(connection_probability(np.full((2, 2), 2.0), kinds, kinds), at_0 / np.e)
    with pytest.raises(ValueError, match="reach"):
        connection_probability(np.zeros((2, 2)), kinds, kinds, reach=0.0)
    with pytest.raises(ValueError, match="base"):
        connection_probability(np.zeros((2, 2)), kinds, kinds, base={**BASE_PROBABILITY, (True, True): 1.2})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 2))
def test_pruning_removes_only_what_is_inactive_and_not_protected(seed, threshold):
    rng = np.random.default_rng(seed)
    genome = random_genome(rng, Rule.off())
    activity_E = rng.random(genome.n_edges) * 2
    for protected_E in (None, rng.random(genome.n_edges) < 0.5, input_and_output_edges(genome)):
        kept = set(prune(genome, activity_E, threshold, protected_E=protected_E).edge_id.tolist())
        safe_E = last_edges(genome, activity_E) if protected_E is None else protected_E
        for e, number in enumerate(genome.edge_id.tolist()):
            goes = activity_E[e] < threshold and not safe_E[e] and bool(genome.enabled[e])
            assert (number in kept) != goes


def test_pruned_network_keeps_its_inputs_and_outputs():
    rng = np.random.default_rng(1)
    for _ in range(20):
        genome = random_genome(rng, Rule.off())
        pruned = prune(genome, rng.random(genome.n_edges), 10.0)
        for c in set(genome.source[genome.enabled & (genome.source < genome.n_afferents)].tolist()):
            assert (pruned.source[pruned.enabled] == c).any()
        for n in set(genome.target[genome.enabled & (genome.target < genome.n_outputs)].tolist()):
            assert (pruned.target[pruned.enabled] == n).any()


def test_activity_finds_the_silent_synapse():
    """Two afferents, one never driven: the synapses of the other come to weight times rate."""
    genome = make_genome(edges=4, source=[0, 1, 0, 1], target=[2, 2, 0, 1], weight=[0.1, 0.1, -0.4, 0.2])
    network = Network([genome])
    state = network.initial_state()
    activity_PE = torch.zeros(1, network.n_edges)
    drive = AfferentDrive(torch.tensor([[0.1, 0.0]]))
    for _ in range(200):
        network.run_(drive, state, 50)
        arrivals_PE = network.arrivals(state, 50)
        activity_PE = activity_trace(activity_PE, state.strength_PE, arrivals_PE, duration_ms=50, tau_ms=500)
    activity_E = network.in_genome_order(activity_PE, 0, np.zeros(4, np.float32))
    np.testing.assert_allclose(activity_E, [10.0, 0.0, 40.0, 0.0], rtol=1e-5)
    gone_E = edges_to_prune(activity_E, 1.0, np.zeros(4, bool))
    assert gone_E.tolist() == [False, True, False, True]
    with pytest.raises(ValueError, match="threshold"):
        edges_to_prune(activity_E, -1.0, np.zeros(4, bool))
    with pytest.raises(ValueError, match="activity_E"):
        prune(genome, np.zeros(3), 1.0)


def test_growth_curve_of_butz_and_van_ooyen():
    """0 at eta and epsilon, nu half way between, falling to -nu."""
    calcium = torch.tensor([0.1, 0.4, 0.7, 50.0, 0.05, 0.75], dtype=torch.float64)
    rate = growth_rate(calcium, nu=2.0)
    torch.testing.assert_close(rate[:4], torch.tensor([0.0, 2.0, 0.0, -2.0], dtype=torch.float64), atol=1e-12, rtol=0)
    assert (rate[4:] < 0).all()


def test_calcium_comes_to_its_mean_whatever_the_stretches():
    """beta tau r for a rate r; two stretches of half the length come to nearly the same."""
    one, two = torch.zeros(1), torch.zeros(1)
    for _ in range(1000):
        one = calcium_trace(one, torch.tensor([2.0]), duration_ms=100)
        two = calcium_trace(two, torch.tensor([1.0]), duration_ms=50)
        two = calcium_trace(two, torch.tensor([1.0]), duration_ms=50)
    torch.testing.assert_close(one, torch.tensor([1e-3 * 10_000 * 0.02]))
    torch.testing.assert_close(one, two)


def test_new_synapses_take_free_elements_and_near_ones_first():
    rng = np.random.default_rng(0)
    position_N3 = rng.uniform(0, 6, (40, 3))
    free = np.full(40, 3)
    taken_NN = np.eye(40, dtype=bool)
    source, target = form_synapses(free, free, position_N3, position_N3, taken_NN, rng, reach=1.5)
    assert (np.bincount(source, minlength=40) <= 3).all()
    assert (np.bincount(target, minlength=40) <= 3).all()
    assert (source != target).all()
    assert len({*zip(source.tolist(), target.tolist(), strict=True)}) == len(source)
    distance_NN = pairwise_distance(position_N3, position_N3)
    assert distance_NN[source, target].mean() < 0.7 * distance_NN.mean()
    assert free_elements(np.array([2.9, 0.4]), np.array([1, 3])).tolist() == [1, 0]


def test_growth_follows_the_elements():
    """With as many elements as synapses nothing changes; more connect; fewer break; afferents are left alone."""
    genome = make_genome(
        neurons=6, edges=8, source=[0, 1, 2, 3, 4, 5, 6, 7], target=[0, 1, 1, 2, 3, 4, 5, 0], sign=[1, 1, 1, 1, 1, -1]
    )
    out = np.bincount(genome.source[genome.source >= 2] - 2, minlength=6)
    into = np.bincount(genome.target[genome.source >= 2], minlength=6)
    assert grow(genome, out, into, np.random.default_rng(0)) == genome
    grown = grow(genome, out + 1, into + 1, np.random.default_rng(0), weight=0.5, reach=100.0)
    assert set(genome.edge_id.tolist()) < set(grown.edge_id.tolist())
    new = slice(genome.n_edges, None)
    np.testing.assert_array_equal(grown.weight[new], 0.5 * genome.sign[grown.source[new] - 2])
    broken = grow(genome, out * 0, into, np.random.default_rng(0))
    assert (broken.source < 2).all()
    assert broken.n_edges == 2
