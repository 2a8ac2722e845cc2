"""A batch of plastic spiking networks, each with its own weights, traces and thresholds.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from evosnn import kernels
from evosnn import network_parameters as parameter
from evosnn import network_state as variable
from evosnn.afferents import FIRST_PHASE, AfferentDrive
from evosnn.kernels.plan import MODES, Drive
from evosnn.network_parameters import COEFFICIENT, NetworkParameters, pack_genomes
from evosnn.network_state import NetworkState
from evosnn.recording import Recording

if TYPE_CHECKING:
    from evosnn.genome import Genome


class Network:
    """Networks that genomes describe, padded to one size and run together; each row as if it were alone.

    In each step of h ms, in this order:

        arrivals    w of every spike that a source sent `delay` steps ago
        membrane    V <- p22 V + p21 I + p20 (bias + external),  I <- p11 I + arrivals
        spikes      where V >= threshold + beta a + offset and the neuron is not refractory; then V <- 0
        plasticity  STDP reads the traces as they were before these spikes; reward acts through the eligibility
        traces      of arrivals, of spikes, of adaptation, of rates; every 10 steps scaling and normalisation

    Args:
        genomes: at least one; all with the same numbers of afferents and outputs.
        step_ms: h in ms, > 0. Refractory periods and delays of the genome are in ms, rounded to whole steps.
        device: where states live.
        dtype: float32 or float64.
        plastic: False leaves all weights and thresholds as they were at birth.
        kernel: "auto" takes the fastest for the device, "reference" plain torch.

    Raises:
        ValueError: there is no genome, they disagree in afferents or outputs, or a delay is too long for the step.
    """

    def __init__(
        self,
        genomes: Sequence[Genome],
        *,
        step_ms: float = 1.0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        plastic: bool = True,
        kernel: Literal["auto", "reference"] = "auto",
    ) -> None:
        genomes = list(genomes)
        if not genomes:
            raise ValueError("Network: genomes must hold at least one genome")
        sizes = {(genome.n_afferents, genome.n_outputs) for genome in genomes}
        if len(sizes) > 1:
            raise ValueError(f"Network: genomes must agree in (afferents, outputs), got {sorted(sizes)}")
        if not step_ms > 0:
            raise ValueError(f"Network: step_ms must be > 0, got {step_ms}")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"Network: dtype must be float32 or float64, got {dtype}")
        if kernel not in ("auto", "reference"):
            raise ValueError(f"Network: kernel must be auto or reference, got {kernel!r}")
        ((self.n_afferents, self.n_outputs),) = sizes
        self.step_ms, self.plastic, self.kernel = step_ms, plastic, kernel
        self._n_neurons = max(genome.n_neurons for genome in genomes)
        parameters, number_PE = pack_genomes(genomes, step_ms, dtype, plastic=plastic)
        self.parameters: NetworkParameters = parameters.to(torch.device(device))
        self.edge_number_PE: Tensor = torch.from_numpy(number_PE)

    def __len__(self) -> int:
        return len(self.parameters.rule_PR)

    @property
    def device(self) -> torch.device:
        """Where states live."""
        return self.parameters.rule_PR.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the states."""
        return self.parameters.rule_PR.dtype

    @property
    def n_neurons(self) -> int:
        """N, the neurons of the largest network."""
        return self._n_neurons

    @property
    def n_edges(self) -> int:
        """E, the enabled edges of the largest network, and more for padding."""
        return self.parameters.sign_PE.shape[1]

    @property
    def source_PE(self) -> Tensor:
        """Source of each edge, int32; edges are ordered by target and padded at the end."""
        return self.parameters.edge_PJE[:, parameter.SOURCE]

    @property
    def target_PE(self) -> Tensor:
        """Target of each edge, int32."""
        return self.parameters.edge_PJE[:, parameter.TARGET]

    @property
    def delay_PE(self) -> Tensor:
        """Delay of each edge in steps, int32; 0 in padding."""
        return self.parameters.edge_PJE[:, parameter.DELAY]

    @property
    def sign_PE(self) -> Tensor:
        """Sign of each edge, 0 in padding."""
        return self.parameters.sign_PE

    def rows(self, index: Tensor) -> Network:
        """A network of some rows, in any number and order: individuals once an episode, for example.

        Args:
            index: numbers of rows, int64 (B,), or a mask, bool (P,).
        """
        network = object.__new__(Network)
        network.__dict__.update(self.__dict__)
        network.parameters = self.parameters.rows(index.to(self.device))
        network.edge_number_PE = self.edge_number_PE[index.cpu()]
        return network

    def initial_state(self) -> NetworkState:
        """The state at birth: at rest, no spikes so far, weights of the genome, rates at the target."""
        n_rows, n_neurons, n_edges = len(self), self.n_neurons, self.n_edges
        neurons_PKN, rule_PR = self.parameters.neuron_PKN, self.parameters.rule_PR
        neuron_PFN = rule_PR.new_zeros(n_rows, variable.N_NEURON_VARIABLES, neurons_PKN.shape[2])
        real_PN = neurons_PKN[:, parameter.THRESHOLD].isfinite()
        neuron_PFN[:, variable.RATE] = real_PN * rule_PR[:, COEFFICIENT["target_hz"], None]
        synapse_PGE = rule_PR.new_zeros(n_rows, variable.N_SYNAPSE_VARIABLES, n_edges)
        synapse_PGE[:, variable.STRENGTH] = self.parameters.strength_PE
        n_sources = self.n_afferents + n_neurons
        return NetworkState(
            neuron_PFN=neuron_PFN,
            synapse_PGE=synapse_PGE,
            modulation_PM=rule_PR.new_zeros(n_rows, variable.N_MODULATION_VARIABLES),
            history_PS=torch.zeros(n_rows, n_sources, dtype=torch.int64, device=self.device),
            phase_PC=rule_PR.new_full((n_rows, self.n_afferents), FIRST_PHASE),
            time_P=torch.zeros(n_rows, dtype=torch.int64, device=self.device),
        )

    def weights(self, state: NetworkState) -> Tensor:
        """Weights with their signs, (P, E), 0 in padding."""
        return self.sign_PE * state.strength_PE

    def arrivals(self, state: NetworkState, steps: int) -> Tensor:
        """Spikes that the source of each edge sent in the last steps, int64 (P, E), 0 in padding.

        Args:
            state: of this network.
            steps: how far to look back, 1 to 62.

        Raises:
            ValueError: steps is out of its range.
        """
        if not 1 <= steps <= parameter.LONGEST_DELAY:
            raise ValueError(f"Network: steps must be 1 to {parameter.LONGEST_DELAY}, got {steps}")
        counts_PS = torch.zeros_like(state.history_PS)
        for step in range(steps):
            counts_PS += (state.history_PS >> (variable.LAST_STEP - step)) & 1
        return counts_PS.gather(1, self.source_PE.long()) * (self.sign_PE != 0)

    def in_genome_order(self, value_PE: Tensor, row: int, default: np.ndarray) -> np.ndarray:
        """Values of the edges of one row in the order of its genome's edges.

        Args:
            value_PE: a value for each edge.
            row: number of the individual.
            default: of the genome's edges, for those that are disabled.
        """
        number_E = self.edge_number_PE[row].numpy()
        values = default.copy()
        values[number_E[number_E >= 0]] = value_PE[row].cpu().numpy()[number_E >= 0]
        return values

    def learned_weight(self, state: NetworkState, row: int, genome: Genome) -> np.ndarray:
        """Weights of one row in the order of its genome's edges, float32; disabled edges as they are in the genome.

        Args:
            state: of this network.
            row: number of the individual.
            genome: that the row was made of.
        """
        return self.in_genome_order(self.weights(state), row, genome.weight)

    def run_(
        self,
        afferents: AfferentDrive,
        state: NetworkState,
        steps: int,
        *,
        reward_P: Tensor | None = None,
        active_P: Tensor | None = None,
        external_PN: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run all networks for some steps; the state is changed in place.

        Args:
            afferents: how the afferents spike.
            state: of `initial_state`, on the device of the network.
            steps: number of steps of h ms, >= 0. Many short runs are one long run.
            reward_P: reward that comes in the first step, (P,); None for no reward, which is not a reward of 0 where
                rewards are centred.
            active_P: rows that run, bool (P,); all by default. The others stay as they are, and spike never.
            external_PN: constant current into each neuron besides its bias, (P, N).

        Returns:
            Spikes of each neuron, and the step of its first spike, `steps` where there is none, int32 (P, N) each.

        Raises:
            ValueError: a shape does not fit, or a current is not finite.
        """
        n_rows, shape = len(self), (len(self), self.n_neurons)
        for name, tensor, expected in (
            ("drive_PC", afferents.drive_PC, (n_rows, self.n_afferents)),
            ("reward_P", reward_P, (n_rows,)),
            ("active_P", active_P, (n_rows,)),
            ("external_PN", external_PN, shape),
            ("state", state.time_P, (n_rows,)),
        ):
            if tensor is not None and tuple(tensor.shape) != expected:
                raise ValueError(f"Network: {name} must have shape {expected}, got {tuple(tensor.shape)}")
        if steps < 0:
            raise ValueError(f"Network: steps must be >= 0, got {steps}")
        if external_PN is not None and not bool(external_PN.isfinite().all()):
            raise ValueError("Network: external_PN must be finite")
        options = {"dtype": self.dtype, "device": self.device}
        drive = Drive(
            drive_PC=afferents.drive_PC.detach().to(**options).contiguous(),
            stream_P=afferents.stream_P().to(self.device),
            mode=MODES[afferents.mode],
            external_PN=None if external_PN is None else self._padded(external_PN.detach().to(**options)),
            reward_P=None if reward_P is None else reward_P.detach().to(**options).contiguous(),
            active_P=torch.ones(n_rows, dtype=torch.bool, device=self.device)
            if active_P is None
            else active_P.to(self.device).bool().contiguous(),
            steps=steps,
            rate_scale=1000 / self.step_ms,
        )
        counts_PN = torch.zeros(shape, dtype=torch.int32, device=self.device)
        first_PN = torch.full(shape, steps, dtype=torch.int32, device=self.device)
        kernels.run_(self.parameters, state, drive, counts_PN, first_PN, kernel=self.kernel)
        return counts_PN, first_PN

    def _padded(self, x_PN: Tensor) -> Tensor:
        """Pad to the neurons that kernels see, with 0 where a network has no neuron."""
        real_PN = self.parameters.neurons(parameter.THRESHOLD).isfinite()
        n_padding = real_PN.shape[1] - x_PN.shape[1]
        return torch.where(real_PN, torch.nn.functional.pad(x_PN, (0, n_padding)), 0.0)

    def step(
        self,
        current_PN: Tensor | None,
        state: NetworkState,
        reward: Tensor | float | None = None,
        afferents_PC: Tensor | None = None,
    ) -> tuple[Tensor, NetworkState]:
        """Bring all networks one step on.

        Args:
            current_PN: external current into each neuron, in units of the membrane at rest, (P, N), or None.
            state: stays as it is.
            reward: of the last step, (P,), or one for all, or None.
            afferents_PC: spikes of the afferents in this step, 0 or 1, (P, C); none by default.

        Returns:
            Spikes, bool (P, N), and the new state.

        Raises:
            ValueError: a shape does not fit, or a current or reward is not finite.
        """
        state = state.clone()
        if afferents_PC is None:
            afferents_PC = torch.zeros(len(self), self.n_afferents, device=self.device)
        if reward is not None:
            reward = torch.as_tensor(reward, dtype=self.dtype, device=self.device)
            if not bool(reward.isfinite().all()):
                raise ValueError("Network: reward must be finite")
            reward = reward.expand(len(self)) if reward.dim() == 0 else reward
        drive = AfferentDrive(afferents_PC, mode="spikes")
        counts_PN, _ = self.run_(drive, state, 1, reward_P=reward, external_PN=current_PN)
        return counts_PN > 0, state

    def record_(
        self, afferents: AfferentDrive, state: NetworkState, steps: int, *, reward_P: Tensor | None = None
    ) -> Recording:
        """Run as `run_` does and keep what happened in every step: for rasters and the evolution of weights.

        Args:
            afferents: as for `run_`.
            state: changed in place.
            steps: number of steps T, >= 1.
            reward_P: as for `run_`.

        Returns:
            The recording, of all rows.
        """
        spikes, afferent_spikes, membranes, weights = [], [], [], []
        for t in range(steps):
            self.run_(afferents, state, 1, reward_P=reward_P if t == 0 else None)
            last_PS = state.last_spikes_PS
            afferent_spikes.append(last_PS[:, : self.n_afferents])
            spikes.append(last_PS[:, self.n_afferents :])
            membranes.append(state.membrane_PN.clone())
            weights.append(self.weights(state))
        return Recording(*(torch.stack(parts) for parts in (spikes, afferent_spikes, membranes, weights)))
