"""The closed loop: rows are individuals, however they are run.

Shapes: P individuals, K episodes.
"""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from evosnn.action_decoding import ActionDecoder
from evosnn.encoding import ObservationEncoder
from evosnn.evolution_config import EvolutionConfig
from evosnn.initial_genome import initial_genome
from evosnn.interface import Interface
from evosnn.policy import Policy
from evosnn.rollout import rollout
from evosnn.rule import Rule
from evosnn.tasks.task import Box, Discrete

FIELDS = ("score_PK", "return_PK", "steps_PK", "spikes_PK")


def population(interface, n, rule=None, seed=0):
    config = EvolutionConfig(rule=rule or Rule.reward_stdp(reward=0.01, direct=0.01, scaling=1e-4))
    make = [np.random.default_rng((seed, i)) for i in range(n)]
    sizes = interface.n_afferents, interface.n_outputs
    return [initial_genome(*sizes, rng, config, metadata=interface.metadata()) for rng in make]


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def select(result, p):
    return type(result)(**{name: getattr(result, name)[p] for name in (*FIELDS, "rate_PK")})


@pytest.mark.parametrize("task", ["CartPole-v1", "TMaze"])
def test_alone_equals_among_4096(task):
    """Plasticity on: an individual's episode is the same alone, in odd chunks, and among 4,096."""
    interface = Interface.for_task({"name": task, **({"trials": 20} if task == "TMaze" else {})}, steps_per_action=5)
    genomes = population(interface, 512) * 8
    seeds_PK = np.arange(4096)[:, None]
    whole = rollout(genomes, interface, seeds_PK)
    assert len(whole.spikes_PK.unique()) > 50, "too little goes on"
    for p in (0, 1777, 4095):
        assert same(rollout([genomes[p]], interface, [p]), select(whole, [p]))
    part = rollout(genomes[1000:1101], interface, seeds_PK[1000:1101], rows_at_once=37)
    assert same(part, select(whole, slice(1000, 1101)))


@pytest.mark.parametrize(
    ("encoding", "decoding"),
    [
        ("population", "count"),
        ({"kind": "rate", "max_rate": 0.7, "spiking": "bernoulli"}, "winner"),
        ("rate", {"kind": "rate", "decay": 0.7}),
    ],
)
def test_codes_keep_rows_apart(encoding, decoding):
    interface = Interface.for_task("Acrobot-v1", encoding=encoding, decoding=decoding, steps_per_action=4)
    interface.task.max_steps = 60
    genomes = population(interface, 23)
    seeds_PK = np.arange(23 * 3).reshape(23, 3)
    whole = rollout(genomes, interface, seeds_PK)
    assert whole.score_PK.shape == (23, 3)
    assert same(rollout(genomes, interface, seeds_PK, rows_at_once=5), whole)
    assert same(rollout([genomes[7]], interface, seeds_PK[7:8]), select(whole, [7]))
    assert same(rollout([genomes[7]], interface, [int(seeds_PK[7, 1])]), select(whole, ([[7]], [[1]])))


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "MountainCar-v0"])
def test_policy_in_the_environment_is_the_rollout(name):
    """The same return, step for step, from Gymnasium's own environment."""
    interface = Interface.for_task(name, steps_per_action=6)
    genomes = population(interface, 6)
    result = rollout(genomes, interface, [3])
    best = int(result.spikes_PK[:, 0].argmax())
    for record in (False, True):
        policy = Policy(genomes[best], record=record)
        env = gymnasium.make(name)
        observation, _ = env.reset(seed=3)
        reward, total, steps, over = 0.0, 0.0, 0, False
        policy.reset()
        while not over:
            observation, reward, terminated, truncated, _ = env.step(policy(observation, float(reward)))
            total, steps, over = total + float(reward), steps + 1, terminated or truncated
        assert (total, steps) == (float(result.return_PK[best, 0]), int(result.steps_PK[best, 0]))
        if record:
            assert sum(int(part.spikes_TPN.sum()) for part in policy.recordings) == int(result.spikes_PK[best, 0])


def test_frozen_and_plastic_differ_only_by_plasticity():
    """In the T-maze reward can act through plasticity only: frozen networks do not know which side is rewarded."""
    frozen = Interface.for_task({"name": "TMaze", "trials": 20}, steps_per_action=5, plastic=False)
    genomes = population(frozen, 64)
    seeds = [s for s in range(20) if frozen.task.reset([s])[0]["side"][0, 0] == 0][:1]
    others = [s for s in range(20) if frozen.task.reset([s])[0]["side"][0, 0] == 1][:1]
    first, second = rollout(genomes, frozen, seeds), rollout(genomes, frozen, others)
    assert torch.equal(first.spikes_PK, second.spikes_PK)
    plastic = Interface.for_task({"name": "TMaze", "trials": 20}, steps_per_action=5)
    first, second = rollout(genomes, plastic, seeds), rollout(genomes, plastic, others)
    assert not torch.equal(first.spikes_PK, second.spikes_PK)


