"""Everything of a batch of networks that changes while it runs.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges, F, G, M kinds of neuron, synapse and modulation
variables. Variables of one individual lie side by side, so that a kernel finds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

MEMBRANE, CURRENT, REFRACTORY, ADAPTATION, OFFSET, RATE, POST_FAST, POST_SLOW = range(8)
N_NEURON_VARIABLES = 8
STRENGTH, PRE_FAST, PRE_SLOW, ELIGIBILITY = range(4)
N_SYNAPSE_VARIABLES = 4
DOPAMINE, REWARD_MEAN = range(2)
N_MODULATION_VARIABLES = 2
LAST_STEP = 61  # bit of the history with the spikes of the last step; older ones are below


@dataclass
class NetworkState:
    """State of P networks; each row is independent of the others.

    Attributes:
        neuron_PFN: membrane, synaptic current, steps of refractoriness that are left, adaptation, offset of the
            threshold, rate in Hz, traces o1 and o2; padded with zeros to a multiple of 8 neurons.
        synapse_PGE: magnitude of the weight, traces r1 and r2, eligibility.
        modulation_PM: dopamine and running mean of the reward.
        history_PS: spikes of each source as bits, the last step at bit 61, the one before at bit 60, int64.
        phase_PC: how far the accumulators of the afferents are.
        time_P: steps so far, int64.
    """

    neuron_PFN: Tensor
    synapse_PGE: Tensor
    modulation_PM: Tensor
    history_PS: Tensor
    phase_PC: Tensor
    time_P: Tensor

    def __len__(self) -> int:
        return len(self.time_P)

    @property
    def n_neurons(self) -> int:
        """N, without the padding of `neuron_PFN`."""
        return self.history_PS.shape[1] - self.phase_PC.shape[1]

    @property
    def membrane_PN(self) -> Tensor:
        """Membranes, a view."""
        return self.neuron_PFN[:, MEMBRANE, : self.n_neurons]

    @property
    def current_PN(self) -> Tensor:
        """Synaptic currents, a view."""
        return self.neuron_PFN[:, CURRENT, : self.n_neurons]

    @property
    def refractory_PN(self) -> Tensor:
        """Steps without a spike that are left, a view."""
        return self.neuron_PFN[:, REFRACTORY, : self.n_neurons]

    @property
    def adaptation_PN(self) -> Tensor:
        """Adaptation of the thresholds, a view."""
        return self.neuron_PFN[:, ADAPTATION, : self.n_neurons]

    @property
    def last_spikes_PS(self) -> Tensor:
        """Which sources spiked in the last step, bool."""
        return ((self.history_PS >> LAST_STEP) & 1).bool()

    @property
    def offset_PN(self) -> Tensor:
        """What intrinsic plasticity has added to the thresholds, a view."""
        return self.neuron_PFN[:, OFFSET, : self.n_neurons]

    @property
    def rate_PN(self) -> Tensor:
        """Running means of the rates in Hz, a view; kept where synaptic scaling is on."""
        return self.neuron_PFN[:, RATE, : self.n_neurons]

    @property
    def post_fast_PN(self) -> Tensor:
        """Traces o1 of the neurons' spikes, a view; kept where STDP is on."""
        return self.neuron_PFN[:, POST_FAST, : self.n_neurons]

    @property
    def post_slow_PN(self) -> Tensor:
        """Traces o2 of the neurons' spikes, a view; kept where triplet STDP is on."""
        return self.neuron_PFN[:, POST_SLOW, : self.n_neurons]

    @property
    def strength_PE(self) -> Tensor:
        """Magnitudes of the weights, a view."""
        return self.synapse_PGE[:, STRENGTH]

    @property
    def pre_fast_PE(self) -> Tensor:
        """Traces r1 of arriving spikes, a view; kept where STDP is on."""
        return self.synapse_PGE[:, PRE_FAST]

    @property
    def pre_slow_PE(self) -> Tensor:
        """Traces r2 of arriving spikes, a view; kept where triplet STDP is on."""
        return self.synapse_PGE[:, PRE_SLOW]

    @property
    def eligibility_PE(self) -> Tensor:
        """Eligibility c, a view; kept where reward-modulated STDP is on."""
        return self.synapse_PGE[:, ELIGIBILITY]

    @property
    def dopamine_P(self) -> Tensor:
        """Dopamine n, a view; kept where reward-modulated STDP is on."""
        return self.modulation_PM[:, DOPAMINE]

    @property
    def reward_mean_P(self) -> Tensor:
        """Running means of the rewards, a view."""
        return self.modulation_PM[:, REWARD_MEAN]

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors by name; `NetworkState(**state)` is the same state."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> NetworkState:
        """The state from what `state_dict` gave.

        Raises:
            ValueError: a tensor is missing, or one is unknown.
        """
        names = {item.name for item in fields(cls)}
        if set(state) != names:
            raise ValueError(f"NetworkState: expected {sorted(names)}, got {sorted(state)}")
        return cls(**state)

    def clone(self) -> NetworkState:
        """A copy that shares nothing."""
        return NetworkState(**{name: tensor.clone() for name, tensor in self.state_dict().items()})

    def to(self, device: str | torch.device) -> NetworkState:
        """The state on a device."""
        return NetworkState(**{name: tensor.to(device) for name, tensor in self.state_dict().items()})

    def rows(self, index: Tensor) -> NetworkState:
        """Copies of some rows.

        Args:
            index: numbers of rows, int64, any length, or a mask, bool (P,).
        """
        return NetworkState(**{name: tensor[index] for name, tensor in self.state_dict().items()})

    def set_rows_(self, index: Tensor, state: NetworkState) -> None:
        """Overwrite some rows by those of another state, in place.

        Args:
            index: numbers of the rows to overwrite, distinct, int64 (R,), or a mask, bool (P,).
            state: R rows.
        """
        for name, tensor in self.state_dict().items():
            tensor[index] = getattr(state, name)
