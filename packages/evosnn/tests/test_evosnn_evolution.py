"""Evolution: ask and tell, budgets, claims, records, checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ddp_utils import Checkpoints, keyed_numpy_generator, read_metrics
from evosnn.champions import Champions, claim, claim_cost, measured_finalists
from evosnn.evaluation import FitnessError, FunctionEvaluator
from evosnn.evolution import Evolution
from evosnn.evolution_checkpoint import EvolutionStateError, pack_genomes, unpack_genomes
from evosnn.evolution_config import EvolutionConfig, SelectionConfig, SpeciationConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome
from evosnn.interface import Interface
from evosnn.reporters import COLUMNS, MetricsReporter, TableReporter
from evosnn.rule import Rule
from evosnn.selection import offspring_numbers, rank_score
from evosnn.speciation import Species, distances, speciate
from evosnn.structure_mutation import split_edge
from evosnn.tasks.registry import make_task
from rich.console import Console


def wanted_weight(genomes: Sequence[Genome], seeds: Sequence[int]) -> list[float]:
    """Best, 0, where all weights are 1.5 and there are 12 edges."""
    return [-abs(g.n_enabled - 12) / 4 - float(np.abs(g.weight - 1.5).mean()) if g.n_edges else -9.0 for g in genomes]


def evolution(population: int = 40, *, seed: int = 0, function: Any = wanted_weight, **adjust: Any) -> Evolution:
    config = EvolutionConfig().adjusted(**{"final_episodes": 2, "claim_episodes": 5, **adjust})
    return Evolution(evaluator=FunctionEvaluator(function, 4, 2), population=population, seed=seed, config=config)


def test_the_fitness_rises_and_more_than_by_drawing_at_random() -> None:
    run = evolution()
    result = run.run(40)
    drawn = [initial_genome(4, 2, keyed_numpy_generator(9, "random", i)) for i in range(40 * 40)]
    assert result.history[-1]["best"] > max(wanted_weight(drawn, [])) + 0.2
    assert result.history[-1]["mean"] > result.history[0]["mean"] + 1


def test_ask_and_tell_is_what_run_does() -> None:
    by_run, by_hand = evolution(finalists=0), evolution(finalists=0)
    by_run.run(4)
    for _ in range(4):
        by_hand.tell(wanted_weight(by_hand.ask(), []))
    assert by_hand.ask() == by_run.ask()


def test_the_best_goes_on_unchanged() -> None:
    run = evolution()
    for _ in range(5):
        genomes = run.ask()
        fitness = np.array(wanted_weight(genomes, []))
        run.tell(fitness)
        assert genomes[int(fitness.argmax())] in run.ask()


def test_the_seed_decides() -> None:
    one, same, other = evolution(), evolution(), evolution(seed=1)
    assert one.run(3).history == same.run(3).history
    assert one.ask() == same.ask()
    assert one.run(3).history != other.run(3).history


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_fitness_that_is_not_finite_names_the_individual(bad: float) -> None:
    run = evolution()
    fitness = np.zeros(40)
    fitness[17] = bad
    with pytest.raises(FitnessError, match=f"individual 17 is {bad}"):
        run.tell(fitness)
    with pytest.raises(FitnessError, match="expected 40 fitness values"):
        run.tell(np.zeros(39))
    broken = evolution(function=lambda genomes, seeds: np.where(np.arange(len(genomes)) == 3, bad, 0.0))
    with pytest.raises(FitnessError, match=f"individual 3 is {bad} in the episode of seed"):
        broken.run(1)


@pytest.mark.parametrize("population", [1, 0, -3, 2.5, True])
def test_impossible_populations_are_refused(population: Any) -> None:
    with pytest.raises(ValueError, match="population must be"):
        evolution(population)


def test_an_unknown_task_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="CartPole-v1"):
        Evolution(task="CartPol-v1")
    with pytest.raises(ValueError, match="either a task or an evaluator"):
        Evolution()


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'weight_rate'"):
        Evolution(task="CartPole-v1", population=2, config={"mutation": {"weigt_rate": 0.5}})
    chosen = Evolution(task="CartPole-v1", population=2, config={"mutation": {"weight_rate": 0.5}})
    assert chosen.config.mutation.weight_rate == 0.5
    wrong: Any
    for wrong in ({"config": 3}, {"seed": "x"}, {"seed": 0.5}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            Evolution(**{"task": "CartPole-v1", "population": 2, **wrong})
    with pytest.raises(ValueError, match="target"):
        evolution().run(1, target=math.nan)


def test_a_budget_under_one_generation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one generation \(80\)"):
        evolution(episodes=2).run(1, max_episodes=79)


def test_rates_are_those_of_the_last_measurement() -> None:
    run = Evolution(task="CartPole-v1", population=4)
    assert np.isnan(run.rate_P).all()
    fitness_P = run.measure()
    assert run.rate_P.shape == (4,)
    assert (run.rate_P > 0).any()
    mean = float(run.rate_P.mean())
    assert run.tell(fitness_P)["rate"] == mean
    assert np.isnan(run.rate_P).all()


def test_the_budget_of_episodes_is_kept() -> None:
    for budget in (40, 100, 333):
        run = evolution(function=lambda genomes, seeds: [0.5] * len(genomes))
        result = run.run(100, target=0.4 if budget == 100 else None, max_episodes=budget)
        assert result.episodes <= budget
        assert run.statistics()["budget_left"] == pytest.approx(1 - result.episodes / budget)


def test_one_lucky_episode_makes_no_champion() -> None:
    """Everyone scores 1 in a tenth of the episodes, one individual always: the claim is its own."""
    target = evolution().ask()[5].digest()

    def luck(genomes: Sequence[Genome], seeds: Sequence[int]) -> np.ndarray:
        scores = [[hash_share(g, s) < 0.1 or g.digest() == target for s in seeds] for g in genomes]
        return np.array(scores, float)

    result = evolution(function=luck, claim_episodes=30, finalists=12).run(6, target=0.9)
    assert result.solved
    assert result.best.digest() == target
    assert (result.score, result.claimed) == (1.0, 30)


def hash_share(genome: Genome, seed: int) -> float:
    return keyed_numpy_generator(seed, genome.digest()).random()


def test_a_claim_near_the_target_is_held_with_confidence() -> None:
    """Of candidates whose true mean is the target, at most one in ten gets through; of clearly better ones, most do."""

    def held(mean: float) -> int:
        count = 0
        for trial in range(200):
            random = np.random.default_rng(trial)
            holder, _ = claim([0], 0.0, 100, lambda _, __, n, r=random: r.normal(mean, 1.0, (1, n)))
            count += holder is not None
        return count

    assert held(0.0) <= 20
    assert held(0.5) >= 150


def test_who_was_not_measured_again_is_no_better_than_the_median_finalist() -> None:
    score = np.array([[5.0], [4.0], [9.0], [8.0], [7.0]])
    fitness = measured_finalists(score, 3, lambda chosen: np.array([[1.0, 2.0]] * len(chosen)))
    np.testing.assert_allclose(fitness, [11 / 3, 11 / 3, 4.0, 11 / 3, 10 / 3])


def test_settings_are_adjusted_between_generations() -> None:
    run = evolution()
    run.adjust(add_neuron=1.0, remove_neuron=0.0, elites=0.0, immigrants=0.0, tournament=5)
    run.step()
    run.step()
    assert run.statistics()["neurons"] > 3.5
    with pytest.raises(ValueError, match="did you mean 'tournament'"):
        run.adjust(tournamen=3)
    with pytest.raises(ValueError, match="survival must lie in"):
        run.adjust(survival=0.0)
    with pytest.raises(TypeError, match="tournament must be a whole number"):
        run.adjust(tournament=1.5)


def test_a_rule_that_is_given_is_learned_by() -> None:
    rule = Rule.mstdpet(reward=0.3)
    run = Evolution(task="TMaze", population=4, config=EvolutionConfig(rule=rule))
    genome = run.ask()[0]
    assert genome.rule == rule
    policy = genome.policy()
    born = policy.network.weights(policy.network.initial_state())
    for _ in range(40):
        policy(np.ones(make_task("TMaze").n_observations), reward=1.0)
    assert (policy.network.weights(policy.state) != born).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"evolve_rule": True}, "a rule that learns"), ({"rule": Rule.pair(), "plastic": False}, "plastic=True")],
)
def test_a_rule_that_changes_nothing_does_not_evolve(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvolutionConfig(**{"evolve_rule": True, **wrong})


@pytest.mark.parametrize("plastic", [True, False])
def test_an_interface_and_settings_that_differ_in_whether_networks_learn_are_refused(plastic: bool) -> None:
    interface = Interface.for_task("TMaze", plastic=plastic)
    assert Evolution(interface, population=2).config.learns == plastic
    with pytest.raises(ValueError, match=f"plastic={plastic}, the configuration plastic={not plastic}"):
        Evolution(interface, population=2, config=EvolutionConfig(rule=Rule.mstdpet(), plastic=not plastic))


def test_a_configuration_survives_plain_values() -> None:
    config = EvolutionConfig().adjusted(weight_size=0.3, plastic=False)
    assert EvolutionConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"'mutation\.weight_sise'; did you mean 'weight_size'"):
        EvolutionConfig.from_dict({"mutation": {"weight_sise": 1.0}})


def test_statistics_are_plain_numbers_of_the_generation() -> None:
    run = evolution()
    assert run.statistics() == {"budget_left": 1.0}
    fitness = np.arange(40.0)
    run.tell(fitness)
    figures = run.statistics()
    assert figures["best"] == 39.0
    assert figures["median"] == 19.5
    assert figures["neurons"] == 3.0
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in figures.values())


def test_resumed_from_a_folder_the_run_is_the_same(tmp_path: Path) -> None:
    whole = evolution().run(6, folder=tmp_path / "whole")
    evolution().run(3, folder=tmp_path / "parts")
    resumed = evolution().run(6, folder=tmp_path / "parts")
    assert resumed.history == whole.history
    assert resumed.best == whole.best


@pytest.mark.parametrize("changes", [{"seed": 1}, {"population": 30}, {"tournament": 3}])
def test_a_state_of_another_run_is_refused(tmp_path: Path, changes: dict) -> None:
    evolution().run(1, folder=tmp_path)
    with pytest.raises(EvolutionStateError, match="this run has"):
        evolution(**changes).run(2, folder=tmp_path)


def test_a_checkpoint_that_is_none_of_an_evolution_is_refused(tmp_path: Path) -> None:
    run = evolution()
    state = run.state_dict()
    with pytest.raises(EvolutionStateError, match="seed is missing"):
        evolution().load_state_dict({})
    for name in ("genomes", "species", "champions", "config", "history"):
        with pytest.raises(EvolutionStateError):
            evolution().load_state_dict({key: value for key, value in state.items() if key != name})
    Checkpoints(tmp_path / "checkpoints").save(3, {"model": 1})
    with pytest.raises(EvolutionStateError):
        run.run(1, folder=tmp_path)


def test_packed_genomes_are_the_same_genomes() -> None:
    genomes = [split_edge(genome, i % 3) for i, genome in enumerate(evolution(10).ask())]
    assert unpack_genomes(pack_genomes(genomes)) == genomes
    assert unpack_genomes(pack_genomes([])) == []


def test_reporters_hear_of_every_generation(tmp_path: Path) -> None:
    console = Console(file=(tmp_path / "table").open("w"))  # as in a pipe: 80 columns
    reporters = [TableReporter(console), MetricsReporter(tmp_path, tensorboard=True)]
    result = evolution().run(3, reporters=reporters)
    console.file.close()
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert [line["best"] for line in lines] == [record["best"] for record in result.history]
    table = (tmp_path / "table").read_text().splitlines()
    assert len(table) == 4
    assert table[0].split() == [name for name in COLUMNS if name != "decided"]
    assert table[3].split()[-1] == str(result.history[-1]["episodes"])
    assert list((tmp_path / "tensorboard").iterdir())


def test_distances_are_none_between_equals_and_grow_with_what_differs() -> None:
    config = SpeciationConfig()
    genome = initial_genome(4, 2, keyed_numpy_generator(0, "x"))
    heavier = genome.replace(weight=genome.weight * 1.5)
    grown = split_edge(split_edge(genome, 0), 1)
    d = distances([genome, heavier, grown], [genome], config)[:, 0]
    assert d[0] == 0
    assert d[1] > 0
    assert d[2] == pytest.approx(config.disjoint * 4 / grown.n_edges)


@pytest.mark.parametrize("wanted", [4, 6, 8])
def test_species_cover_the_population_and_their_number_is_steered(wanted: int) -> None:
    genomes = evolution(120).ask()
    species, threshold, number = [], 0.8, 0
    counts = []
    for _ in range(30):
        species, threshold = speciate(genomes, species, threshold, number, SpeciationConfig(species=wanted))
        assert sorted(i for one in species for i in one.members) == list(range(120))
        number = max([number, *(one.number + 1 for one in species)])
        assert len({one.number for one in species}) == len(species) <= 2 * wanted
        counts.append(len(species))
    assert all(abs(count - wanted) <= 1 for count in counts[-15:])  # it comes to rest, and does not swing


def test_the_number_of_species_is_near_the_wanted_one_while_a_population_evolves() -> None:
    counts = np.array([record["species"] for record in evolution(120, species=6).run(60).history[15:]])
    assert abs(counts.mean() - 6) < 1
    assert ((counts >= 3) & (counts <= 10)).mean() > 0.9


def test_children_are_shared_by_rank_and_the_stagnant_have_none() -> None:
    fitness = np.arange(30.0)
    like = initial_genome(4, 2, keyed_numpy_generator(0, "x"))
    species = [Species(k, like, list(range(10 * k, 10 * k + 10)), 0.0, 10 * (k > 0)) for k in range(3)]
    numbers = offspring_numbers(species, fitness, 50, generation=12, stagnation=5)
    assert numbers[0] == 0
    assert sum(numbers) == 50
    assert numbers[2] > numbers[1] > 0
    np.testing.assert_array_equal(rank_score(fitness * 1e6 - 5), rank_score(fitness))
    assert SelectionConfig().survival <= 1


@pytest.mark.parametrize("episodes", [1, 7, 10, 46, 100, 1000])
@pytest.mark.parametrize("candidates", [0, 1, 2, 3, 4, 9])
def test_a_claim_costs_what_it_says(candidates: int, episodes: int) -> None:
    """What is lived where nobody falls under the target, so that a budget can be kept."""
    lived = 0

    def measure(chosen: list[int], first: int, count: int) -> np.ndarray:
        nonlocal lived
        lived += len(chosen) * count
        return np.ones((len(chosen), count))

    claim(range(candidates), 1.0, episodes, measure)
    assert lived == claim_cost(candidates, episodes)


def test_only_what_was_proven_is_held() -> None:
    """A score above a target is luck until a claim has shown it."""
    champions = Champions(proven=0.5)
    assert champions.holds(0.4)
    assert champions.holds(0.5)
    assert not champions.holds(0.51)
    assert not champions.holds(None)
    assert not Champions().holds(0.0)
