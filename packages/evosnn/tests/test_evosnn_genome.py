"""Genomes: what they promise, and their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ddp_utils import FileFormatError, keyed_numpy_generator, read_tensor_file, write_tensor_file
from evosnn.distance_connectivity import connection_probability, pairwise_distance
from evosnn.evolution_config import EvolutionConfig, StartConfig
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome, unit_weight
from evosnn.rule import Rule
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

METADATA = {"task": {"name": "XOR"}, "note": "π"}


def drawn(index: int = 0, **options: object) -> Genome:
    return initial_genome(4, 2, keyed_numpy_generator(0, "test", index), EvolutionConfig(**options), METADATA)  # type: ignore[arg-type]


def test_a_genome_starts_with_three_neurons_or_as_many_as_there_are_outputs() -> None:
    assert drawn().n_neurons == 3
    assert initial_genome(4, 6, keyed_numpy_generator(0, "test")).n_neurons == 6


def test_with_a_reach_neurons_connect_by_distance_and_kind() -> None:
    """As often as P(D) says, over many genomes; afferents as before, and without a reach wherever they lie."""
    config = EvolutionConfig(start=StartConfig(neurons=10, reach=1.0))
    found, expected, variance = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    for index in range(200):
        genome = initial_genome(4, 2, keyed_numpy_generator(0, "reach", index), config)
        apart_NN = pairwise_distance(genome.position, genome.position)
        excites_N = genome.sign > 0
        chance_NN = connection_probability(apart_NN, excites_N, excites_N, reach=1.0)
        there_NN = np.zeros((10, 10), bool)
        own = genome.source >= 4
        there_NN[genome.source[own] - 4, genome.target[own]] = True
        for near in (0, 1):
            for excites in (0, 1):
                cell_NN = ((apart_NN < 1.0) == near) & (excites_N == excites)[:, None] & ~np.eye(10, dtype=bool)
                found[near, excites] += there_NN[cell_NN].sum()
                expected[near, excites] += chance_NN[cell_NN].sum()
                variance[near, excites] += (chance_NN * (1 - chance_NN))[cell_NN].sum()
    assert (np.abs(found - expected) < 4 * np.sqrt(variance)).all()
    assert (expected > 50).all()


def test_a_saved_genome_is_loaded_as_it_was(tmp_path: Path) -> None:
    genome = drawn(rule=Rule.mstdpet())
    genome.save(tmp_path / "a.genome")
    loaded = Genome.load(tmp_path / "a.genome")
    assert loaded == genome
    assert loaded.metadata == METADATA
    assert loaded.rule == genome.rule
    assert all(np.array_equal(getattr(loaded, name), getattr(genome, name)) for name in ("weight", "delay", "tau_m"))


def test_the_same_genome_gives_the_same_bytes(tmp_path: Path) -> None:
    drawn().save(tmp_path / "a")
    drawn().save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrays_of_a_genome_cannot_be_changed() -> None:
    weight = np.array(drawn().weight)
    genome = drawn().replace(weight=weight)
    weight[0] = 7.0
    assert genome.weight[0] != 7.0
    with pytest.raises(ValueError, match="read-only"):
        genome.weight[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.array([np.nan])}, "weight must have shape"),
        ({"tau_m": np.array([1.0, -1.0, 1.0])}, r"tau_m must lie in"),
        ({"tau_m": np.array([1.0, np.nan, 1.0])}, r"tau_m must lie in"),
        ({"sign": np.array([0, 1, 1])}, r"sign must be \+1 or -1"),
        ({"neuron_id": np.array([4, 4, 5])}, "twice"),
        ({"neuron_id": np.array([3, 4, 5])}, "neuron_id must lie in"),
        ({"is_output": np.array([True, False, True])}, "first 2 neurons"),
        ({"n_outputs": 4}, "outputs 1 to the number of neurons"),
        ({"refractory": np.array([0.0, 1.5, 0.0])}, "refractory must hold whole numbers"),
        ({"refractory": np.array([0, 2**32, 0])}, "refractory must hold whole numbers"),
        ({"sign": np.array([1.0, np.nan, 1.0])}, "sign must hold whole numbers"),
    ],
)
def test_impossible_genomes_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn().replace(**changes)


@pytest.mark.parametrize(("name", "value"), [("source", 7), ("target", 3), ("delay", 0), ("delay", 63)])
def test_edges_end_where_there_is_something(name: str, value: int) -> None:
    values = np.array(getattr(drawn(), name))
    values[0] = value
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        drawn().replace(**{name: values})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_the_named_error_comes_out_of_a_damaged_file(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "a.genome"
    drawn().save(path)
    content = bytearray(path.read_bytes())
    match data.draw(st.sampled_from(["flip", "cut", "insert", "replace"])):
        case "flip":
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            del content[data.draw(st.integers(0, len(content) - 1)) :]
        case "insert":
            at = data.draw(st.integers(0, len(content)))
            content[at:at] = data.draw(st.binary(min_size=1, max_size=64))
        case "replace":
            content[:] = data.draw(st.binary(max_size=256))
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        Genome.load(path)


def rewritten(path: Path, *, version: int = 1, **changes: object) -> None:
    drawn().save(path)
    tensors, facts = read_tensor_file(path, kind="evosnn.genome", version=1)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    for name, value in changes.items():
        if name in facts:
            facts[name] = value
        elif value is None:
            del tensors[name]
        else:
            tensors[name] = tensors[name] * value  # type: ignore[operator]
    write_tensor_file(path, tensors, kind="evosnn.genome", version=version, metadata=facts)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"weight": None},
        {"weight": float("nan")},
        {"delay": 0},
        {"delay": 1.0},  # another type
        {"n_outputs": 3},
        {"n_outputs": "2"},
        {"n_afferents": 10**9},
        {"rule": {}},
        {"rule": {"w_max": 1.0, "unknown": 1.0}},
        {"rule": 7},
        {"metadata": 7},
    ],
)
def test_files_of_another_version_or_with_impossible_content_are_refused(changes: dict, tmp_path: Path) -> None:
    rewritten(tmp_path / "a.genome", **changes)
    with pytest.raises(FileFormatError, match=r"a\.genome"):
        Genome.load(tmp_path / "a.genome")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.genome"):
        Genome.load(tmp_path / "gone.genome")


@pytest.mark.parametrize(("tau_m", "tau_s"), [(20.0, 5.0), (5.0, 20.0), (3.0, 3.0)])
def test_the_unit_weight_holds_a_neuron_at_its_threshold(tau_m: float, tau_s: float) -> None:
    """One spike every step, by brute force at 1/200 of the step."""
    weight = float(unit_weight(np.array([tau_m]), np.array([tau_s]), np.array([1.5]))[0])
    membrane = current = 0.0
    fine = 1 / 200
    for _ in range(400):
        for _ in range(200):
            membrane += fine * (current - membrane) / tau_m
            current -= fine * current / tau_s
        current += weight
    # the membrane's drive is the current per tau_m: P21 is its exact integral over a step
    assert membrane == pytest.approx(1.5, rel=0.01)
