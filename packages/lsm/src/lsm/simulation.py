"""A built network that runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch.distributed as dist
from numpy.typing import ArrayLike, NDArray

from lsm import engine, simulation_file, store
from lsm.build import build_stores
from lsm.connections import Connections, connections
from lsm.history import chunk_spikes, empty_history
from lsm.input_spikes import input_arrays
from lsm.kernels import plastic_arrays, run
from lsm.kernels.numba_jit import default_threads
from lsm.layout import TILES
from lsm.memory import check_memory
from lsm.network import Network, whole_steps
from lsm.plan import plan_simulation
from lsm.plastic_stores import is_plastic, learning_arrays
from lsm.plastic_weights import forget_traces, plastic_weights
from lsm.projection import Population, Projection
from lsm.ranks import Group, Ranks, group_of
from lsm.recording import Recording
from lsm.short_term_states import short_term_arrays

Inputs = Mapping[str, tuple[ArrayLike, ArrayLike]]


class Simulation:
    """A network with its synapses and state; made by `Network.build`.

    Args:
        network: the description.
        device: as in `Network.build`.
        precision: "float32" or "float64".
        threads: of the simulation, or None.
        partitions: parts that threads share out, or None.
        group: processes that share the network, "alone", or None.
        procedural: whether synapses that can be drawn again at each spike are not kept.
    """

    def __init__(
        self,
        network: Network,
        device: str = "auto",
        *,
        precision: Literal["float32", "float64"] = "float32",
        threads: int | None = None,
        partitions: int | None = None,
        group: Group = None,
        procedural: bool = False,
    ) -> None:
        if precision not in ("float32", "float64"):
            raise ValueError(f"build: precision must be 'float32' or 'float64', got {precision!r}")
        self.network, self.device, self.precision, self.procedural = network, device, precision, procedural
        shared = group_of(group)
        processes = 1 if shared is None else dist.get_world_size(shared)
        partitions = run.check_where(device, threads, partitions, processes)
        self.threads = min(TILES, default_threads() if threads is None else threads)
        plan = plan_simulation(network, self.threads, partitions, processes, procedural)
        self.layout, self.quantum_GR = plan.layout, plan.quantum_GR
        self.ranks = Ranks(shared, self.layout.n_partitions)
        self.ranks.check_network(network)
        self.shortest_delay, self.longest_delay = plan.shortest_delay, plan.longest_delay
        self.history_steps = plan.history_steps
        real = np.dtype(precision)
        check_memory(plan.n_bytes(network, real.itemsize), processes)
        of_build = (plan.stores, plan.quantum_GR, self.threads, real, self.ranks.own)
        self.stores = build_stores(network, self.layout, *of_build)
        self.neurons = engine.neuron_arrays(network, self.layout, plan.quantum_GR, real)
        self.drives = engine.drive_arrays(network, plan.quantum_GR)
        self.spikes = empty_history(self.layout, plan.history_steps + plan.shortest_delay)
        self.short_term = short_term_arrays(network.projections, network.step, self.spikes)
        self.learning = learning_arrays(network, self.layout, plan.stores, self.stores, plan.quantum_GR, real)
        self.work = run.work_arrays(self.layout, network, self.threads)
        self.on_device = run.on_device(self) if device.startswith("cuda") else None
        self.steps_done = 0
        self.events = 0

    @property
    def n_neurons(self) -> int:
        """Number of neurons, inputs among them."""
        return self.network.n_neurons

    @property
    def synapses(self) -> int:
        """Number of synapses; where processes share the network, of this one."""
        drawn = self.stores.table_SF[:, store.K] * self.stores.table_SF[:, store.N_PRE]
        kept = len(self.stores.targets) + len(self.stores.synapses) + len(self.stores.learning_targets)
        return kept + int(drawn.sum()) // self.ranks.size

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays; of the spike history, what spikes have touched at most."""
        of_neurons = (*self.neurons, *self.drives, *self.work, *self.spikes)
        return sum(part.nbytes for part in (*self.stores, *of_neurons, *self.short_term, *self.learning))

    @property
    def synapse_bytes(self) -> int:
        """Bytes of the synapses and the pointers to them; of those that learn, with the way back from their targets."""
        learning = self.learning
        back = (learning.eligibility, learning.incoming, learning.place, learning.source)
        return sum(part.nbytes for part in (*self.stores, *back))

    @property
    def bytes_per_synapse(self) -> float:
        """Bytes of the synapses and the pointers to them, per synapse."""
        return self.synapse_bytes / max(1, self.synapses)

    @property
    def time(self) -> float:
        """Simulated time, ms."""
        return self.steps_done * self.network.step

    def connections(self, projection: Projection) -> Connections:
        """List the synapses of a projection.

        Args:
            projection: one of `Network.projections`.

        Returns:
            Sources, targets, weights at the start and delays, sorted by source, target and delay.
        """
        return connections(self.network, projection)

    def state(self, population: Population | str) -> dict[str, NDArray[np.floating]]:
        """The state of a population's neurons, which may be written to.

        Where processes share the network, only the neurons of this one's partitions are up to date.

        Args:
            population: it or its name.

        Returns:
            Variables by name, (n,) each, for example "membrane", mV above rest.
        """
        found = self.network.find(population)
        names = found.model.variables if found.model else ()
        begin = self.neurons.state_G[found.index]
        rows = self.neurons.state[begin : begin + len(names) * found.n].reshape(len(names), found.n)
        return dict(zip(names, rows, strict=True))

    def reset(self, time: float = 0.0) -> None:
        """Go back to the starting membranes, without spikes in flight; what synapses have learnt stays.

        Args:
            time: where the clock goes on, ms; drives draw the same spikes at the same time.

        Raises:
            ValueError: time is negative or no whole number of steps.
        """
        steps = whole_steps("reset: time", time, self.network.step)
        fresh = engine.neuron_arrays(self.network, self.layout, self.quantum_GR, np.dtype(self.precision))
        self.neurons.state[:], self.neurons.clock[:] = fresh.state, fresh.clock
        self.spikes.start_WPG[:] = 0
        rested = short_term_arrays(self.network.projections, self.network.step, self.spikes)
        for name in ("u", "x", "last"):
            getattr(self.short_term, name)[:] = getattr(rested, name)
        forget_traces(self)
        self.steps_done = steps

    def save(self, path: str | Path) -> None:
        """Write the network's description and the state to a file, from which `lsm.load` goes on to the last bit.

        Args:
            path: the file; what was there stays until the new one is whole.

        Raises:
            OSError: the file cannot be written.
        """
        simulation_file.save(self, path)

    def weights(self, projection: Projection) -> tuple[NDArray[np.floating], NDArray[np.int64], NDArray[np.int64]]:
        """Weights of synapses that learn, as the next spike of their source would deliver them.

        A synapse lives by a clock that its delay sets back: these are the weights of `delay` ago.

        Args:
            projection: one of `Network.projections`, with STDP or DopamineSTDP.

        Returns:
            Weights, sources and targets in their populations, sorted by source and target.

        Raises:
            ValueError: its synapses do not learn.
        """
        learning = [other for other in self.network.projections if is_plastic(other)]
        for learner, other in enumerate(learning):
            if other is projection:
                return plastic_weights(self, learner)
        raise ValueError(f"weights: projection {projection.index} has no synapses that learn")

    def reward(self, amount: float) -> None:
        """Release dopamine now at all synapses that it gates, as `amount` spikes of a dopaminergic neuron would.

        Args:
            amount: may be negative, as for a reward that was expected and did not come.

        Raises:
            ValueError: the amount is not finite, or no synapse is gated.
        """
        gated = self.learning.table_LX[:, plastic_arrays.GATED] != 0
        if not (math.isfinite(amount) and gated.any()):
            raise ValueError(f"reward: needs a finite amount and DopamineSTDP synapses, got {amount}")
        added_L = amount * self.learning.dopamine_LD[:, plastic_arrays.RELEASE]
        self.learning.level_LPX[gated, :, plastic_arrays.LEVEL] += added_L[gated, None]

    def run(
        self,
        duration: float,
        inputs: Inputs | None = None,
        *,
        record: bool | str | Sequence[str] = True,
        reward: float = 0.0,
    ) -> Recording:
        """Go on for some time.

        Args:
            duration: ms, a whole number of steps.
            inputs: spikes of input populations: name to (times, channels), times in ms since the beginning of this run,
                0 to duration. A spike belongs to the step that ends at its time or next after it; several of a channel
                in one step are one.
            record: True for the spikes of all populations, False for counts only, or names of populations.
            reward: dopamine released at the beginning, see `Simulation.reward`.

        Returns:
            The spikes.

        Raises:
            ValueError: duration is no whole number of steps, a name is unknown, or inputs lie outside the run.
        """
        populations = self.network.populations
        if isinstance(record, bool):
            kept = [record] * len(populations)
        else:
            names = {self.network.find(name).name for name in ([record] if isinstance(record, str) else record)}
            kept = [population.name in names for population in populations]
        steps_n, ids_n, count_G = [], [], np.zeros(len(populations), np.int64)
        for first_step, part_G, step_n, id_n in self.chunks(duration, inputs, np.array(kept), reward):
            count_G += part_G
            steps_n.append(step_n + first_step)
            ids_n.append(id_n)
        steps = np.concatenate([np.empty(0, np.int64), *steps_n])
        return Recording(
            times=np.multiply(steps + 1, self.network.step, dtype=np.float64),
            ids=np.concatenate([np.empty(0, np.int64), *ids_n]),
            counts={population.name: int(n) for population, n in zip(populations, count_G, strict=True)},
            sizes={population.name: population.n for population in populations},
            duration=duration,
        )

    def chunks(
        self, duration: float, inputs: Inputs | None, kept_G: NDArray[np.bool_], reward: float = 0.0
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Go on chunk by chunk, so that no more than a chunk's spikes are held.

        Args:
            duration: ms, a whole number of steps.
            inputs: as in `run`.
            kept_G: populations whose spikes are given, bool, (G,).
            reward: as in `run`.

        Yields:
            First step of the chunk; spikes of each population, (G,); step in the chunk and global id of each spike of
            the kept populations, sorted by both.
        """
        n_steps = whole_steps("run: duration", duration, self.network.step)
        arriving = input_arrays(self.network, inputs or {}, n_steps)
        if reward:  # not before all else was looked at: who asks again does not reward twice
            self.reward(reward)
        n_slots = len(self.spikes.start_WPG)
        done = 0
        while done < n_steps:
            n = min(n_slots, n_steps - done)
            since = self.steps_done
            # spikes of other processes arrive after the shortest delay at the earliest
            stride, events = n if self.ranks.size == 1 else self.shortest_delay, 0
            for begin in range(done, done + n, stride):
                end = min(begin + stride, done + n)
                part = arriving._replace(start_GT=arriving.start_GT[:, begin : end + 1])
                events += run.run_steps(self, self.steps_done, end - begin, part)
                self.ranks.exchange(self.spikes, self.short_term, self.steps_done, end - begin)
                self.steps_done += end - begin
            self.events += self.ranks.total(events)
            done += n
            yield since, *chunk_spikes(self.spikes, self.network, since, n, kept_G)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels take, in their order."""
        short_term = self.short_term if len(self.short_term.table_FX) else None
        learning = self.learning if len(self.learning.table_LX) else None
        return self.neurons, self.stores, self.drives, self.spikes, short_term, learning
