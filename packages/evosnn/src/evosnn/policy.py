"""One network as a policy for any Gymnasium environment: observation in, action out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from evosnn.interface import Interface
from evosnn.network import Network
from evosnn.network_state import NetworkState
from evosnn.recording import Recording
from evosnn.tasks.task import Discrete

if TYPE_CHECKING:
    from evosnn.genome import Genome


class Policy:
    """A grown genome that acts, and learns while it acts where its interface says so.

        policy.reset()
        action = policy(observation)
        observation, reward, *_ = env.step(action)
        action = policy(observation, reward)

    Step for step what `rollout` does with one row, so an episode in the environment gives the same score.

    Args:
        genome: the network's description.
        interface: the task, encoder, decoder and timing; by default what the genome's metadata says.
        seed: of random afferent spikes (encoders with spiking="bernoulli").
        record: keep spikes, membranes and weights of every micro-step in `recordings`, one for each action.

    Attributes:
        network: the network, of one row.
        state: its state.
        interface: how it meets its task.
        recordings: since the last reset.

    Raises:
        ValueError: the metadata names no task, or the genome does not fit the interface.
    """

    def __init__(
        self, genome: Genome, interface: Interface | None = None, *, seed: int = 0, record: bool = False
    ) -> None:
        self.genome, self.record = genome, record
        self.interface = interface or Interface.from_metadata(genome.metadata)
        needed = (self.interface.n_afferents, self.interface.n_outputs)
        if (genome.n_afferents, genome.n_outputs) != needed:
            raise ValueError(
                f"Policy: {self.interface.task.name} needs {needed[0]} afferents and {needed[1]} outputs, "
                f"the genome has {genome.n_afferents} and {genome.n_outputs}"
            )
        self.network = Network([genome], step_ms=self.interface.step_ms, plastic=self.interface.plastic)
        self._key_B = torch.tensor([seed])
        self.recordings: list[Recording] = []
        self.state: NetworkState
        self.reset()

    def reset(self) -> None:
        """Back to birth: at rest, with the weights of the genome."""
        self.state = self.network.initial_state()
        self._trace_BA = self.interface.decoder.initial_trace(1, self.interface.task.actions)
        self._acted = False
        self.recordings = []

    def __call__(self, observation: Any, reward: float = 0.0) -> Any:
        """Choose an action.

        Args:
            observation: of the environment, any shape with O values in all; a whole number where the environment's
                observations are Discrete.
            reward: for the action before; of no effect on the first action.

        Returns:
            A whole number for Discrete actions (0 for the first), an array (D,) of float32 for continuous ones.

        Raises:
            ValueError: the observation has another size, or something is not finite.
        """
        interface = self.interface
        task = interface.task
        value_O = self._values(observation)
        if not np.isfinite(value_O).all() or not math.isfinite(reward):
            raise ValueError(f"Policy: observation and reward must be finite, got {observation} and {reward}")
        afferents = interface.encoder(torch.from_numpy(value_O)[None], key_B=self._key_B)
        steps = interface.steps_per_action
        reward_P = torch.tensor([float(reward) * task.reward_scale], dtype=torch.float64) if self._acted else None
        if self.record:
            recording = self.network.record_(afferents, self.state, steps, reward_P=reward_P)
            self.recordings.append(recording)
            counts_PN = recording.spikes_TPN.sum(0, dtype=torch.int32)
            first_PN = torch.where(counts_PN > 0, recording.spikes_TPN.int().argmax(0), steps).int()
        else:
            counts_PN, first_PN = self.network.run_(afferents, self.state, steps, reward_P=reward_P)
        self._acted = True
        action = interface.decoder(task.actions, counts_PN, first_PN, steps, self._trace_BA)
        return int(action[0]) if isinstance(task.actions, Discrete) else action[0].numpy()

    def _values(self, observation: Any) -> np.ndarray:
        n_values = self.interface.task.n_observations
        value_O = np.asarray(observation)
        if value_O.ndim == 0 and n_values > 1 and np.issubdtype(value_O.dtype, np.integer):
            if not 0 <= value_O < n_values:
                raise ValueError(f"Policy: observation must be a state from 0 to {n_values - 1}, got {value_O}")
            return np.eye(n_values, dtype=np.float32)[int(value_O)]
        if value_O.size != n_values:
            raise ValueError(f"Policy: expected an observation of {n_values} values, got shape {value_O.shape}")
        return value_O.reshape(-1).astype(np.float32)
