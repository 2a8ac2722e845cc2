"""Structure that follows activity over a life."""

from __future__ import annotations

import numpy as np
import pytest
from ddp_utils import keyed_numpy_generator
from evosnn.development import DevelopmentConfig, develop
from evosnn.evolution_config import EvolutionConfig, StartConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome
from evosnn.life import live
from evosnn.task_evaluator import suitable_interface


def genome_of(seed: int, *, neurons: int = 8, bias: float = 1.0) -> Genome:
    interface = suitable_interface("CartPole-v1", plastic=False)
    config = EvolutionConfig(start=StartConfig(neurons=neurons, bias=bias))
    sizes = (interface.n_afferents, interface.n_outputs)
    return initial_genome(*sizes, keyed_numpy_generator(seed, "development"), config, interface.metadata())


def between(genome: Genome) -> np.ndarray:
    return genome.source >= genome.n_afferents


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    assert develop(genome_of(0), [1, 2], DevelopmentConfig()) == genome_of(0)


@pytest.mark.parametrize("seed", range(4))
def test_pruning_what_was_silent_changes_no_spike(seed: int) -> None:
    genome = genome_of(seed, bias=0.3)
    life = live(genome, 5, frames=False)
    counts_S = np.concatenate([life.afferents_MC.sum(0), life.spikes_MN.sum(0)])
    kept = develop(genome, [5], DevelopmentConfig(prune_below=1e-12))
    gone_E = ~np.isin(genome.edge_id, kept.edge_id)
    assert (counts_S[genome.source[gone_E]] == 0).all()
    again = live(kept, 5, frames=False)
    np.testing.assert_array_equal(again.spikes_MN, life.spikes_MN)
    assert again.score == life.score


def test_what_delivers_less_than_the_threshold_goes_and_nothing_is_cut_off() -> None:
    genome = genome_of(1)
    sizes = [develop(genome, [5], DevelopmentConfig(prune_below=b)).n_edges for b in (0.0, 50.0, 500.0, 1e9)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[1] > sizes[3]
    least = develop(genome, [5], DevelopmentConfig(prune_below=1e9))
    assert set(least.source[least.source < genome.n_afferents]) == set(genome.source[~between(genome)])
    assert set(range(genome.n_outputs)) <= set(least.target.tolist())


def test_quiet_neurons_grow_and_busy_ones_shrink() -> None:
    """Calcium far above the target of everyone takes their synapses; between eta and the target it gives new ones."""
    genome = genome_of(2)
    rate = float(live(genome, 5, frames=False).rate_N.mean())
    fast = {"nu": 0.02, "tau_calcium_ms": 100.0, "reach": 100.0}
    calcium = 1e-3 * 100.0 * rate / 1000
    assert rate > 20
    grown = develop(genome, [5], DevelopmentConfig(**fast, eta=-calcium, epsilon=4 * calcium))
    shrunk = develop(genome, [5], DevelopmentConfig(**fast, eta=0.001 * calcium, epsilon=0.002 * calcium))
    assert between(shrunk).sum() < between(genome).sum() < between(grown).sum()
    for other in (grown, shrunk):
        np.testing.assert_array_equal(other.edge_id[~between(other)], genome.edge_id[~between(genome)])
    new_E = ~np.isin(grown.edge_id, genome.edge_id)
    np.testing.assert_allclose(np.abs(grown.weight[new_E]), np.abs(genome.weight).mean(), rtol=1e-6)
    assert live(grown, 5, frames=False).score > 0


def test_the_seed_decides() -> None:
    config = DevelopmentConfig(nu=0.01, prune_below=5.0, tau_calcium_ms=100.0, epsilon=0.05, eta=-0.05)
    one, same, other = (develop(genome_of(3), [1, 2, 3], config, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one != other


@pytest.mark.parametrize("wrong", [{"nu": -1.0}, {"prune_below": -1.0}, {"reach": 0.0}, {"epsilon": 0.1}])
def test_bad_input_is_named(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DevelopmentConfig(**wrong)
