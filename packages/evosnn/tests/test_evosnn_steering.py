"""Agents that steer: what is trained and judged on what, and the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from evosnn.steering import (
    SteeringConfig,
    best_constant,
    compare,
    judge,
    named_task,
    new_agent,
    steer,
    train_agent,
)
from evosnn.steering_baselines import ConstantAction, RandomActions
from evosnn.steering_together import steer_together
from evosnn.what_pays import rank_correlation, what_pays
from scipy.stats import spearmanr

SMALL = SteeringConfig(
    train=("XOR",),
    test=("DelayedMatch",),
    population=4,
    generations=2,
    hold=1,
    evaluations=1,
    episodes=4,
    together=2,
    constants=2,
    seeds=2,
)


@pytest.mark.parametrize("kind", ["planner", "policy gradient"])
def test_a_training_that_was_interrupted_is_one_that_was_not(kind, tmp_path):
    lines, again = [], []
    whole = train_agent(new_agent(kind, SMALL, seed=1), SMALL, report=lines.append)
    half = SteeringConfig(**{**SMALL.__dict__, "episodes": 2})
    train_agent(new_agent(kind, half, seed=1), half, folder=tmp_path, report=again.append)
    # an agent's settings depend on the number of evolutions, so the second half goes by those of the whole
    if kind == "policy gradient":
        second = train_agent(new_agent(kind, SMALL, seed=1), SMALL, folder=tmp_path, report=again.append)
        assert lines == again
        observation = np.zeros(23, np.float32)
        assert whole.act(observation).tolist() == second.act(observation).tolist()
    assert [line["episode"] for line in lines] == [0, 1, 2, 3]


def test_everyone_is_judged_on_the_same_evolutions():
    agents = {"zero": ConstantAction((0.0,) * 6), "again": ConstantAction((0.0,) * 6), "random": RandomActions(0)}
    rows = judge(agents, SMALL, seed=3)
    found = {(row["agent"], row["number"]): row["return"] for row in rows}
    assert len(found) == len(rows) == 6
    assert all(found["zero", n] == found["again", n] for n in range(2))
    agents["random"] = RandomActions(0)
    assert judge(agents, SMALL, seed=3, done=rows[:4]) == rows  # a break changes nothing


def test_random_actions_are_spread_evenly():
    drawn = np.array([RandomActions(1).act(np.full(19, k / 7, np.float32)) for k in range(600)])
    shares = [(drawn == value).mean(0) for value in (-1, 0, 1)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)


def test_side_by_side_is_one_by_one():
    """Actions, episodes and returns of evolutions are the same whatever is steered beside them."""
    config = SteeringConfig(**{**SMALL.__dict__, "generations": 3, "hold": 2})
    agents, seeds = [RandomActions(k) for k in range(4)], [5, 5, 6, 7]
    together = steer_together(agents, config.environments("XOR", 4), seeds)
    for agent, seed, found in zip(agents, seeds, together, strict=True):
        env = config.environment("XOR")
        observation, _ = env.reset(seed=seed)
        rewards, over, info = [], False, {}
        while not over:
            observation, reward, terminated, truncated, info = env.step(agent.act(observation))
            rewards.append(reward)
            over = terminated or truncated
        assert found["rewards"] == rewards
        assert found["info"] == info


def test_what_learning_gains_is_told():
    """The best lose with their plasticity off in a maze that has to be learned; without plasticity nothing is lost."""
    gains = {}
    for rate in (0.0, 0.3):
        env = SteeringConfig(
            **{**SMALL.__dict__, "population": 24, "evaluations": 4, "learning_rate": rate}
        ).environment("TMaze trials=20")
        env.reset(seed=1)
        gains[rate] = env.history[0]["learning_gains"]
    assert gains[0.0] == 0
    assert gains[0.3] > 0.05


def test_the_return_is_the_improvement_less_the_cost():
    env = SMALL.environment("DelayedMatch")
    total, info = steer(ConstantAction((0.0,) * 6), env, 7)
    start = env.history[0]["best"]
    improvement = (info["best"] - start) / (env.target - start)
    lived = info["episodes"] / SMALL.population - 5 / 4  # all but the first generation's
    assert total == pytest.approx(improvement - SMALL.cost * lived)


def test_a_task_that_is_reached_at_once_returns_the_cost():
    """Scores beyond the target count as the target: the return is a share of what was missing."""
    env = SMALL.environment("DelayedMatch")
    env.target = 0.3  # below what anyone scores in the first generation
    env.reset(seed=0)
    _, reward, terminated, _, _ = env.step(np.zeros(6))
    assert terminated
    assert reward == pytest.approx(-SMALL.cost * 5 / 4)  # four lives, and one of the best without plasticity


def test_learning_rates_drift_as_they_are_steered_and_within_bounds():
    def rates(action, **changes):
        env = SteeringConfig(**{**SMALL.__dict__, "generations": 12, **changes}).environment("XOR")
        env.target = 2.0
        env.reset(seed=3)
        for _ in range(12):
            env.step(np.array([0, 0, 0, 0, action, 0]))
        return np.array([record["reward"] for record in env.history])

    kept, raised, lowered = rates(0), rates(1), rates(-1)
    assert raised[1] > 1.5 * kept[1] > 2 * lowered[1]  # the elite stays as it is
    assert raised.max() < 100 * np.exp(1.5) * 5  # one step beyond the bound, times what mutation adds
    assert lowered.min() > 1e-6 * np.exp(-1.5) / 5
    assert rates(1, learning_rate=0.0).max() == 0  # nobody learns: there is nothing to drift


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.integers(0, 6, 24).astype(float), rng.normal(size=24)
        assert rank_correlation(x, y + x) == pytest.approx(spearmanr(x, y + x)[0])
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0


def test_what_pays_tells_who_is_fit():
    """Fitness that grows with a genome's learning rate, or falls with it, is told by the sign."""
    env = SMALL.environment("XOR")
    env.reset(seed=0)
    genomes = env.running.ask()
    rate_P = np.array([genome.rule.reward for genome in genomes])
    assert what_pays(genomes, rate_P, None)["learning_pays"] == pytest.approx(1)
    assert what_pays(genomes, -rate_P, None)["learning_pays"] == pytest.approx(-1)
    figures = what_pays(genomes, np.array([1.0, 2.0, 3.0, 4.0]), 3.0)
    assert figures["success"] == 0.25
    assert np.isfinite(figures["size_pays"])


