"""Genomes measured in a task's closed loop, and the settings that suit a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ddp_utils import resolve_device

from evosnn.evaluation import Evaluation
from evosnn.evolution_config import EvaluationConfig, EvolutionConfig
from evosnn.genome import Genome
from evosnn.interface import Interface
from evosnn.rollout import rollout
from evosnn.rule import Rule
from evosnn.tasks.registry import make_task
from evosnn.tasks.task import Task

LEARNED_WITHIN_A_LIFE = ("TMaze",)
QUESTIONS = ("XOR", "DelayedMatch")
OF_CHANCE = ("Acrobot-v1",)  # one episode says little of the next


class TaskEvaluator:
    """The `Evaluator` of a task: networks of the genomes live one episode a seed.

    Args:
        interface: the task, and what joins networks to it.
        device: where networks and episodes live: "auto", "cpu", "cuda" or "cuda:i".

    Raises:
        ValueError: there is no such device.
    """

    def __init__(self, interface: Interface, *, device: str = "cpu") -> None:
        self.interface, self.device = interface, resolve_device(device)
        self.n_afferents, self.n_outputs = interface.n_afferents, interface.n_outputs
        self.metadata: Mapping[str, Any] = interface.metadata()

    def __call__(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
        """See `Evaluator`."""
        result = rollout(genomes, self.interface, seeds, device=self.device)
        rate_P = result.rate_PK.double().mean(1).numpy()
        return Evaluation(np.asarray(result.score_PK, np.float64), rate_P, result.total_steps)


def suitable_config(task: str | Mapping[str, Any] | Task | Interface) -> EvolutionConfig:
    """Settings that suit a task.

    Where the reward must be learned from within an episode, networks have reward-modulated STDP with an eligibility
    trace (Florian 2007) whose coefficients evolve, and everyone lives two episodes; elsewhere nothing is learned. Where
    scores of one network differ much, everyone lives four episodes, and the best 24 more.
    """
    made = task.task if isinstance(task, Interface) else make_task(task)
    if made.name in OF_CHANCE:
        return EvolutionConfig(evaluation=EvaluationConfig(episodes=4, final_episodes=24))
    if made.name not in LEARNED_WITHIN_A_LIFE:
        return EvolutionConfig()
    rule = Rule.mstdpet(reward=0.3, w_max=4.0, softness=0.1)
    return EvolutionConfig(rule=rule, evolve_rule=True, evaluation=EvaluationConfig(episodes=2))


def joined(task: str | Task | Interface, config: EvolutionConfig | None = None) -> tuple[Interface, EvolutionConfig]:
    """What an evolution on a task needs, from what is given of it.

    Args:
        task: the name of a task, a task, or an interface.
        config: settings; those that suit the task if None.

    Raises:
        ValueError: there is no such task, or the interface and the settings differ in whether networks learn.
    """
    if not isinstance(task, Interface):
        config = config or suitable_config(task)
        return suitable_interface(task, plastic=config.plastic), config
    if config is None:
        config = suitable_config(task)
        return task, replace(config, plastic=task.plastic, evolve_rule=config.evolve_rule and task.plastic)
    if config.rule.learns and task.plastic != config.plastic:
        raise ValueError(
            f"Evolution: the interface has plastic={task.plastic}, the configuration plastic={config.plastic}, and its "
            "rule learns; give both the same"
        )
    return task, config


def suitable_interface(task: str | Mapping[str, Any] | Task, *, plastic: bool) -> Interface:
    """The interface that suits a task: rates to counts, ten micro-steps between two observations, twice as many where
    each step is a question whose answer takes more than one synapse."""
    made = make_task(task)
    return Interface.for_task(made, plastic=plastic, steps_per_action=20 if made.name in QUESTIONS else 10)
