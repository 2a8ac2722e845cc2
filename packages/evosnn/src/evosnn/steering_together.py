"""Several evolutions of one task steered side by side: each as it would be alone, all lives in one rollout.

Axes: P individuals, K episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from ddp_utils import world_size

from evosnn.envs.steer import SteerEnv, still
from evosnn.evaluation import Evaluation, Evaluator
from evosnn.genome import Genome
from evosnn.rollout import rollout
from evosnn.task_evaluator import TaskEvaluator


class Steers(Protocol):
    """What steers: observation to action."""

    def act(self, observation: np.ndarray) -> Any:
        """The action for the next generation."""
        ...


class _Known:
    """An evaluator that knows what one call will give; other calls go to the evaluator itself."""

    def __init__(self, evaluator: Evaluator, seeds: Sequence[int], known: Evaluation) -> None:
        self.evaluator, self.seeds, self.known = evaluator, list(seeds), known
        self.n_afferents, self.n_outputs, self.metadata = evaluator.n_afferents, evaluator.n_outputs, evaluator.metadata

    def __call__(self, genomes: Sequence[Genome], seeds: Sequence[int]) -> Evaluation:
        """See `Evaluator`."""
        if list(seeds) == self.seeds and len(genomes) == len(self.known.rate_P):
            return self.known
        return self.evaluator(genomes, seeds)


def steer_together(agents: Sequence[Steers], envs: Sequence[SteerEnv], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Steer one evolution an environment to its end.

    Args:
        agents: one an environment.
        envs: of one task, one configuration and one device; the same for several is several.
        seeds: of their resets.

    Returns:
        One an environment: `return`, `rewards`, and the last step's info.
    """
    for env, seed in zip(envs, seeds, strict=True):
        env.prepare_reset(seed=seed)
    observations = [found[0] for found in _finished(envs, lambda env: env.finish_reset())]
    rewards: list[list[float]] = [[] for _ in envs]
    infos: list[dict[str, Any]] = [{} for _ in envs]
    running = list(range(len(envs)))
    while running:
        actions = {i: agents[i].act(observations[i]) for i in running}
        for i in running:
            rewards[i].append(0.0)
        for _ in range(envs[0].hold):
            for i in running:
                envs[i].prepare_step(actions[i])
            going = []
            finished = _finished([envs[i] for i in running], lambda env: env.finish_step())
            for i, found in zip(running, finished, strict=True):
                observations[i], reward, terminated, truncated, infos[i] = found
                rewards[i][-1] += reward
                if not (terminated or truncated):
                    going.append(i)
            running = going
            if not running:
                break
    return [{"return": float(sum(own)), "rewards": own, "info": info} for own, info in zip(rewards, infos, strict=True)]


def _finished(envs: Sequence[SteerEnv], finish: Any) -> list[Any]:
    """Measure what all environments have prepared, in one rollout, and let each go on."""
    if world_size() > 1:  # each generation is shared out among the processes
        return [finish(env) for env in envs]
    measurements = [env.running.measurement for env in envs]
    evaluators = [measurement.evaluator for measurement in measurements]
    generations = [env.running.ask() for env in envs]
    seeds = [env.episode_seeds() for env in envs]
    first = evaluators[0]
    assert isinstance(first, TaskEvaluator)
    seeds_PK = np.repeat(np.array(seeds), [len(genomes) for genomes in generations], axis=0)
    together = [genome for genomes in generations for genome in genomes]
    total = len(together)
    if envs[0].config.learns:
        together, seeds_PK = [*together, *map(still, together)], np.concatenate([seeds_PK, seeds_PK])
    result = rollout(together, first.interface, seeds_PK, device=first.device)
    scores, rates = np.asarray(result.score_PK, np.float64), result.rate_PK.double().mean(1).numpy()
    found, start = [], 0
    for env, measurement, own, evaluator, genomes in zip(
        envs, measurements, seeds, evaluators, generations, strict=True
    ):
        part = slice(start, start + len(genomes))
        start += len(genomes)
        env.frozen_PK = scores[total:][part] if len(scores) > total else None
        measurement.evaluator = _Known(evaluator, own, Evaluation(scores[part], rates[part]))
        try:
            found.append(finish(env))
        finally:
            measurement.evaluator = evaluator
    return found
