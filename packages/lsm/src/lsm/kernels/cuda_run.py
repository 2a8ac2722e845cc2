"""A simulation on a CUDA device: its arrays there, and the steps as launches that a CUDA graph repeats.

Synapses, spikes and sums stay on the device. Membranes and the spikes of a chunk come back after it, so that they can
be read, saved and recorded. Not yet timed on a device.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lsm import store
from lsm.kernels import cuda, models
from lsm.kernels.arrays import InputArrays
from lsm.memory import NetworkTooLarge

if TYPE_CHECKING:
    from lsm.simulation import Simulation

KNOWN = (models.INPUT, models.LIF_DELTA, models.LIF_EXPONENTIAL, models.LIF_TWO_EXPONENTIALS)
GRAPH_STEPS = 100
_BLOCK, _WORKERS = 256, 128


def interpreted() -> bool:
    """Whether Triton runs its kernels on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


class OnDevice:
    """A simulation's arrays on the device.

    Args:
        simulation: with one partition.

    Raises:
        ValueError: it has synapses or neurons that there are no kernels for.
        NetworkTooLarge: it does not fit in the memory of the device.
    """

    def __init__(self, simulation: Simulation) -> None:
        stores, neurons = simulation.stores, simulation.neurons
        kinds, factors = stores.table_SF[:, store.KIND], stores.table_SF[:, store.FACTOR]
        if (kinds >= store.PLASTIC).any() or (factors >= 0).any():
            raise ValueError("build: on CUDA synapses are static and stored; use device='cpu' for others")
        if not np.isin(neurons.model_G, KNOWN).all():
            raise ValueError("build: on CUDA neurons are LIF, delta or exponential; use device='cpu' for others")
        assert simulation.layout.n_partitions == 1
        self.device = torch.device("cpu" if interpreted() else simulation.device)
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            if simulation.n_bytes > free:
                raise NetworkTooLarge(simulation.n_bytes, free)
        self.simulation, self.n = simulation, simulation.network.n_neurons
        self.first_G = np.array([*(p.first for p in simulation.network.populations), self.n])
        half = 4 * stores.synapses.itemsize
        self.mask, self.half = (1 << half) - 1, half
        targets = stores.targets.view(np.int16) if stores.targets.itemsize == 2 else stores.targets
        self.pointers, self.targets, self.synapses = (
            self._there(x) for x in (stores.pointers, targets, stores.synapses)
        )
        rows = [
            (row[store.KIND], row[store.SOURCE], row[store.FIRST_DELAY] + d, d, row[store.N_DELAYS], pointer[0],
             synapse[0], row[store.ROW], row[store.WEIGHT])
            for row, pointer, synapse in zip(stores.table_SF, stores.pointer_SP, stores.synapse_SP, strict=True)
            for d in range(row[store.N_DELAYS])
        ]  # fmt: skip
        self.segments = self._there(np.array(rows, np.int64).reshape(-1, cuda.FIELDS))
        n_slots = len(simulation.spikes.start_WPG)
        self.start_WG = torch.zeros((n_slots, len(self.first_G)), dtype=torch.int32, device=self.device)
        self.id_WN = torch.zeros((n_slots, self.n), dtype=torch.int32, device=self.device)
        self.arrived_RN = torch.zeros(
            (simulation.work.arrived_TRN.shape[1], self.n), dtype=torch.int32, device=self.device
        )
        self.fired_N = torch.zeros(self.n, dtype=torch.int32, device=self.device)
        self.local_N = self._there(np.concatenate([np.arange(n, dtype=np.int32) for n in simulation.layout.sizes]))
        self.first = self._there(self.first_G.astype(np.int64))
        self.constant_GK = self._there(neurons.constant_GK)
        self.keys, self.limits = (
            self._there(x.view(np.int64)) for x in (simulation.drives.key_D, simulation.drives.limits)
        )
        self.time, self.since, self.events = (torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(3))
        self.state, self.clock = self._there(neurons.state.copy()), self._there(neurons.clock.copy())
        self.begin_GT = torch.zeros((len(simulation.layout.sizes), n_slots + 1), dtype=torch.int64, device=self.device)
        self.channel_n = torch.zeros(1, dtype=torch.int32, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def _there(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def run(self, since: int, n_steps: int, inputs: InputArrays) -> int:
        """Advance; give the number of synapses that spikes went through."""
        with torch.cuda.device(self.device) if self.device.type == "cuda" else nullcontext():
            return self._run(since, n_steps, inputs)

    def _run(self, since: int, n_steps: int, inputs: InputArrays) -> int:
        neurons, spikes = self.simulation.neurons, self.simulation.spikes
        self.state.copy_(torch.from_numpy(neurons.state))
        self.clock.copy_(torch.from_numpy(neurons.clock))
        self._take_inputs(inputs)
        self._take_spikes()
        self.time.fill_(since)
        self.since.fill_(since)
        self.events.zero_()
        done = 0
        if self.device.type == "cuda" and n_steps > GRAPH_STEPS:
            if self.graph is None:
                self.step()  # compiles what the graph then records
                done, self.graph = 1, torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):
                    for _ in range(GRAPH_STEPS):
                        self.step()
            while n_steps - done >= GRAPH_STEPS:
                self.graph.replay()
                done += GRAPH_STEPS
        for _ in range(n_steps - done):
            self.step()
        neurons.state[:], neurons.clock[:] = self.state.cpu().numpy(), self.clock.cpu().numpy()
        spikes.start_WPG[:, 0] = self.start_WG.cpu().numpy()
        most = int(spikes.start_WPG[:, 0, -1].max())
        spikes.id_WPN[:, 0, :most] = self.id_WN[:, :most].cpu().numpy()
        return int(self.events)

    def _take_inputs(self, inputs: InputArrays) -> None:
        """Put the spikes of input populations where the graph reads them."""
        begin_GT = np.broadcast_to(inputs.start_GT[:, -1:], self.begin_GT.shape).copy()
        begin_GT[:, : inputs.start_GT.shape[1]] = inputs.start_GT
        used = begin_GT[:, :1].min(initial=len(inputs.id_n)), begin_GT.max(initial=0)
        channel_n = inputs.id_n[used[0] : used[1]]
        self.begin_GT.copy_(torch.from_numpy(begin_GT - used[0]))
        if len(channel_n) > len(self.channel_n):
            self.channel_n = torch.zeros(2 * len(channel_n), dtype=torch.int32, device=self.device)
            self.graph = None  # it reads from the old place
        self.channel_n[: len(channel_n)] = torch.from_numpy(channel_n.copy()).to(self.device)

    def _take_spikes(self) -> None:
        """Take the spikes in flight from the simulation, which may have been loaded or reset."""
        spikes = self.simulation.spikes
        self.start_WG.copy_(torch.from_numpy(spikes.start_WPG[:, 0]))
        most = int(spikes.start_WPG[:, 0, -1].max())
        self.id_WN[:, :most] = torch.from_numpy(np.ascontiguousarray(spikes.id_WPN[:, 0, :most])).to(self.device)

    def step(self) -> None:
        """Launch one step."""
        simulation, n = self.simulation, self.n
        n_slots, n_columns = self.start_WG.shape
        if len(self.segments):
            cuda.deliver[len(self.segments), _WORKERS if self.device.type == "cuda" else 1](
                self.segments, self.start_WG, self.id_WN, self.pointers, self.targets, self.synapses, self.arrived_RN,
                self.events, self.time, n_slots, n_columns, n, _WORKERS if self.device.type == "cuda" else 1,
                MASK=self.mask, HALF=self.half, BLOCK=_BLOCK, **cuda.OPTIONS,
            )  # fmt: skip
        for d, (g, row, weight, least, begin, end) in enumerate(simulation.drives.table_DF.tolist()):
            size, n_limits = simulation.layout.sizes[g], end - begin
            cuda.drive[(-(-size // _BLOCK),)](
                self.arrived_RN[row], self.keys[d:], self.limits[begin:end], self.time, weight, least, n_limits,
                int(self.first_G[g]), size, halvings=n_limits.bit_length(), BLOCK=_BLOCK, **cuda.OPTIONS,
            )  # fmt: skip
        neurons = simulation.neurons
        for g, model in enumerate(neurons.model_G.tolist()):
            first, size = int(self.first_G[g]), simulation.layout.sizes[g]
            if model == models.INPUT:
                cuda.give_inputs[(1,)](
                    self.begin_GT[g], self.channel_n, self.fired_N, self.time, self.since, self.begin_GT.shape[1] - 1,
                    first, BLOCK=_BLOCK, **cuda.OPTIONS,
                )  # fmt: skip
                continue
            cuda.update[(-(-size // _BLOCK),)](
                self.constant_GK[g], self.state[int(neurons.state_G[g]) :], self.clock[int(neurons.clock_G[g]) :],
                self.arrived_RN, self.fired_N, first, size, n,
                MODEL=model, SECOND_ROW=1, BLOCK=_BLOCK, **cuda.OPTIONS,
            )  # fmt: skip
        rank_N = torch.cumsum(self.fired_N, 0, dtype=torch.int32)
        columns = 1 << (n_columns - 1).bit_length()
        cuda.list_fired[(-(-n // _BLOCK),)](
            self.fired_N, rank_N, self.local_N, self.first, self.id_WN, self.start_WG, self.time, n_slots, n_columns, n,
            BLOCK=_BLOCK, COLUMNS=columns, **cuda.OPTIONS,
        )  # fmt: skip
        self.time += 1
