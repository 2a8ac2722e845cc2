"""Training agents to steer evolution, and judging them on tasks and seeds that they were not trained on."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ddp_utils import Checkpoints, SignalStop, Stopped, keyed_numpy_generator

from evosnn.agent import Agent
from evosnn.envs.steer import SteerEnv
from evosnn.envs.steer_settings import ACTIONS
from evosnn.muzero.mcts import SearchConfig
from evosnn.muzero.planner import MuZero, MuZeroConfig
from evosnn.muzero.value_transform import Support
from evosnn.policy_gradient import PolicyGradient, PolicyGradientConfig
from evosnn.steering_baselines import LEVELS, ConstantAction
from evosnn.steering_config import SteeringConfig as SteeringConfig
from evosnn.steering_config import named_task as named_task
from evosnn.steering_together import Steers, steer_together

KINDS: dict[str, type[Agent]] = {"planner": MuZero, "policy gradient": PolicyGradient}
RESAMPLES = 2000
SEEDS_TOGETHER = 5  # that all agents are judged on side by side
Report = Callable[[dict[str, Any]], None]


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
        A row an agent and task, and one an agent with task "all": median, mean, low, high; difference, difference_low
        and difference_high (of the reference itself 0).

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
