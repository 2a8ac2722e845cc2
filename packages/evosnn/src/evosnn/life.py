"""One episode of one genome, kept whole: what it saw, did and got, every spike and weight, and pictures of the task.

Shapes: T control steps, M = T K micro-steps, O observation values, C afferents, N neurons, E edges.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from evosnn.interface import Interface
from evosnn.policy import Policy
from evosnn.tasks.task import Discrete

if TYPE_CHECKING:
    import gymnasium as gym

    from evosnn.genome import Genome

ENVIRONMENTS = {"TMaze": "evosnn/TMaze-v0", "HiddenCartPole": "evosnn/HiddenCartPole-v0"}


@dataclass(frozen=True)
class Life:
    """An episode.

    Args:
        genome: who lived.
        task: the task's name.
        seed: of the episode.
        score: the task's score of the episode.
        observation_TO: what it saw before each action.
        action_TD: what it did; one column for Discrete actions.
        reward_T: what it got.
        spikes_MN: spikes of the neurons, bool.
        afferents_MC: spikes of the afferents, bool.
        weights_TE: weights after each control step, in the order of the genome's edges.
        steps_per_action: micro-steps of a control step, K.
        step_ms: length of a micro-step.
        frames: a picture (height, width, 3), uint8, before each action; empty where the task has none.
    """

    genome: Genome
    task: str
    seed: int
    score: float
    observation_TO: NDArray[np.float32]
    action_TD: NDArray[np.float64]
    reward_T: NDArray[np.float64]
    spikes_MN: NDArray[np.bool_]
    afferents_MC: NDArray[np.bool_]
    weights_TE: NDArray[np.float32]
    steps_per_action: int
    step_ms: float
    frames: list[NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.reward_T)

    @property
    def action_ms(self) -> float:
        """Length of a control step."""
        return self.steps_per_action * self.step_ms

    @property
    def rate_N(self) -> NDArray[np.float64]:
        """Mean rate of each neuron in Hz."""
        return self.spikes_MN.mean(0) * 1000 / self.step_ms


def live(genome: Genome, seed: int = 0, *, interface: Interface | None = None, frames: bool = True) -> Life:
    """Let a genome live one episode of its task and keep everything.

    Args:
        genome: who lives; its metadata names the task.
        seed: of the episode.
        interface: how the network meets a task, instead of what the metadata says.
        frames: also keep pictures of the task, where a Gymnasium environment draws it.

    Raises:
        ValueError: the genome names no task, or does not fit the interface.
        TaskError: a reward is not finite.
    """
    policy = Policy(genome, interface, seed=seed, record=True)
    task = policy.interface.task
    state, obs_BO = task.reset([seed])
    shadow = _environment(task.name, seed) if frames else None
    observations, actions, rewards, weights, pictures = [], [], [], [], []
    reward, over = 0.0, False
    while not over:
        if shadow is not None:
            pictures.append(np.asarray(shadow.render(), np.uint8))
        action = policy(obs_BO[0].numpy(), reward)
        observations.append(obs_BO[0].numpy())
        actions.append(np.atleast_1d(np.asarray(action, np.float64)))
        weights.append(policy.network.learned_weight(policy.state, 0, genome))
        taken = torch.tensor([action]) if isinstance(task.actions, Discrete) else torch.from_numpy(action)[None]
        state, obs_BO, reward_B, _, _ = task.step(state, taken)
        if shadow is not None:
            shadow.step(action)
        reward, over = float(reward_B[0]), bool(state["over"][0])
        rewards.append(reward)
    if shadow is not None:
        shadow.close()
    reward_T = np.array(rewards)
    recordings = policy.recordings
    return Life(
        genome=genome,
        task=task.name,
        seed=seed,
        score=float(task.score(torch.tensor([reward_T.sum()]))[0]),
        observation_TO=np.array(observations),
        action_TD=np.array(actions),
        reward_T=reward_T,
        spikes_MN=np.concatenate([each.spikes_TPN[:, 0, : genome.n_neurons].numpy() for each in recordings]),
        afferents_MC=np.concatenate([each.afferents_TPC[:, 0].numpy() for each in recordings]),
        weights_TE=np.array(weights),
        steps_per_action=policy.interface.steps_per_action,
        step_ms=policy.interface.step_ms,
        frames=pictures,
    )


def _environment(name: str, seed: int) -> gym.Env[Any, Any] | None:
    """A Gymnasium environment that draws the task, at the start of the episode; None where there is none."""
    import gymnasium

    identifier = ENVIRONMENTS.get(name, name)
    if identifier not in gymnasium.registry:
        return None
    displayed = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"  # pygame, which draws some of them, else looks for a screen
    try:
        env = gymnasium.make(identifier, render_mode="rgb_array")
        env.reset(seed=seed)
        env.render()
    except gymnasium.error.DependencyNotInstalled:
        return None
    finally:
        if displayed is None:
            del os.environ["SDL_VIDEODRIVER"]
        else:
            os.environ["SDL_VIDEODRIVER"] = displayed
    return env
