"""What the tasks ask: scores, what can and what cannot solve them, and bad input.

Shapes: B rows, T trials.
"""

import gymnasium
import numpy as np
import pytest
import torch
from evosnn.genome import Genome
from evosnn.initial_genome import initial_genome, unit_weight
from evosnn.innovation import edge_number
from evosnn.interface import Interface
from evosnn.rollout import rollout
from evosnn.rule import Rule
from evosnn.tasks.gymnasium_task import GymnasiumTask
from evosnn.tasks.registry import TASKS, make_task
from evosnn.tasks.task import Box, Discrete, Task, TaskError
from gymnasium import spaces


def play(task, seeds, choose):
    """Scores of a policy: choose(observations, rewards) -> actions."""
    state, obs_BO = task.reset(seeds)
    reward_B = total_B = torch.zeros(len(seeds), dtype=torch.float64)
    steps = 0
    while not state["over"].all():
        state, obs_BO, reward_B, *_ = task.step(state, choose(obs_BO, reward_B))
        total_B, steps = total_B + reward_B, steps + 1
    assert steps == task.max_steps
    return task.score(total_B)


def test_xor_score_is_the_share_of_right_answers():
    task = make_task("XOR")
    right = play(task, range(9), lambda x_B2, _: (x_B2[:, 0] != x_B2[:, 1]).long())
    assert right.tolist() == [1.0] * 9
    for linear in (lambda x: x[:, 0] > 0, lambda x: x[:, 1] < 0, lambda x: x.sum(1) > 1, lambda x: x.sum(1) > -1):
        score_B = play(task, range(9), lambda x_B2, _, f=linear: f(x_B2).long())
        assert (score_B <= 0.75).all()  # what a linear threshold can do
    assert len({tuple(row.tolist()) for row in task.reset(range(9))[0]["order"]}) > 1


def test_delayed_match_needs_both_stimuli():
    task = make_task("DelayedMatch", trials=50, longest_delay=4)
    sample_B = torch.zeros(40)

    def remembering(x_B2, _):
        sample_B[:] = torch.where(x_B2[:, 0] != 0, x_B2[:, 0], sample_B)
        return (sample_B == x_B2[:, 1]).long()

    assert play(task, range(40), remembering).tolist() == [1.0] * 40
    blind = play(task, range(40), lambda x_B2, _: (x_B2[:, 1] > 0).long())
    assert abs(float(blind.mean()) - 0.5) < 3 * 0.5 / np.sqrt(40 * 50)


def test_maze_pays_who_learns_and_no_other():
    """Win: stay, lose: shift loses 3.5 trials on average; whatever ignores reward gets half."""
    task = make_task("TMaze")
    turn_B = torch.zeros(200, dtype=torch.int64)

    def shift_when_lost(_, reward_B):
        turn_B[reward_B < 0] ^= 1
        return turn_B.clone()

    learned_B = play(task, range(200), shift_when_lost)
    assert set((100 * (1 - learned_B)).round().long().tolist()) == {3, 4}
    for side in (0, 1):
        assert play(task, range(50), lambda x, _, s=side: torch.full((50,), s)).tolist() == [0.5] * 50
    rng = np.random.default_rng(0)
    blind_B = play(task, range(200), lambda x, _: torch.from_numpy(rng.integers(0, 2, 200)))
    assert abs(float(blind_B.mean()) - 0.5) < 3 * 0.05 / np.sqrt(200)


def test_maze_changes_sides_three_times_at_times_that_differ():
    side_BT = make_task("TMaze").reset(range(100))[0]["side"]
    assert ((side_BT.diff(dim=1) != 0).sum(1) == 3).all()
    assert (side_BT.sum(1) == 50).all()
    first_change_B = (side_BT != side_BT[:, :1]).int().argmax(1)
    assert set(first_change_B.tolist()) == set(range(20, 31))
    assert 30 < int(side_BT[:, 0].sum()) < 70


