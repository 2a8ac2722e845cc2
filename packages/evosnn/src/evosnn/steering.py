"""Training agents to steer evolution, and judging them on tasks and seeds that they were not trained on."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import Checkpoints, SignalStop, Stopped, keyed_numpy_generator
from ddp_utils.seed import key_bits

from evosnn.agent import Agent
from evosnn.envs.steer import ACTIONS, SteerEnv
from evosnn.muzero.mcts import SearchConfig
from evosnn.muzero.planner import MuZero, MuZeroConfig
from evosnn.muzero.value_transform import Support
from evosnn.policy_gradient import PolicyGradient, PolicyGradientConfig
from evosnn.rule import Rule
from evosnn.steering_baselines import LEVELS, ConstantAction
from evosnn.steering_together import Steers, steer_together
from evosnn.task_evaluator import suitable_config
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task

KINDS: dict[str, type[Agent]] = {"planner": MuZero, "policy gradient": PolicyGradient}
RESAMPLES = 2000
SEEDS_TOGETHER = 5  # that all agents are judged on side by side
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class SteeringConfig:
    """What is steered, how much of it, and how it is judged.

    Args:
        train: tasks to train on, in turn; options of a task stand behind its name, as in "TMaze trials=40".
        test: tasks to judge on; none of those trained on.
        population: individuals of a steered evolution, >= 2.
        generations: its generations, >= 1.
        hold: generations that an action holds for, >= 1: what an action does shows in few of them less than chance.
        evaluations: episodes of an individual a generation, >= 1.
        learning_rate: of the reward-modulated plasticity that all evolutions start with, >= 0. Whether a task needs
            learning within a life, or suffers from it, is for who steers to find out.
        cost: of as many evaluations as there are individuals, >= 0.
        episodes: evolutions to train on, a multiple of `together`, >= 1.
        together: so many evolutions of a task are steered side by side before an agent learns from them, >= 1.
        constants: constant actions tried for the best one, a power of two, >= 2.
        seeds: evolutions a test task that everyone is judged on, >= 2.

    Raises:
        ValueError: an argument is out of its range, a task is unknown or has no score that counts as solved, or one is
            in both lists.
    """

    train: tuple[str, ...] = (
        "TMaze trials=20",
        "DelayedMatch trials=8 longest_delay=2",
        "TMaze trials=20 reward_observed=true",
        "XOR",
    )
    test: tuple[str, ...] = ("TMaze", "HiddenCartPole", "MountainCar-v0")
    population: int = 24
    generations: int = 8
    hold: int = 4
    evaluations: int = 4
    learning_rate: float = 0.15
    cost: float = 0.005
    episodes: int = 128
    together: int = 4
    constants: int = 16
    seeds: int = 20

    def __post_init__(self) -> None:
        least = {"population": 2, "generations": 1, "evaluations": 1, "episodes": 1, "constants": 2, "seeds": 2}
        least |= {"together": 1, "hold": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"SteeringConfig: {name} must be at least {value}, got {getattr(self, name)}")
        if self.episodes % self.together:
            raise ValueError(
                f"SteeringConfig: episodes must be a multiple of together, got {self.episodes} and {self.together}"
            )
        if self.constants & (self.constants - 1):
            raise ValueError(f"SteeringConfig: constants must be a power of two, got {self.constants}")
        if not self.train or not self.test or set(self.train) & set(self.test):
            raise ValueError(
                f"SteeringConfig: train and test must name tasks, and none in both, got {self.train} and {self.test}"
            )
        if not 0 <= self.cost < float("inf"):
            raise ValueError(f"SteeringConfig: cost must be >= 0 and finite, got {self.cost}")
        if not 0 <= self.learning_rate < float("inf"):
            raise ValueError(f"SteeringConfig: learning_rate must be >= 0 and finite, got {self.learning_rate}")
        for task in (*self.train, *self.test):
            if not np.isfinite(named_task(task).solved):
                raise ValueError(f"SteeringConfig: {task} has no score that counts as solved")

    def environment(self, task: str, device: str = "cpu") -> SteerEnv:
        """The environment in which the evolution of a task is steered; its networks live on the device."""
        made = named_task(task)
        config = suitable_config(made)
        rule = config.rule if config.rule.learns else Rule.mstdpet(softness=0.1)
        rule = rule.replace(reward=self.learning_rate) if self.learning_rate else Rule.off()
        config = replace(config, rule=rule, evolve_rule=rule.learns)
        config = config.adjusted(episodes=self.evaluations, finalists=0)
        sizes = {"population": self.population, "generations": self.generations, "hold": self.hold, "cost": self.cost}
        return SteerEnv(made, config=config, device=device, **sizes)

    def environments(self, task: str, number: int, device: str = "cpu") -> list[SteerEnv]:
        """As many of them, to be steered side by side."""
        return [self.environment(task, device) for _ in range(number)]

    def training_seed(self, seed: int, episode: int) -> int:
        """Seed of an evolution to train on; those to judge on come from another stream."""
        return key_bits(seed, "steering training", episode, n_bytes=4) >> 1

    def test_seed(self, seed: int, number: int) -> int:
        """Seed of an evolution to judge on."""
        return key_bits(seed, "steering test", number, n_bytes=4) >> 1


def named_task(name: str) -> Task:
    """The task of a name with options behind it, as in "TMaze trials=40 reward_observed=true".

    Raises:
        ValueError: no such task or option, or an option is not written as key=value.
    """
    task, *options = name.split()
    values: dict[str, Any] = {}
    for option in options:
        key, _, value = option.partition("=")
        try:
            values[key] = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError(f"{name}: expected options such as trials=40, got {option!r}") from None
    return make_task(task, **values)


def new_agent(kind: str, config: SteeringConfig, *, seed: int = 0) -> Agent:
    """An agent with settings that suit steering.

    Args:
        kind: "planner" or "policy gradient".
        config: what is steered.
        seed: keys everything that is drawn.

    Raises:
        ValueError: no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"new_agent: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    settings: Any = PolicyGradientConfig(
        levels=LEVELS,
        hidden=32,
        episodes=4 * config.together,
        group=config.together,
        epochs=12,
        discount=1.0,
        learning_rate=8e-3,
    )
    if kind == "planner":
        settings = MuZeroConfig(
            search=SearchConfig(simulations=32, samples=16, discount=1.0),
            support=Support(limit=0.7, bins=29),  # returns lie between -0.1 and 1
            levels=LEVELS,
            latent=16,
            n_step=config.generations,
            unroll=2,
            updates=6.0,
            learning_rate=2e-3,
            weight_decay=1e-3,
            cooling=config.episodes,
            reanalyse=2 * config.together,
        )
    return KINDS[kind].of(config.environment(config.train[0]), settings, seed=seed)


