"""What is steered, how much of it, and on what it is judged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ddp_utils.seed import key_bits

from evosnn.envs.steer import SteerEnv
from evosnn.rule import Rule
from evosnn.task_evaluator import suitable_config
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task


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
