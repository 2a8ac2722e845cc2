"""Search, targets and training of the planner, on tasks whose answer is computed."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from ddp_utils import FileFormatError
from evosnn.action_set import ActionSet
from evosnn.agent import load_agent, play
from evosnn.muzero import MuZero, MuZeroConfig, SearchConfig
from evosnn.muzero.mcts import Node, Step, Tree, ValueBounds, puct, search
from evosnn.muzero.networks import Networks, ObservationScale, scale_gradient
from evosnn.muzero.replay import Episode, Replay, n_step_target
from evosnn.muzero.value_transform import Support, inverse_value_transform, value_transform
from evosnn.policy_gradient import PolicyGradient, PolicyGradientConfig, advantages, advantages_in_group
from hypothesis import given, settings
from hypothesis import strategies as st

STATES, DISCOUNT, HORIZON = 4, 0.9, 8
NO_REWARD, GREAT_REWARD = 0.0, 1.0


def chain(state: int, action: int) -> tuple[int, float, bool]:
    """Four states in a row: a trap behind the first, a reward behind the last; both end it."""
    if state == 0 and action == 0:
        return state, NO_REWARD, True
    if state == STATES - 1 and action == 1:
        return state, GREAT_REWARD, True
    return min(max(state + 2 * action - 1, 0), STATES - 1), 0.0, False


def value_iteration() -> tuple[np.ndarray, np.ndarray]:
    """Values (STATES,) and best actions of the chain."""
    value, q = np.zeros(STATES), np.zeros((STATES, 2))
    for _ in range(200):
        q = np.zeros((STATES, 2))
        for state in range(STATES):
            for action in range(2):
                after, reward, over = chain(state, action)
                q[state, action] = reward + (0 if over else DISCOUNT * value[after])
        value = q.max(1)
    return value, q.argmax(1)


class ExactModel:
    """The chain itself as a model; it knows rewards and nothing of values. The state past the end is -1."""

    def initial(self, observation_BO: torch.Tensor) -> Step:
        n = len(observation_BO)
        return Step(observation_BO, torch.zeros(n), torch.zeros(n, 1, 2), torch.zeros(n))

    def recurrent(self, latent_BL: torch.Tensor, action_BF: torch.Tensor) -> Step:
        states, rewards = [], []
        for (state,), action in zip(latent_BL.tolist(), action_BF.argmax(-1).tolist(), strict=True):
            after, reward, over = (-1, 0.0, True) if state < 0 else chain(int(state), action)
            states.append([-1.0 if over else float(after)])
            rewards.append(reward)
        n = len(rewards)
        return Step(torch.tensor(states), torch.tensor(rewards), torch.zeros(n, 1, 2), torch.zeros(n))


class Chain(gym.Env):
    """The chain as an environment, for HORIZON steps at most."""

    observation_space: ClassVar[Any] = gym.spaces.Box(0, 1, (STATES + 1,), np.float32)
    action_space: ClassVar[Any] = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.left = int(self.np_random.integers(STATES)), HORIZON
        return self._observation(), {}

    def _observation(self):
        return np.array([*np.eye(STATES)[self.state], self.left / HORIZON], np.float32)

    def step(self, action):
        self.state, reward, over = chain(self.state, int(action))
        self.left -= 1
        return self._observation(), reward, over, self.left == 0, {}


class Target(gym.Env):
    """One step: the first value of the action should be what is seen; the second is of no effect."""

    observation_space: ClassVar[Any] = gym.spaces.Box(-1, 1, (1,), np.float32)
    action_space: ClassVar[Any] = gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.sign = float(self.np_random.choice([-1.0, 1.0]))
        return np.array([self.sign], np.float32), {}

    def step(self, action):
        return np.array([self.sign], np.float32), 1 - abs(float(action[0]) - self.sign), True, False, {}


@settings(deadline=None)
@given(st.floats(-1e6, 1e6))
def test_the_transform_is_undone(x):
    value = torch.tensor(x, dtype=torch.float64)
    assert inverse_value_transform(value_transform(value)).item() == pytest.approx(x, rel=1e-8, abs=1e-8)


def test_the_transform_by_hand():
    assert value_transform(torch.tensor(8.0)).item() == pytest.approx(2.008)
    assert value_transform(torch.tensor(-3.0)).item() == pytest.approx(-1.003)


@settings(deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=1, max_size=5))
def test_a_support_holds_values(values):
    support = Support(limit=3.0, bins=31)
    weights = support.encode(torch.tensor(values))
    assert torch.allclose(weights.sum(-1), torch.ones(len(values)), atol=1e-5)
    assert ((weights > 0).sum(-1) <= 2).all()
    decoded = support.decode((weights + 1e-30).log())
    torch.testing.assert_close(decoded, torch.tensor(values), rtol=1e-3, atol=1e-4)


def test_puct_by_hand():
    node = Node(torch.zeros(1), np.array([[0], [1]]), np.array([0.3, 0.7]))
    node.visits_K[:], node.total_K[:] = (3, 1), (6.0, 1.0)
    scores = puct(node, ValueBounds(0.0, 4.0), SearchConfig())
    explore = 1.25 + math.log((4 + 19652 + 1) / 19652)
    assert scores[0] == pytest.approx(2 / 4 + 0.3 * 2 / 4 * explore)
    assert scores[1] == pytest.approx(1 / 4 + 0.7 * 2 / 2 * explore)
    node.visits_K[1], node.total_K[1], node.value = 0, 0.0, 2.0
    explore = 1.25 + math.log((3 + 19652 + 1) / 19652)
    assert puct(node, ValueBounds(0.0, 4.0), SearchConfig())[1] == pytest.approx(
        (2 + 6) / 4 / 4 + 0.7 * math.sqrt(3) * explore
    )


def test_returns_are_carried_back():
    """Two steps deep: each action's return is its reward and the discounted rest."""
    tree = Tree(Node(torch.zeros(1), np.array([[0]]), np.ones(1)))
    config = SearchConfig(discount=0.5)
    for reward, value in ((1.0, 4.0), (2.0, 8.0)):
        tree.descend(config)
        tree.add(Node(torch.zeros(1), np.array([[0]]), np.ones(1), value, reward), config.discount)
    root, child = tree.nodes[:2]
    assert child.total_K[0] == 2.0 + 0.5 * 8.0
    assert root.total_K[0] == (1.0 + 0.5 * 4.0) + (1.0 + 0.5 * 6.0)