def maze_learner(interface):
    """Three neurons: the junction drives two outputs that inhibit each other; reward moves the junction's weights."""
    n_afferents, neurons = interface.n_afferents, np.arange(3)
    unit = float(unit_weight(np.full(1, 5.0), np.full(1, 2.0), np.ones(1))[0])
    source, target = np.array([1, 1, n_afferents, n_afferents + 1]), np.array([0, 1, 1, 0])
    stdp = {"a2_plus": 1.0, "a2_minus": 0.3, "tau_plus": 10.0, "tau_minus": 10.0}
    return Genome(
        n_afferents=n_afferents,
        n_outputs=2,
        neuron_id=n_afferents + neurons,
        is_output=neurons < 2,
        **{name: np.full(3, value) for name, value in {"tau_m": 5.0, "tau_s": 2.0, "tau_a": 100.0}.items()},
        **{name: np.ones(3) for name in ("sign", "threshold")},
        **{name: np.zeros(3) for name in ("refractory", "bias", "beta")},
        position=np.zeros((3, 3)),
        edge_id=np.array([edge_number(s, n_afferents + t) for s, t in zip(source, target, strict=True)]),
        source=source,
        target=target,
        weight=unit * np.array([3.5, 3.57, -4.0, -4.0]),
        delay=np.ones(4),
        enabled=np.ones(4),
        rule=Rule(**stdp, reward=0.05, tau_c=35.0, tau_n=0.0, softness=1.0, w_max=4 * unit),
        metadata=interface.metadata(),
    )


def test_plasticity_solves_the_maze_and_frozen_weights_do_not():
    """The same three neurons: above 0.9 in every episode while they learn, exactly 0.5 when they do not."""
    plastic, frozen = (Interface.for_task("TMaze", steps_per_action=20, plastic=p) for p in (True, False))
    genome = maze_learner(plastic)
    assert float(rollout([genome], plastic, range(40)).score_PK.min()) > 0.9
    assert rollout([genome], frozen, range(40)).score_PK.unique().tolist() == [0.5]
    unmodulated = genome.replace(rule=genome.rule.replace(direct=0.05, reward=0.0))
    assert abs(float(rollout([unmodulated], plastic, range(40)).score_PK.mean()) - 0.5) < 0.05


@pytest.mark.parametrize("name", sorted(TASKS))
def test_settings_make_the_task_again(name):
    task = make_task(name)
    again = make_task(task.settings())
    assert type(again) is type(task)
    assert again.settings() == task.settings()
    state, obs_BO = again.reset([1, 2])
    assert torch.equal(obs_BO, task.reset([1, 2])[1])
    assert obs_BO.shape == (2, task.n_observations)
    assert state["steps"].tolist() == [0, 0]


class Odd(gymnasium.Env):
    """Counts to 4; gives a reward that is not a number where told to, and spaces as told."""

    def __init__(self, observation_space=None, action_space=None, bad_reward=False, bad_observation=False):
        self.observation_space = observation_space or spaces.Discrete(5)
        self.action_space = action_space or spaces.Discrete(3, start=-1)
        self.bad_reward, self.bad_observation = bad_reward, bad_observation

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def _seen(self):
        if isinstance(self.observation_space, spaces.Discrete):
            return self.time
        return np.full(
            self.observation_space.shape or (), np.nan if self.bad_observation and self.time else 0, np.float32
        )

    def step(self, action):
        self.time += 1
        reward = float("nan") if self.bad_reward and self.time == 3 else float(action)
        return self._seen(), reward, self.time == 4, False, {}


@pytest.fixture
def odd():
    gymnasium.register(
        "test/Odd-v0", entry_point=lambda **options: Odd(**options), max_episode_steps=50, disable_env_checker=True
    )
    yield "test/Odd-v0"
    del gymnasium.registry["test/Odd-v0"]


def test_any_environment_is_a_task(odd):
    """Discrete observations are one-hot, actions begin where the space does, ended rows stay."""
    task = GymnasiumTask(odd)
    assert (task.n_observations, task.actions, task.max_steps) == (5, Discrete(3), 50)
    state, obs_BO = task.reset([0, 1])
    for t in range(6):
        assert obs_BO.argmax(1).tolist() == [min(t, 4)] * 2
        state, obs_BO, reward_B, terminated_B, truncated_B = task.step(state, torch.tensor([0, 2]))
        assert reward_B.tolist() == ([-1.0, 1.0] if t < 4 else [0.0, 0.0])
        assert terminated_B.tolist() == [t == 3] * 2
        assert not truncated_B.any()
    assert state["steps"].tolist() == [4, 4]
    task.close()


