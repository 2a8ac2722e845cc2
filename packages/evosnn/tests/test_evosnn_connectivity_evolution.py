"""Evolving Connectivity: samples follow their probabilities, the gradient finds what pays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evosnn.connectivity_evolution import ConnectivityConfig, ConnectivityEvolution, centred_ranks
from evosnn.evaluation import FitnessError, FunctionEvaluator
from evosnn.evolution_checkpoint import EvolutionStateError
from evosnn.genome import Genome
from evosnn.reporters import TableReporter
from rich.console import Console
from scipy.stats import rankdata


def wanted_SN(genome: Genome) -> np.ndarray:
    """A fixed chequered set of connections."""
    n_sources = genome.n_afferents + genome.n_neurons
    return (np.arange(n_sources)[:, None] + np.arange(genome.n_neurons)) % 3 == 0


def agreement(genome: Genome) -> float:
    there = np.zeros_like(wanted_SN(genome))
    there[genome.source, genome.target] = True
    return float((there == wanted_SN(genome)).mean())


def search(population: int = 64, **options: Any) -> ConnectivityEvolution:
    def fitness(genomes: Sequence[Genome], seeds: Sequence[int]) -> list[float]:
        return [agreement(genome) for genome in genomes]

    config = ConnectivityConfig(**{"neurons": 5, "rate": 0.5, **options})
    return ConnectivityEvolution(evaluator=FunctionEvaluator(fitness, 4, 2), population=population, config=config)


def test_connections_are_there_as_often_as_their_probability_says() -> None:
    run = search(4000, probability=0.3)
    counts = np.zeros(run.probability_SN.shape)
    for genome in run.ask():
        counts[genome.source, genome.target] += 1
    error = np.sqrt(0.3 * 0.7 / 4000)
    assert np.abs(counts / 4000 - 0.3).max() < 4.5 * error


def test_neurons_send_with_one_sign() -> None:
    for genome in search().ask():
        own = genome.source >= genome.n_afferents
        np.testing.assert_array_equal(np.sign(genome.weight[own]), genome.sign[genome.source[own] - genome.n_afferents])


def test_the_probabilities_find_the_connections_that_pay() -> None:
    run = search()
    records = [run.tell(run.measure()) for _ in range(60)]
    assert agreement(run.best()) == 1.0
    assert records[-1]["decided"] > 0.9


def test_a_run_claims_its_target_and_goes_on_from_its_folder(tmp_path: Path) -> None:
    result = search().run(60, target=1.0)
    assert result.solved
    assert result.score == agreement(result.best) == 1.0
    assert (result.generations, result.episodes) == (len(result.history), result.generations * 64 + 100)
    search().run(3, folder=tmp_path)
    resumed, whole = search().run(6, folder=tmp_path), search().run(6)
    assert resumed.history == whole.history
    assert resumed.best == whole.best
    assert resumed.score == agreement(whole.best)


def test_the_table_of_generations_has_what_the_records_hold() -> None:
    table = io.StringIO()
    search().run(2, reporters=[TableReporter(Console(file=table))])
    assert "decided" in table.getvalue()
    assert "species" not in table.getvalue()


def test_ranks_are_those_of_scipy() -> None:
    fitness = np.random.default_rng(0).integers(0, 10, 50).astype(float)
    ranks = rankdata(fitness)
    np.testing.assert_allclose(centred_ranks(fitness), (ranks - ranks.mean()) / ranks.std())
    np.testing.assert_array_equal(centred_ranks(np.ones(5)), np.zeros(5))


def test_a_resumed_search_is_the_same_and_another_is_refused() -> None:
    whole, half, resumed = search(), search(), search()
    for _ in range(6):
        whole.tell(whole.measure())
    for _ in range(3):
        half.tell(half.measure())
    resumed.load_state_dict(half.state_dict())
    for _ in range(3):
        resumed.tell(resumed.measure())
    assert resumed.history == whole.history
    np.testing.assert_array_equal(resumed.probability_SN, whole.probability_SN)
    with pytest.raises(EvolutionStateError, match="config is"):
        search(rate=0.1).load_state_dict(half.state_dict())
    with pytest.raises(EvolutionStateError, match="not in"):
        resumed.load_state_dict(half.state_dict() | {"probability": half.probability_SN * np.nan})


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="even"):
        search(63)
    with pytest.raises(ValueError, match="task needs 2"):
        search(neurons=1)
    with pytest.raises(FitnessError, match="individual 0 is nan"):
        search().tell(np.full(64, np.nan))
