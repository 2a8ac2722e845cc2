"""The batched classic tasks are Gymnasium's environments, bit for bit.

Shapes: B rows, O observation values.
"""

import gymnasium
import numpy as np
import pytest
import torch
from evosnn.tasks.numpy_streams import uniform_rows
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Box, rows_of
from hypothesis import given
from hypothesis import strategies as st

CLASSIC = ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCar-v0"]
SEEDS = [0, 7, 2**32 + 5]


def actions_of(task, n_rows, n_steps, seed=0):
    """Random actions, one tensor a step."""
    rng = np.random.default_rng(seed)
    if isinstance(task.actions, Box):
        low, high = task.actions.low[0] * 1.1, task.actions.high[0] * 1.1
        return torch.from_numpy(rng.uniform(low, high, (n_steps, n_rows, task.actions.size)).astype(np.float32))
    # an action is held for some steps, so that Acrobot and MountainCar get somewhere
    held = rng.integers(0, task.actions.n, (n_steps // 5 + 1, n_rows)).repeat(5, axis=0)[:n_steps]
    return torch.from_numpy(held)


@pytest.mark.parametrize("name", CLASSIC)
def test_500_actions_as_gymnasium(name):
    """Observation, reward and end of every step; where an episode ends, the next one begins with the next seed."""
    task = make_task(name)
    actions = actions_of(task, len(SEEDS), 500)
    for row, seed in enumerate(SEEDS):
        env = gymnasium.make(name)
        expected, _ = env.reset(seed=seed)
        state, obs_BO = task.reset([seed])
        for t in range(500):
            np.testing.assert_array_equal(obs_BO[0].numpy(), expected)
            action_B = actions[t, row : row + 1]
            native = action_B[0].numpy() if isinstance(task.actions, Box) else int(action_B[0])
            expected, reward, terminated, truncated, _ = env.step(native)
            state, obs_BO, reward_B, terminated_B, truncated_B = task.step(state, action_B)
            got = (reward_B.item(), terminated_B.item(), truncated_B.item())
            assert got == (float(reward), terminated, truncated), f"seed {seed}, action {t}"
            if terminated or truncated:
                seed += 1
                expected, _ = env.reset(seed=seed)
                state, obs_BO = task.reset([seed])
        env.close()


@pytest.mark.parametrize("name", CLASSIC)
def test_one_long_episode_as_gymnasium(name):
    """Without a limit of steps: 500 actions in one episode, where chaos would show the last bit."""
    task = make_task(name)
    task.max_steps = 10_000
    env = gymnasium.make(name).unwrapped
    expected, _ = env.reset(seed=3)
    state, obs_BO = task.reset([3])
    rng = np.random.default_rng(3)
    for _ in range(500):
        np.testing.assert_array_equal(obs_BO[0].numpy(), expected)
        if isinstance(task.actions, Box):
            action = rng.uniform(-2, 2, 1).astype(np.float32)
            expected = env.step(action)[0]
        else:  # keep the cart from falling, so that its episode is long too
            action = int(expected[2] + 0.3 * expected[3] > 0) if name == "CartPole-v1" else int(rng.integers(3))
            expected = env.step(action)[0]
        action_B = torch.from_numpy(action)[None] if isinstance(action, np.ndarray) else torch.tensor([action])
        state, obs_BO, _, terminated_B, _ = task.step(state, action_B)
        assert not terminated_B.any() or name == "MountainCar-v0"
        if terminated_B.any():
            break


@pytest.mark.parametrize("name", [*CLASSIC, "HiddenCartPole", "XOR", "TMaze", "DelayedMatch"])
def test_row_does_not_depend_on_batch(name):
    """Rows alone, in odd numbers or among many: the same bits, also after others ended."""
    task = make_task(name)
    n_rows, n_steps = 67, 120
    actions = actions_of(task, n_rows, n_steps)
    whole = list(run(task, list(range(n_rows)), actions))
    for rows in ([5], [66, 3, 40], list(range(13, 32))):
        for t, part in enumerate(run(task, rows, actions[:, rows])):
            for a, b in zip(part, whole[t], strict=True):
                assert torch.equal(a, b[rows])


def run(task, seeds, actions):
    state, obs_BO = task.reset(seeds)
    yield (obs_BO,)
    for action_B in actions:
        state, *result = task.step(state, action_B)
        yield tuple(result)


def test_rows_that_ended_stay():
    task = make_task("CartPole-v1")
    state, obs_BO = task.reset(range(5))
    for _ in range(60):
        before, seen_BO = state, obs_BO
        state, obs_BO, reward_B, *_ = task.step(state, torch.ones(5, dtype=torch.int64))
        assert torch.equal(obs_BO[before["over"]], seen_BO[before["over"]])
        assert torch.equal(reward_B, (~before["over"]).double())
    assert state["over"].all()


def test_rows_can_be_taken_out():
    task = make_task("Acrobot-v1")
    actions = actions_of(task, 9, 30)
    keep = torch.tensor([7, 1, 4])
    whole, _ = task.reset(range(9))
    part = rows_of(whole, keep)
    for action_B in actions:
        whole, part = task.step(whole, action_B)[0], task.step(part, action_B[keep])[0]
    assert torch.equal(task.observe(part), task.observe(whole)[keep])


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8), st.integers(0, 9))
def test_streams_are_those_of_numpy(seeds, n):
    expected = [np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).random(n) for seed in seeds]
    np.testing.assert_array_equal(uniform_rows(seeds, n), np.array(expected).reshape(len(seeds), n))