@pytest.mark.parametrize("name", ["MountainCarContinuous-v0", "CartPole-v1"])
def test_environments_through_make_vec_are_the_environments(name):
    """CartPole through the vector interface gives what the batched CartPole gives."""
    task = GymnasiumTask(name)
    if name == "CartPole-v1":
        interface = Interface.for_task(task, steps_per_action=5)
        own = Interface.for_task(name, encoding={"low": task.observation_low, "high": task.observation_high})
        own = Interface(task=own.task, encoder=own.encoder, steps_per_action=5)
        genomes = [initial_genome(8, 2, np.random.default_rng(i)) for i in range(7)]
        assert torch.equal(
            rollout(genomes, interface, [1, 2], rows_at_once=5).return_PK, rollout(genomes, own, [1, 2]).return_PK
        )
    else:
        assert task.actions == Box((-1.0,), (1.0,))
        env = gymnasium.make(name)
        expected, _ = env.reset(seed=8)
        state, obs_BO = task.reset([8])
        for _ in range(30):
            np.testing.assert_array_equal(obs_BO[0].numpy(), expected)
            expected, reward, *_ = env.step(np.array([0.5], np.float32))
            state, obs_BO, reward_B, *_ = task.step(state, torch.tensor([[0.5]]))
            assert reward_B.item() == reward
    task.close()


def test_unknown_task_names_the_nearest():
    for given, near in (("CartPol-v1", "CartPole-v1"), ("Tmaze", "TMaze"), ("LunarLandr-v3", "LunarLander-v3")):
        with pytest.raises(ValueError, match=f"unknown task '{given}'; did you mean '{near}'"):
            make_task(given)
    with pytest.raises(ValueError, match=r"unknown task 'qqq'\. Own tasks: Acrobot"):
        make_task("qqq")
    with pytest.raises(ValueError, match="TMaze does not take these options"):
        make_task("TMaze", length=3)
    with pytest.raises(ValueError, match="FrozenLake-v1 does not take these options"):
        make_task("FrozenLake-v1", length=3)
    with pytest.raises(ValueError, match='need a "name"'):
        make_task({"trials": 40})
    with pytest.raises(ValueError, match=r"expected a name, .* got 5"):
        make_task(5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "options",
    [{"max_steps": 0}, {"observation_scale": np.nan}, {"vectorization_mode": "quick"}, {"reward_scale": np.inf}],
)
def test_options_of_environments_have_ranges(options):
    with pytest.raises(ValueError, match=f"MountainCarContinuous-v0: {next(iter(options))} must be"):
        make_task("MountainCarContinuous-v0", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"observation_space": spaces.Text(3)}, r"cannot encode the observation space Text"),
        ({"observation_space": spaces.Dict(a=spaces.Discrete(2))}, r"cannot encode the observation space Dict"),
        ({"action_space": spaces.MultiBinary(3)}, r"cannot act in the action space MultiBinary"),
        ({"action_space": spaces.Discrete(1)}, r"the action space Discrete\(1\) cannot be acted in"),
        ({"action_space": spaces.Box(-np.inf, np.inf, (2,))}, r"the action space Box.*must be finite"),
    ],
)
def test_impossible_spaces_are_named(odd, options, words):
    with pytest.raises(ValueError, match=f"{odd}: {words}"):
        make_task(odd, **options)


def test_reward_that_is_no_number_is_named(odd):
    interface = Interface.for_task({"name": odd, "bad_reward": True}, steps_per_action=2)
    genomes = [maze_learner(interface).replace(n_outputs=3, is_output=[1, 1, 1])] * 2
    with pytest.raises(TaskError, match=r"a reward of nan, individual 0, seed 5: in row 0 at step 3"):
        rollout(genomes, interface, [5])
    space = spaces.Box(-1, 1, (5,))
    interface = Interface.for_task({"name": odd, "bad_observation": True, "observation_space": space})
    with pytest.raises(TaskError, match=r"an observation of \[nan.*individual 0, seed 5"):
        rollout(genomes, interface, [5])


def test_actions_that_do_not_exist_are_refused():
    task: Task = make_task("CartPole-v1")
    state, _ = task.reset([0, 1])
    for action in (torch.tensor([0, 2]), torch.tensor([0]), torch.tensor([0.0, 1.0])):
        with pytest.raises(ValueError, match="CartPole-v1: actions must be"):
            task.step(state, action)
    task = make_task("Pendulum-v1")
    state, _ = task.reset([0])
    with pytest.raises(ValueError, match=r"must be floats \(1, 1\)"):
        task.step(state, torch.tensor([1.0]))
