"""Processes that share a network: each owns partitions, and all hear of every spike.

Under `torch.distributed` every process draws and runs the synapses of its own partitions. Spikes are exchanged whenever
the shortest delay has passed, before any of them can arrive. Results do not depend on the number of processes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from lsm.kernels.arrays import SpikeArrays
from lsm.kernels.short_term import SOURCE, ShortTermArrays
from lsm.network_description import describe

if TYPE_CHECKING:
    from lsm.network import Network

_ROOM = 1 << 12  # whole numbers that a process sends at first


@dataclass
class Ranks:
    """Who owns which partitions, and the exchange.

    Args:
        group: the processes; None where there is one alone.
        n_partitions: of the network.
        room: whole numbers that each process may send at once; grows, for all of them, when one has more to say.
    """

    group: dist.ProcessGroup | None
    n_partitions: int
    room: int = field(default=_ROOM)

    @property
    def size(self) -> int:
        """Number of processes."""
        return 1 if self.group is None else dist.get_world_size(self.group)

    @property
    def rank(self) -> int:
        """Number of this process."""
        return 0 if self.group is None else dist.get_rank(self.group)

    def partitions_of(self, rank: int) -> range:
        """Partitions that a process owns."""
        return range(self.n_partitions * rank // self.size, self.n_partitions * (rank + 1) // self.size)

    @property
    def own(self) -> range:
        """Partitions of this process."""
        return self.partitions_of(self.rank)

    def gather(self, value: Any) -> list[Any]:
        """What each process holds, in order of rank."""
        if self.group is None:
            return [value]
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value, group=self.group)
        return gathered

    def total(self, value: int) -> int:
        """The sum over all processes."""
        if self.group is None:
            return value
        tensor = torch.tensor([value])
        dist.all_reduce(tensor, group=self.group)
        return int(tensor)

    def check_network(self, network: Network) -> None:
        """See that all processes describe the same network.

        Raises:
            ValueError: they do not.
        """
        if self.group is None:
            return
        facts, arrays = describe(network)
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for name in sorted(arrays):
            digest.update(np.ascontiguousarray(arrays[name]).tobytes())
        if len(set(self.gather(digest.hexdigest()))) > 1:
            raise ValueError("build: the processes describe different networks")

    def exchange(self, spikes: SpikeArrays, states: ShortTermArrays, since: int, n_steps: int) -> None:
        """Bring the spikes of some steps, and their short-term factors, to every process.

        Args:
            spikes: the history; own partitions are sent, all others written.
            states: short-term states.
            since: first step.
            n_steps: number of steps.
        """
        if self.group is None:
            return
        message = _packed(spikes, states, since, n_steps, self.own)
        while True:
            sent = np.zeros(self.room + 1, np.int32)
            sent[0] = len(message)
            sent[1 : 1 + min(len(message), self.room)] = message[: self.room]
            received = [torch.empty(self.room + 1, dtype=torch.int32) for _ in range(self.size)]
            dist.all_gather(received, torch.from_numpy(sent), group=self.group)
            longest = max(int(part[0]) for part in received)
            if longest <= self.room:
                break
            self.room = 2 * longest  # every process sees the same lengths, so all of them send again
        for rank, part in enumerate(received):
            if rank != self.rank:
                _unpack(part.numpy()[1 : 1 + int(part[0])], spikes, states, since, n_steps, self.partitions_of(rank))


Group = dist.ProcessGroup | Literal["alone"] | None


def group_of(group: Group) -> dist.ProcessGroup | None:
    """The processes that share a simulation: those given, or all; None for one alone.

    Raises:
        ValueError: they have no backend for what is in the memory of the host.
    """
    if group == "alone":
        return None
    if group is None and dist.is_available() and dist.is_initialized():
        group = dist.group.WORLD
    if group is None or dist.get_world_size(group) == 1:
        return None
    if dist.get_backend(group) == "nccl":
        raise ValueError("build: processes exchange spikes through gloo, got one of nccl; use group='alone' or gloo")
    return group


def _packed(
    spikes: SpikeArrays, states: ShortTermArrays, since: int, n_steps: int, partitions: range
) -> NDArray[np.int32]:
    parts = []
    for t in range(since, since + n_steps):
        slot = t % len(spikes.start_WPG)
        for p in partitions:
            start_G = spikes.start_WPG[slot, p]
            parts += [start_G, spikes.id_WPN[slot, p, : start_G[-1]]]
            for f, source in enumerate(states.table_FX[:, SOURCE]):
                part = states.factor_FWPN[f, slot, p, start_G[source] : start_G[source + 1]]
                parts.append(part.view(np.int32))
    return np.concatenate([np.empty(0, np.int32), *parts])


def _unpack(
    message: NDArray[np.int32],
    spikes: SpikeArrays,
    states: ShortTermArrays,
    since: int,
    n_steps: int,
    partitions: range,
) -> None:
    at = 0

    def taken(n: int) -> NDArray[np.int32]:
        nonlocal at
        at += n
        return message[at - n : at]

    for t in range(since, since + n_steps):
        slot = t % len(spikes.start_WPG)
        for p in partitions:
            start_G = spikes.start_WPG[slot, p]
            start_G[:] = taken(len(start_G))
            spikes.id_WPN[slot, p, : start_G[-1]] = taken(int(start_G[-1]))
            for f, source in enumerate(states.table_FX[:, SOURCE]):
                begin, end = int(start_G[source]), int(start_G[source + 1])
                states.factor_FWPN[f, slot, p, begin:end] = taken(end - begin).view(np.float32)
    assert at == len(message)
