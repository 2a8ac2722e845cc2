"""Mutation and crossover: what they keep, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ddp_utils import keyed_numpy_generator
from evosnn.afferents import AfferentDrive
from evosnn.crossover import crossover
from evosnn.evolution_config import EvolutionConfig, MutationConfig, StartConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome
from evosnn.mutation import mutate
from evosnn.network import Network
from evosnn.rule import Rule
from evosnn.structure_mutation import duplicate_neuron, prune_weak, split_edge

BUSY = MutationConfig(
    add_edge=0.6, remove_edge=0.4, toggle_edge=0.3, add_neuron=0.6, remove_neuron=0.3, duplicate=0.4, rewire=0.4,
    most_neurons=9, most_edges=40,
)  # fmt: skip


def rng(index: int) -> np.random.Generator:
    return keyed_numpy_generator(1, "test", index)


def spikes(genome: Genome, steps: int = 400) -> np.ndarray:
    """Spike trains of the first neurons under a fixed input, (steps, N)."""
    network = Network([genome], plastic=False)
    state = network.initial_state()
    drive = torch.rand(steps, 1, genome.n_afferents, generator=torch.Generator().manual_seed(3)) < 0.3
    trains = []
    for afferents in drive:
        counts, _ = network.run_(AfferentDrive(afferents.float()), state, 1)
        trains.append(counts[0].numpy().copy())
    return np.stack(trains)


def feed_forward(delay: int, index: int) -> Genome:
    start = StartConfig(recurrent=0.0, adaptive=0.0, bias=0.0, bias_spread=0.0, connect=1.0)
    genome = initial_genome(3, 2, rng(index), EvolutionConfig(start=start))
    return genome.replace(delay=np.full(genome.n_edges, delay))


@pytest.mark.parametrize("delay", [3, 4, 9, 62])
@pytest.mark.parametrize("index", range(3))
def test_splitting_an_edge_of_three_steps_or_more_changes_nothing(delay: int, index: int) -> None:
    genome = feed_forward(delay, index)
    before = spikes(genome)
    assert before.sum() > 20
    grown = genome
    for edge in range(genome.n_edges):
        grown = split_edge(grown, edge)
    assert grown.n_neurons == 3 + genome.n_edges
    np.testing.assert_array_equal(spikes(grown)[:, :3], before)


@pytest.mark.parametrize(("delay", "late"), [(1, 2), (2, 1)])
def test_splitting_a_shorter_edge_only_delays(delay: int, late: int) -> None:
    """With all edges split, everything comes exactly so many steps late."""
    genome = feed_forward(delay, 0)
    grown = genome
    for edge in range(genome.n_edges):
        grown = split_edge(grown, edge)
    np.testing.assert_array_equal(spikes(grown)[late:, :3], spikes(genome)[:-late])


def test_a_twin_neuron_changes_nothing() -> None:
    """The copy fires as its original does, and both send half; no edge between them can tell."""
    config = EvolutionConfig(start=StartConfig(neurons=4, recurrent=1.0))
    for index in range(5):
        genome = initial_genome(3, 2, rng(index), config)
        loops = (genome.source >= 3 + 2) & (genome.target >= 2)  # between hidden ones
        genome = genome.replace(enabled=genome.enabled & ~loops)
        twin = duplicate_neuron(genome, config, rng(index))
        assert twin.n_neurons == 5
        before, after = spikes(genome), spikes(twin)
        assert (before != after[:, :4]).mean() < 0.01  # sums of halves round otherwise


@pytest.mark.parametrize("dale", [False, True])
@pytest.mark.parametrize("learning", [False, True])
def test_long_lines_of_descent_stay_genomes(dale: bool, learning: bool) -> None:
    """They pass a genome's own checks; beyond that: limits of size, Dale's law, outputs, the bound of weights."""
    config = EvolutionConfig(
        mutation=BUSY, dale=dale, evolve_rule=learning, rule=Rule.mstdpet() if learning else Rule.off()
    )
    line = [initial_genome(4, 2, rng(i), config) for i in range(4)]
    for generation in range(60):
        random = rng(100 + generation)
        line = [mutate(genome, config, random) for genome in line]
        line[0] = crossover(line[0], line[1 + generation % 3], random, dale=dale)
        for genome in line:
            assert genome.replace() == genome  # checks all values
            assert genome.n_neurons <= BUSY.most_neurons
            assert genome.n_edges <= BUSY.most_edges
            assert genome.n_outputs == 2
            assert np.abs(genome.weight).max(initial=0) <= genome.rule.w_max
            pairs = list(zip(genome.source.tolist(), genome.target.tolist(), strict=True))
            assert len(set(pairs)) == len(pairs)
            own = genome.source >= genome.n_afferents
            sent = np.sign(genome.weight[own]) * genome.sign[genome.source[own] - genome.n_afferents]
            assert not dale or (sent >= 0).all()


def test_innovation_numbers_do_not_depend_on_order() -> None:
    """The same two splits in either order give the same neurons and edges."""
    genome = feed_forward(5, 0)
    one = split_edge(split_edge(genome, 0), 1)
    other = split_edge(split_edge(genome, 1), 0)
    assert set(one.neuron_id.tolist()) == set(other.neuron_id.tolist())
    assert set(one.edge_id.tolist()) == set(other.edge_id.tolist())
    assert len(set(split_edge(one, 0).neuron_id.tolist())) == 6  # the same edge split twice: another neuron


def test_a_child_of_equals_is_equal() -> None:
    genome = feed_forward(2, 0)
    assert crossover(genome, genome, rng(0)) == genome


def test_crossover_mixes_what_both_have_and_keeps_the_structure_of_the_better() -> None:
    genome = feed_forward(2, 0)
    better = split_edge(genome, 0)
    other = genome.replace(weight=-genome.weight, tau_m=genome.tau_m * 2)
    seen = set()
    for index in range(40):
        child = crossover(better, other, rng(index))
        np.testing.assert_array_equal(child.edge_id, better.edge_id)
        for neuron in range(3):  # a neuron's time constant and its incoming weights come from one parent
            from_other = child.tau_m[neuron] != better.tau_m[neuron]
            shared = (child.target == neuron) & np.isin(child.edge_id, other.edge_id)
            flipped = child.weight[shared] == -better.weight[shared]
            assert flipped.all() if from_other else not flipped.any()
            seen.add((neuron, bool(from_other)))
    assert len(seen) == 6


def test_crossover_refuses_parents_for_different_tasks() -> None:
    with pytest.raises(ValueError, match="3 afferents and 2 outputs, 4 and 2"):
        crossover(feed_forward(1, 0), initial_genome(4, 2, rng(0)), rng(0))


def test_pruning_takes_out_what_is_weak_and_nothing_else() -> None:
    genome = feed_forward(1, 1)
    weight = np.array(genome.weight)
    weight[2] *= 1e-4
    pruned = prune_weak(genome.replace(weight=weight), 0.01)
    np.testing.assert_array_equal(pruned.edge_id, np.delete(genome.edge_id, 2))


def test_the_rates_of_the_config_are_the_rates_of_change() -> None:
    still = MutationConfig(
        weight_rate=0, neuron_rate=0, delay_rate=0, add_edge=0, remove_edge=0, toggle_edge=0, add_neuron=0,
        remove_neuron=0, duplicate=0, rewire=0,
    )  # fmt: skip
    genome = feed_forward(2, 0)
    assert mutate(genome, EvolutionConfig(mutation=still), rng(0)) == genome
    config = EvolutionConfig(mutation=still).adjusted(add_edge=0.5, recurrent=0.0)
    grown = sum(mutate(genome, config, rng(i)).n_edges > genome.n_edges for i in range(200))
    assert 70 <= grown <= 130


def test_plasticity_drift_moves_learning_rates() -> None:
    config = EvolutionConfig(rule=Rule.mstdpet(reward=0.1)).adjusted(plasticity_drift=0.5)
    child = mutate(initial_genome(3, 2, rng(0), config), config, rng(1))
    assert child.rule.reward == pytest.approx(0.1 * np.exp(0.5))
