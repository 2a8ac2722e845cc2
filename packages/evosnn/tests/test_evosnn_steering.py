"""Agents that steer: what is trained and judged on what, and the intervals."""

from __future__ import annotations

import numpy as np
import pytest
from evosnn.steering import (
    SteeringConfig,
    best_constant,
    compare,
    judge,
    new_agent,
    steer,
    train_agent,
)
from evosnn.steering_baselines import ConstantAction, RandomActions

SMALL = SteeringConfig(
    train=("XOR",), test=("DelayedMatch",), population=4, generations=2, evaluations=1, episodes=4, constants=2, seeds=2
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
        observation = np.zeros(19, np.float32)
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


def test_the_return_is_the_improvement_less_the_cost():
    env = SMALL.environment("DelayedMatch")
    total, info = steer(ConstantAction((0.0,) * 6), env, 7)
    start = env.history[0]["best"]
    improvement = (info["best"] - start) / (env.target - start)
    lived = info["episodes"] / SMALL.population - 1
    assert total == pytest.approx(improvement - SMALL.cost * lived)


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
        ({"seeds": 1}, "seeds"),
        ({"cost": -1.0}, "cost"),
    ],
)
def test_bad_settings_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        SteeringConfig(**changes)
    with pytest.raises(ValueError, match="planner, policy gradient"):
        new_agent("dice", SMALL)
