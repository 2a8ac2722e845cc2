"""The registered environments: what Gymnasium and stable-baselines3 demand, and that a seed decides everything.

Shapes: B environments.
"""

import subprocess
import sys
from typing import Any

import evosnn  # noqa: F401 - registers
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

SMALL = {
    "evosnn/Steer-v0": {"population": 6, "generations": 3, "task": "XOR"},
    "evosnn/Grow-v0": {"steps": 6, "episodes": 2, "task": "XOR"},
    "evosnn/TMaze-v0": {"trials": 20},
    "evosnn/HiddenCartPole-v0": {},
}
EVERY = pytest.mark.parametrize("env_id", SMALL)
BATCHED = pytest.mark.parametrize("env_id", ["evosnn/TMaze-v0", "evosnn/HiddenCartPole-v0"])


def make(env_id, **options) -> Any:
    return gymnasium.make(env_id, **options)


def episode(env, seed, n=8):
    """Observations, rewards, ends and infos of n random actions."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    happened: list[Any] = [(observation.tolist(), info)]
    for _ in range(n):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        happened.append((observation.tolist(), reward, terminated, truncated, info))
        if terminated or truncated:
            observation, info = env.reset()
            happened.append((observation.tolist(), info))
    return happened


@EVERY
def test_gymnasium_check(env_id):
    """Warnings are errors here; rendering in all modes is part of it."""
    env = make(env_id, **SMALL[env_id])
    check_env(env.unwrapped)
    env.close()


@EVERY
def test_stable_baselines3_check(env_id):
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    check_for_sb3(make(env_id, **SMALL[env_id]).unwrapped, warn=True, skip_render_check=True)


@EVERY
def test_seed_decides_everything(env_id):
    first = episode(make(env_id, **SMALL[env_id]), 5)
    assert episode(make(env_id, **SMALL[env_id]), 5) == first
    assert episode(make(env_id, **SMALL[env_id]), 6) != first


@EVERY
def test_make_vec(env_id):
    """Rows of a synchronous vector are the environments alone, seeded seed + i."""
    envs = gymnasium.make_vec(env_id, num_envs=2, vectorization_mode="sync", **SMALL[env_id])
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, _ = envs.reset(seed=3)
    for i in range(2):
        alone, _ = make(env_id, **SMALL[env_id]).reset(seed=3 + i)
        np.testing.assert_array_equal(observation[i], alone)
    observation, reward, *_ = envs.step(envs.action_space.sample())
    assert envs.observation_space.contains(observation)
    assert np.isfinite(reward).all()
    envs.close()


@BATCHED
def test_batched_vector_is_the_synchronous_one(env_id):
    """Through ends and new episodes."""
    options = SMALL[env_id]
    batched = gymnasium.make_vec(env_id, num_envs=5, **options)
    assert "Sync" not in type(batched.unwrapped).__name__
    assert batched.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    one_by_one = gymnasium.make_vec(env_id, num_envs=5, vectorization_mode="sync", **options)
    rng = np.random.default_rng(0)
    a, b = batched.reset(seed=9), one_by_one.reset(seed=9)
    ends = 0
    for _ in range(150):
        action_B = rng.integers(0, 2, 5)
        for x, y in zip(a[:4], b[:4], strict=True):
            if not isinstance(x, dict):
                np.testing.assert_array_equal(x, y)
        a, b = batched.step(action_B), one_by_one.step(action_B)
        ends += int(a[2].sum())
    assert ends >= 5
    one_by_one.close()


@BATCHED
def test_a_step_after_the_end_is_refused(env_id):
    env = make(env_id, **SMALL[env_id]).unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(0)
    for seed in range(2):
        env.reset(seed=seed)
        while not any(env.step(0)[2:4]):
            pass
        with pytest.raises(gymnasium.error.ResetNeeded, match="has ended"):
            env.step(0)


@EVERY
def test_renders_what_happens(env_id):
    env = make(env_id, render_mode="rgb_array", **SMALL[env_id])
    env.reset(seed=1)
    first = env.render()
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert len(np.unique(first.reshape(-1, 3), axis=0)) >= 3
    env.step(env.action_space.sample() if env_id != "evosnn/Grow-v0" else 5)
    assert (env.render() != first).any()
    env = make(env_id, render_mode="ansi", **SMALL[env_id])
    env.reset(seed=1)
    assert any(figure.isdigit() for figure in env.render())


def test_hidden_cart_pole_is_cart_pole():
    env, whole = make("evosnn/HiddenCartPole-v0"), make("CartPole-v1")
    observation, expected = env.reset(seed=4)[0], whole.reset(seed=4)[0]
    over = False
    while not over:
        np.testing.assert_array_equal(observation, expected[[0, 2]])
        action = int(env.action_space.sample())
        observation, *end = env.step(action)
        expected, *expected_end = whole.step(action)
        assert end == expected_end
        over = end[1] or end[2]


def test_steering_return_is_the_improvement():
    """The rewards sum to the share of what was missing, less the cost of the episodes."""
    env = make("evosnn/Steer-v0", task="XOR", population=8, generations=4, cost=0.05, target=2.0)
    _, info = env.reset(seed=2)
    first, lived, total = info["best"], info["episodes"], 0.0
    env.action_space.seed(0)
    observation, truncated = None, False
    while not truncated:
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        total += reward
        assert not terminated
    gain = (info["best"] - first) / (2.0 - first)
    assert total == pytest.approx(gain - 0.05 * (info["episodes"] - lived) / 8)
    assert info["generation"] == 4
    assert observation is not None
    assert observation[17] == 0


def test_no_action_is_the_plain_evolution():
    """Action 0 changes nothing: the same course as `Evolution` alone."""
    from evosnn.evolution import Evolution
    from evosnn.task_evaluator import suitable_config

    env = make("evosnn/Steer-v0", task="XOR", population=8, generations=3, target=2.0)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros(6, np.float32))
    steered = env.unwrapped.evolution
    plain = Evolution(task="XOR", population=8, seed=steered.seed, config=suitable_config("XOR"))
    for _ in range(3):
        plain.step()
    assert steered.history == plain.history
    assert steered.ask() == plain.ask()


def test_growing_pays_for_wire():
    env = make("evosnn/Grow-v0", task="XOR", steps=20, episodes=1, wiring_cost=0.01, target=5.0)
    _, info = env.reset(seed=3)
    first, total = info, 0.0
    for action in (1, 2, 1, 5, 6, 4, 3, 7, 0):
        _, reward, *_, info = env.step(action)
        total += reward
    gain = (info["fitness"] - first["fitness"]) / (5.0 - first["fitness"])
    assert total == pytest.approx(gain - 0.01 * (info["wiring"] - first["wiring"]))
    assert info["neurons"] > first["neurons"]
    _, _, _, _, info = env.step(8)
    assert info["fitness"] == info["best"]


@pytest.mark.parametrize(
    ("env_id", "options", "words"),
    [
        ("evosnn/Steer-v0", {"task": "CartPole"}, "did you mean 'CartPole-v"),
        ("evosnn/Steer-v0", {"population": 1}, "population >= 2"),
        ("evosnn/Steer-v0", {"render_mode": "human"}, "render_mode must be one of"),
        ("evosnn/Grow-v0", {"steps": 0}, "steps >= 1"),
        ("evosnn/TMaze-v0", {"trials": 30}, "multiple of 4"),
    ],
)
def test_refuses_bad_arguments(env_id, options, words):
    from evosnn.envs.registration import ENTRY_POINTS

    module, name = ENTRY_POINTS[env_id].split(":")
    maker = getattr(__import__(module, fromlist=[name]), name)
    with pytest.raises(ValueError, match=words):
        maker(**options)


def test_import_registers_without_torch():
    code = (
        "import sys, evosnn, gymnasium; assert 'torch' not in sys.modules; "
        "assert 'evosnn/Steer-v0' in gymnasium.registry"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
