"""Settings of `neuro evolve run` and `neuro evolve steer`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from evosnn import ConnectivityConfig, EvolutionConfig
from evosnn.steering import SteeringConfig


@dataclass(frozen=True)
class EvolveRunSettings:
    """Settings of `neuro evolve run`.

    Args:
        task: name of a task, or the id of a Gymnasium environment.
        population: individuals, >= 2.
        generations: at most so many, >= 1.
        target: score to reach; the task's own where none is given.
        max_episodes: episodes that may be lived in all; 0 for no limit.
        method: "evolution" of genomes, or of the probabilities of their connections ("connectivity").
        evolution: all else of the first; what suits the task by default.
        connectivity: all else of the second, whose population is even.
        seed: keys everything that is drawn.
        device: where networks and episodes live.
    """

    task: str = "CartPole-v1"
    population: int = 256
    generations: int = 50
    target: float | None = None
    max_episodes: int = 0
    method: Literal["evolution", "connectivity"] = "evolution"
    evolution: EvolutionConfig = field(default_factory=EvolutionConfig)
    connectivity: ConnectivityConfig = field(default_factory=ConnectivityConfig)
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 1:
            raise ValueError(
                f"expected population >= 2 and generations >= 1, got {self.population} and {self.generations}"
            )
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be from 0 to 2^64 - 1, got {self.seed}")
        if self.target is not None and not math.isfinite(self.target):
            raise ValueError(f"target must be a finite number, got {self.target}")
        if self.method == "connectivity" and self.population % 2:
            raise ValueError(f"method connectivity samples in pairs: population must be even, got {self.population}")
        evolving = self.method == "evolution"
        needed = self.population * (self.evolution.evaluation.episodes if evolving else self.connectivity.episodes)
        if self.max_episodes and self.max_episodes < needed:
            raise ValueError(
                f"max_episodes must be 0 or at least the episodes of a generation, {needed}, got {self.max_episodes}"
            )


@dataclass(frozen=True)
class EvolveSteerSettings:
    """Settings of `neuro evolve steer`.

    Args:
        agents: what is trained: "planner", "policy gradient" or "both".
        steering: tasks and sizes.
        seed: keys everything that is drawn.
        device: where the networks of steered evolutions live; agents are small and live on the CPU.
    """

    agents: Literal["planner", "policy gradient", "both"] = "both"
    steering: SteeringConfig = field(default_factory=SteeringConfig)
    seed: int = 0
    device: str = "cpu"