def test_search_in_the_true_model_is_value_iteration():
    value, best = value_iteration()
    config = SearchConfig(simulations=1000, discount=DISCOUNT)
    observation_BO = torch.arange(STATES).float().unsqueeze(-1)
    rngs = [np.random.default_rng(row) for row in range(STATES)]
    results = search(ExactModel(), observation_BO, ActionSet(1, 2), config, rngs, explore=False)
    assert [result.choose()[0] for result in results] == best.tolist()
    np.testing.assert_allclose([result.value for result in results], value, rtol=0.1)


def test_trees_side_by_side_are_trees_alone():
    config = SearchConfig(simulations=40, discount=DISCOUNT)
    observation_BO = torch.arange(STATES).float().unsqueeze(-1)
    actions = ActionSet(1, 2)

    def rng(row):
        return np.random.default_rng(row)

    together = search(ExactModel(), observation_BO, actions, config, [rng(row) for row in range(STATES)])
    for row, found in enumerate(together):
        alone = search(ExactModel(), observation_BO[row : row + 1], actions, config, [rng(row)])[0]
        assert (alone.visits_K == found.visits_K).all()
        assert alone.value == found.value


@settings(deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=8), st.integers(1, 10), st.data())
def test_n_step_targets(rewards, n, data):
    """Beside the sum written out over zeros behind the end."""
    values = [float(i) for i in range(1, len(rewards) + 1)]
    t = data.draw(st.integers(0, len(rewards) - 1))
    long_rewards, long_values = rewards + [0.0] * 20, values + [0.0] * 20
    expected = sum(0.8**i * long_rewards[t + i] for i in range(n)) + 0.8**n * long_values[t + n]
    assert n_step_target(rewards, values, t, n=n, discount=0.8) == pytest.approx(expected)


def test_replay_keeps_what_follows_and_ends():
    steps = 3
    episode = Episode(
        np.arange(steps, dtype=np.float32)[:, None],
        np.arange(steps)[:, None],
        np.array([1.0, 2.0, 4.0]),
        np.zeros(steps),
        np.zeros((steps, 2, 1), np.int64),
        np.full((steps, 2), 0.5),
    )
    replay = Replay(10)
    replay.add(episode)
    batch = replay.sample(50, np.random.default_rng(0), unroll=2, n=9, discount=0.5, choices=3)
    for row in range(50):
        t = int(batch.observation_BO[row, 0])
        later = [1.0, 2.0, 4.0, 0.0, 0.0, 0.0]
        assert batch.reward_BU[row].tolist() == later[t : t + 2]
        returns = [1 + 1.0 + 1.0, 2 + 2.0, 4.0, 0.0, 0.0, 0.0]
        assert batch.value_BU[row].tolist() == returns[t : t + 3]
        assert batch.policy_BUK[row].sum(-1).tolist() == [1.0 if t + k < steps else 0.0 for k in range(3)]
    for _ in range(9):
        replay.add(episode)
    assert 10 <= replay.steps < 13