def test_a_name_may_hold_options():
    task = named_task("TMaze trials=40 reward_observed=true")
    assert task.settings() == {"name": "TMaze", "trials": 40, "reward_observed": True}
    with pytest.raises(ValueError, match="such as trials=40, got 'trials'"):
        named_task("TMaze trials")
    with pytest.raises(ValueError, match="does not take these options"):
        named_task("TMaze length=40")


def test_the_best_constant_is_one_that_was_tried():
    seen = []
    found = best_constant(SMALL, seed=0, report=seen.append)
    by_action = {line["constant"]: line["return"] for line in seen}
    assert len(by_action) == 2
    assert by_action[found.action] == max(by_action.values())


def test_intervals_hold_what_they_should():
    """Two tasks of unlike spread: means by hand; the interval of a normal sample has the width that theory gives."""
    rng = np.random.default_rng(0)
    n = 400
    rows = []
    for task, spread in (("a", 1.0), ("b", 3.0)):
        base = rng.normal(0, spread, n)
        for number in range(n):
            rows.append({"agent": "reference", "task": task, "number": number, "return": base[number]})
            rows.append({"agent": "better", "task": task, "number": number, "return": base[number] + 0.5})
    found = {(row["agent"], row["task"]): row for row in compare(rows, reference="reference")}
    gap = found["better", "all"]
    assert gap["difference"] == pytest.approx(0.5)
    assert gap["difference_high"] - gap["difference_low"] == pytest.approx(0, abs=1e-9)  # pairs cancel the spread
    own = found["reference", "all"]
    assert own["high"] - own["low"] == pytest.approx(2 * 1.96 * np.sqrt((1 + 9) / n) / 2, rel=0.15)
    with pytest.raises(ValueError, match="no rows of 'best'"):
        compare(rows, reference="best")
    with pytest.raises(ValueError, match="no row of"):
        compare(rows[:-1], reference="reference")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": ("XOR",), "test": ("XOR",)}, "none in both"),
        ({"train": ("Nowhere-v0",)}, "Nowhere-v0"),
        ({"constants": 3}, "power of two"),
        ({"episodes": 5}, "multiple of together"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"seeds": 1}, "seeds"),
        ({"cost": -1.0}, "cost"),
    ],
)
def test_bad_settings_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        SteeringConfig(**changes)
    with pytest.raises(ValueError, match="planner, policy gradient"):
        new_agent("dice", SMALL)