def test_rollout_refuses_what_does_not_fit():
    interface = Interface.for_task("CartPole-v1")
    other = population(Interface.for_task("Acrobot-v1"), 2)
    with pytest.raises(ValueError, match=r"CartPole-v1 needs 8 afferents and 2 outputs.*12 and 3"):
        rollout(other, interface, [0])
    genomes = population(interface, 2)
    for seeds, words in (
        ([], "at least one seed"),
        (np.zeros((3, 1), int), "2 individuals"),
        ([[0, 1]], "2 individuals"),
        ([-1], "got -1"),
        ([0.5], "whole numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            rollout(genomes, interface, seeds)  # pyright: ignore[reportArgumentType]
    of_each = [[3, 4], [5, 6]]
    assert torch.equal(
        rollout(genomes, interface, of_each).score_PK, rollout(genomes, interface, np.array(of_each)).score_PK
    )
    wrong: Any
    for wrong in ({"steps_per_action": 2.5}, {"step_ms": np.inf}, {"plastic": "no"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Interface.for_task("CartPole-v1", **wrong)
    with pytest.raises(ValueError, match="lacks decoder, encoder, task"):
        Policy(genomes[0].replace(metadata={}))
    with pytest.raises(ValueError, match="must be finite"):
        Policy(genomes[0])([0.0, np.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match="4 values"):
        Policy(genomes[0])([0.0])


def test_rate_code_is_linear_and_signed():
    encoder = ObservationEncoder(low=(-2.0, 0.0), high=(2.0, 1.0))
    drive_BC = encoder.drive(torch.tensor([[1.0, 0.5], [-1.0, 0.0], [9.0, 1.0]]))
    assert drive_BC.tolist() == [[0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 1.0], [1.0, 1.0, 0.0, 0.0]]


def test_population_code_peaks_at_its_centres():
    encoder = ObservationEncoder(low=(-2.0,), high=(2.0,), kind="population", per_value=5, max_rate=0.5)
    drive_BC = encoder.drive(torch.tensor([[-2.0], [-1.0], [0.0], [1.0], [5.0]]))
    assert torch.equal(drive_BC.argmax(1), torch.arange(5))
    torch.testing.assert_close(drive_BC.diagonal(), torch.full((5,), 0.5))
    torch.testing.assert_close(drive_BC[2], 0.5 * torch.exp(-0.5 * torch.arange(-2.0, 3.0) ** 2))
    values = torch.linspace(-2, 2, 41)[:, None]
    together = encoder.drive(values)
    assert all(torch.equal(encoder.drive(values[i : i + 1])[0], together[i]) for i in range(41))


def test_decoders_choose_as_said():
    counts, first = torch.tensor([[2, 2, 0], [1, 3, 0], [0, 0, 0]]), torch.tensor([[5, 4, 9], [0, 6, 9], [9, 9, 9]])
    actions = Discrete(3)
    assert ActionDecoder(kind="count")(actions, counts, first, 9).tolist() == [1, 1, 0]
    assert ActionDecoder(kind="winner")(actions, counts, first, 9).tolist() == [1, 0, 0]
    decoder = ActionDecoder(kind="rate", decay=0.5)
    trace = decoder.initial_trace(3, actions)
    assert trace is not None
    decoder(actions, torch.tensor([[3, 0, 0]] * 3), first, 9, trace)
    assert decoder(actions, counts, first, 9, trace).tolist() == [0, 1, 0]
    assert trace.tolist() == [[3.5, 2.0, 0.0], [2.5, 3.0, 0.0], [1.5, 0.0, 0.0]]


def test_push_and_pull_reach_the_bounds():
    actions = Box((-2.0, 0.0), (2.0, 1.0))
    counts = torch.tensor([[5, 0, 0, 5], [0, 10, 10, 0], [2, 2, 0, 0]])
    action = ActionDecoder(full_rate=0.5)(actions, counts, torch.zeros_like(counts), 10)
    assert action.tolist() == [[2.0, 0.0], [-2.0, 1.0], [0.0, 0.5]]
    with pytest.raises(ValueError, match="winner chooses among Discrete"):
        Interface.for_task("Pendulum-v1", decoding="winner")