def test_the_gradient_is_scaled_and_the_value_is_not():
    x = torch.tensor([2.0], requires_grad=True)
    y = scale_gradient(x, 0.25) * 3
    y.backward()
    assert x.grad is not None
    assert (y.item(), x.grad.item()) == (6.0, 0.75)


def test_running_scale_is_that_of_all_rows():
    rows_TO = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * 4 + 2
    scale = ObservationScale(3)
    for part in rows_TO.split([1, 30, 69]):
        scale.update(part)
    scaled_TO = scale(rows_TO)
    torch.testing.assert_close(scaled_TO.mean(0), torch.zeros(3), atol=1e-2, rtol=0)
    expected_TO = ((rows_TO - rows_TO.mean(0)) / rows_TO.std(0, correction=0)).clamp(-5, 5)
    torch.testing.assert_close(scaled_TO, expected_TO, atol=1e-4, rtol=1e-4)


def test_candidates_of_a_box_have_the_policy_as_their_prior():
    """Many draws, part of them blind: visits by prior would still follow the policy."""
    actions = ActionSet.of(gym.spaces.Box(-1, 1, (2,)), levels=3)
    logits_DM = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))
    for uniform in (0.0, 0.5):
        index_KD, prior_K = actions.candidates(logits_DM, 50_000, np.random.default_rng(0), uniform=uniform)
        assert len(index_KD) == 9
        expected_K = [np.exp(logits_DM[0, i] + logits_DM[1, j]) for i, j in index_KD]
        np.testing.assert_allclose(prior_K, expected_K, atol=0.01)
    torch.testing.assert_close(
        actions.log_probability(torch.from_numpy(logits_DM), torch.tensor([0, 2])),
        torch.tensor(math.log(0.42), dtype=torch.float64),
    )
    assert actions.action(np.array([0, 2])).tolist() == [-1.0, 1.0]


def test_actions_of_a_space_that_is_none():
    with pytest.raises(ValueError, match="MultiBinary"):
        ActionSet.of(gym.spaces.MultiBinary(3))
    with pytest.raises(ValueError, match="finite bounds"):
        ActionSet.of(gym.spaces.Box(-np.inf, np.inf, (2,)))


def mean_return(agent, env, episodes=10):
    return float(np.mean([play(agent, env, seed=1000 + seed)[0] for seed in range(episodes)]))


def train(agent, env, episodes):
    for episode in range(episodes):
        agent.learn(env, episode)
    return agent


CHAIN = MuZeroConfig(
    search=SearchConfig(simulations=8, discount=0.95), batch=32, hidden=32, latent=8, updates=0.7, cooling=50
)


def test_the_planner_learns_the_chain():
    env = Chain()
    agent = train(MuZero.of(env, CHAIN, seed=1), env, 70)
    assert mean_return(agent, env) >= 0.95 * GREAT_REWARD
    # and has learned that states are worth more the nearer they are to the reward
    observation_BO = torch.tensor([[*np.eye(STATES)[state], 1.0] for state in range(STATES)], dtype=torch.float32)
    networks = agent.networks
    assert isinstance(networks, Networks)
    value_B = networks.initial(observation_BO).value_B
    assert value_B[-1] > value_B[0]


def test_policy_gradient_learns_the_chain():
    env = Chain()
    agent = train(PolicyGradient.of(env, PolicyGradientConfig(), seed=1), env, 320)
    assert mean_return(agent, env) >= 0.95 * GREAT_REWARD


def test_sampled_actions_of_a_box_heed_the_observation():
    env = Target()
    looking = SearchConfig(simulations=10, samples=8)
    config = MuZeroConfig(
        search=looking,
        levels=3,
        updates=4.0,
        unroll=1,
        batch=32,
        hidden=32,
        latent=8,
        cooling=50,
        warm_up=20,
        learning_rate=6e-3,
    )
    agent = train(MuZero.of(env, config, seed=0), env, 80)
    # of 1; actions that do not heed the observation get 0
    assert mean_return(agent, env, 6) >= 0.7