def train_agent(
    agent: Agent,
    config: SteeringConfig,
    *,
    folder: Path | None = None,
    stop: SignalStop | None = None,
    report: Report | None = None,
    save_every: int = 10,
    device: str = "cpu",
) -> Agent:
    """Train an agent on `config.episodes` evolutions of the training tasks, in turn.

    Args:
        agent: as `new_agent` made it.
        config: what to steer.
        folder: keep checkpoints there, and go on from the newest one: exactly as if there had been no break.
        stop: a signal ends it after the present evolution, with the state saved.
        report: is told of each evolution: its number, task, return and steps.
        save_every: evolutions between two checkpoints, >= 1.
        device: where the networks of the evolutions live.

    Returns:
        The agent.

    Raises:
        Stopped: a signal came, after the state was saved.
    """
    checkpoints = None if folder is None else Checkpoints(folder)
    loaded = None if checkpoints is None else checkpoints.load()
    if loaded is not None:
        agent.load_state_dict(loaded.state)
    begun = 0 if loaded is None else loaded.step
    environments = {task: config.environments(task, config.together, device) for task in config.train}
    for first in range(begun, config.episodes, config.together):
        block = first // config.together
        task, numbers = config.train[block % len(config.train)], range(first, first + config.together)
        players = [agent.player(number) for number in numbers]
        alike = getattr(agent.config, "group", 1)  # so many begin alike
        seeds = [config.training_seed(agent.seed, number // alike) for number in numbers]
        played = steer_together(players, environments[task], seeds)
        for number, player, found in zip(numbers, players, played, strict=True):
            figures = agent.take(player.finish(found["rewards"]), number)
            if report is not None:
                report({"episode": number, "task": task, **figures})
        done, stopped = first + config.together, stop is not None and stop.agreed()
        due = done // save_every > first // save_every
        if checkpoints is not None and (stopped or due or done == config.episodes):
            checkpoints.save(done, agent.state_dict())
        if stopped and done < config.episodes:
            raise Stopped(f"stopped after evolution {done} of {config.episodes}; its state is saved")
    return agent


def best_constant(
    config: SteeringConfig,
    *,
    seed: int = 0,
    stop: SignalStop | None = None,
    report: Report | None = None,
    device: str = "cpu",
) -> ConstantAction:
    """The constant action that steers the training tasks best.

    The configuration as given (all 0) and random ones; each round measures those that are left on one more evolution
    of every training task, the same for all, and keeps the better half by the mean over all rounds. With 16 constants
    and four tasks that is 120 evolutions: about as many as the agents are trained on.

    Raises:
        Stopped: a signal came.
    """
    rng = keyed_numpy_generator(seed, "constant actions")
    zero = (0.0,) * len(ACTIONS)
    drawn = rng.choice(np.linspace(-1, 1, 2 * LEVELS - 1), (config.constants - 1, len(ACTIONS)))
    returns: dict[tuple[float, ...], list[float]] = {zero: []} | {tuple(map(float, action)): [] for action in drawn}
    left, number = list(returns), 0
    while len(left) > 1:
        for task in config.train:
            steering = [ConstantAction(action) for action in left]
            seeds = [config.training_seed(seed, number)] * len(left)
            for action, found in zip(
                left, steer_together(steering, config.environments(task, len(left), device), seeds), strict=True
            ):
                returns[action].append(found["return"])
                if report is not None:
                    report({"constant": action, "task": task, "return": found["return"]})
            if stop is not None and stop.agreed():
                raise Stopped("stopped in the search for the best constant action, which begins anew")
            number += 1
        left = sorted(left, key=lambda action: -statistics.fmean(returns[action]))[: len(left) // 2]
    return ConstantAction(left[0])


def steer(agent: Steers, env: SteerEnv, seed: int) -> tuple[float, dict[str, Any]]:
    """Steer one evolution to its end: the return, and the last step's info."""
    (found,) = steer_together([agent], [env], [seed])
    return found["return"], found["info"]


def judge(
    agents: Mapping[str, Steers],
    config: SteeringConfig,
    *,
    seed: int = 0,
    stop: SignalStop | None = None,
    report: Report | None = None,
    done: Sequence[dict[str, Any]] = (),
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Steer the test tasks with everyone, on the same seeds.

    Args:
        agents: name to what steers.
        config: test tasks and seeds.
        seed: keys the evolutions.
        stop: a signal ends it.
        report: is told of each row.
        done: rows of an earlier call that was stopped; they are kept as they are.
        device: where the networks of the evolutions live.

    Returns:
        Rows with agent, task, number (of the seed), return, generations, best and episodes.

    Raises:
        Stopped: a signal came.
    """
    rows = list(done)
    standing = {(row["agent"], row["task"], row["number"]) for row in rows}
    for task in config.test:
        for first in range(0, config.seeds, SEEDS_TOGETHER):
            numbers = range(first, min(first + SEEDS_TOGETHER, config.seeds))
            wanted = [(name, n) for n in numbers for name in agents if (name, task, n) not in standing]
            if not wanted:
                continue
            envs = config.environments(task, len(wanted), device)
            seeds = [config.test_seed(seed, number) for _, number in wanted]
            steered = steer_together([agents[name] for name, _ in wanted], envs, seeds)
            for (name, number), found in zip(wanted, steered, strict=True):
                info = found["info"]
                facts = {"generations": info["generation"], "best": info["best"], "episodes": info["episodes"]}
                rows.append({"agent": name, "task": task, "number": number, "return": found["return"], **facts})
                if report is not None:
                    report(rows[-1])
            if stop is not None and stop.agreed():
                raise Stopped("stopped while the agents were judged")
    return rows


def compare(rows: Sequence[Mapping[str, Any]], *, reference: str, seed: int = 0) -> list[dict[str, Any]]:
    """Mean return of everyone, and how much it is above that of a reference, with 95% bootstrap intervals.

    Differences are paired: of the same task and seed. Seeds are drawn anew within each task, and tasks count alike.

    Args:
        rows: as `judge` gives them.
        reference: name of the agent to compare with.
        seed: keys the resampling.

    Returns:
        A row an agent and task, and one an agent with task "all": median, mean, low, high; difference, difference_low and
        difference_high (of the reference itself 0).

    Raises:
        ValueError: there is no such agent, or someone's rows are missing.
    """
    agents, tasks = (list(dict.fromkeys(row[name] for row in rows)) for name in ("agent", "task"))
    found = {(row["agent"], row["task"], row["number"]): float(row["return"]) for row in rows}
    if reference not in agents:
        raise ValueError(f"compare: no rows of {reference!r}; there are {', '.join(map(repr, agents))}")
    numbers = {task: sorted({row["number"] for row in rows if row["task"] == task}) for task in tasks}
    missing = [(a, t, n) for a in agents for t in tasks for n in numbers[t] if (a, t, n) not in found]
    if missing:
        raise ValueError(f"compare: no row of {missing[0]}")
    returns = {a: {t: np.array([found[a, t, n] for n in numbers[t]]) for t in tasks} for a in agents}
    compared = []
    for agent in agents:
        for name, some in {**{task: [task] for task in tasks}, "all": tasks}.items():
            own = [returns[agent][task] for task in some]
            gaps = [returns[agent][task] - returns[reference][task] for task in some]
            mean, low, high = _interval(own, seed)
            gap, gap_low, gap_high = _interval(gaps, seed)
            figures = {"median": float(np.median(np.concatenate(own))), "mean": mean, "low": low, "high": high}
            figures |= {"difference": gap, "difference_low": gap_low, "difference_high": gap_high}
            compared.append({"agent": agent, "task": name, **figures})
    return compared


def _interval(groups: Sequence[np.ndarray], seed: int) -> tuple[float, float, float]:
    """Mean of the groups' means, and the 2.5% and 97.5% quantiles of it when each group is drawn anew."""
    rng = keyed_numpy_generator(seed, "bootstrap")
    drawn_GR = [group[rng.integers(0, len(group), (RESAMPLES, len(group)))].mean(1) for group in groups]
    low, high = np.quantile(np.mean(drawn_GR, axis=0), [0.025, 0.975])
    return float(np.mean([group.mean() for group in groups])), float(low), float(high)