@pytest.mark.parametrize("kind", [MuZero, PolicyGradient])
def test_going_on_is_going_through(kind):
    """6 episodes are 3, a checkpoint, and 3."""
    env = Chain()
    config = MuZeroConfig(warm_up=4, reanalyse=2) if kind is MuZero else PolicyGradientConfig(episodes=4, group=2)
    whole = train(kind.of(env, config, seed=2), env, 6)
    first = train(kind.of(env, config, seed=2), env, 3)
    second = kind.of(env, config, seed=2)
    second.load_state_dict(first.state_dict())
    for episode in range(3, 6):
        second.learn(env, episode)
    expected, found = whole.networks.state_dict(), second.networks.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("kind", [MuZero, PolicyGradient])
def test_a_file_brings_the_agent_back(kind, tmp_path):
    env = Chain()
    agent = kind.of(env, seed=3)
    agent.learn(env, 0)
    agent.save(tmp_path / "agent")
    again = load_agent(tmp_path / "agent")
    assert type(again) is kind
    assert again.config == agent.config
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        assert again.act(observation) == agent.act(observation)
    whole = (tmp_path / "agent").read_bytes()
    for cut in (b"", whole[:100], whole[:-3], whole.replace(b"muzero", b"muxero")[:-1] + b"\x07"):
        (tmp_path / "bad").write_bytes(cut)
        with pytest.raises(FileFormatError, match="bad"):
            load_agent(tmp_path / "bad")


def test_advantages_written_out():
    reward_T, value_T = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.5, 1.0, 1.5])
    errors = [1 + 0.9 * 1.0 - 0.5, 0.9 * 1.5 - 1.0, 2 - 1.5]
    expected = [errors[0] + 0.72 * errors[1] + 0.72**2 * errors[2], errors[1] + 0.72 * errors[2], errors[2]]
    torch.testing.assert_close(advantages(reward_T, value_T, discount=0.9, trace=0.8), torch.tensor(expected))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SearchConfig(simulations=0), "simulations"),
        (lambda: SearchConfig(discount=1.5), "discount"),
        (lambda: MuZeroConfig(unroll=0), "unroll"),
        (lambda: Support(bins=4), "odd"),
        (lambda: MuZero.of(Chain(), seed=0).act(np.array([np.nan] * 5)), "finite"),
    ],
)
def test_bad_settings_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_advantages_in_a_group_written_out():
    """What followed, less the mean of what followed in the others; nothing follows an end."""
    rewards = [torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.5]), torch.tensor([0.0, 1.0])]
    followed = [[1 + 0.81 * 2, 0.9 * 2, 2.0], [0.5, 0.0, 0.0], [0.9, 1.0, 0.0]]
    expected = [
        [followed[i][t] - sum(followed[j][t] for j in range(3) if j != i) / 2 for t in range(len(rewards[i]))]
        for i in range(3)
    ]
    for found, wanted in zip(advantages_in_group(rewards, discount=0.9), expected, strict=True):
        torch.testing.assert_close(found, torch.tensor(wanted))
    with pytest.raises(ValueError, match="multiple of group"):
        PolicyGradientConfig(episodes=8, group=3)


def test_reanalysed_targets_are_those_of_the_networks_of_now():
    """The search is done anew: values move to what the networks say now, and what was played stays."""
    env = Chain()
    agent = train(MuZero.of(env, CHAIN, seed=4), env, 20)
    assert isinstance(agent, MuZero)
    assert isinstance(agent.networks, Networks)
    before = list(agent.replay.episodes)
    agent.reanalyse()
    after = list(agent.replay.episodes)
    assert any(not np.array_equal(old.value_T, new.value_T) for old, new in zip(before, after, strict=True))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.reward_T, new.reward_T)
        np.testing.assert_array_equal(old.action_TD, new.action_TD)
        assert new.candidate_TKD.shape == old.candidate_TKD.shape
        np.testing.assert_allclose(new.policy_TK.sum(1), 1)
    with torch.inference_mode():
        seen = torch.from_numpy(np.concatenate([episode.observation_TO for episode in after]))
        now = agent.networks.initial(seen).value_B.numpy()
    far = [np.abs(np.concatenate([e.value_T for e in episodes]) - now).mean() for episodes in (before, after)]
    assert far[1] < far[0]
