"""How much memory a network takes, asked before any of it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from lsm.layout import MOST_SMALL, Layout
from lsm.network import Network
from lsm.short_term_states import short_term_states
from lsm.store import CONSTANT, PLASTIC, PROCEDURAL, StorePlan

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
_SHORT_TERM = 24  # bytes of u, x and the last spike of a source
_SPARE = 0.95  # of what is free may be taken


class NetworkTooLarge(ValueError):  # noqa: N818
    """A network that does not fit in memory.

    Args:
        needed: bytes that the network takes.
        available: bytes that are free.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"build: the network needs about {needed:,} bytes of memory, {available:,} are available; "
            "fewer synapses a neuron, constant weights, or processes on more machines make it fit"
        )
        self.needed, self.available = needed, available

    def __reduce__(self) -> tuple[type[NetworkTooLarge], tuple[int, int]]:
        return NetworkTooLarge, (self.needed, self.available)


def available_memory() -> int:
    """Bytes that this process may still take: what the machine has free, within the limit of its container."""
    free = _free_on_machine()
    for limit_path, use_path in zip(_CGROUP_LIMITS, _CGROUP_USES, strict=True):
        try:
            free = min(free, int(Path(limit_path).read_text()) - int(Path(use_path).read_text()))
        except (OSError, ValueError):  # no such controller, or no limit: "max"
            continue
    return max(0, free)


def _free_on_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        if "SC_AVPHYS_PAGES" in os.sysconf_names:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return 1 << 62  # nothing known: the allocation itself will tell


def network_bytes(network: Network, layout: Layout, plans: list[StorePlan], *, steps: int, real: int) -> int:
    """Bytes of a simulation while it is built.

    Args:
        network: the description.
        layout: its partitions.
        plans: its stores.
        steps: that the spike history holds.
        real: bytes of a floating-point state, 4 or 8.

    Returns:
        Bytes, from the mean numbers of synapses.
    """
    n_partitions = layout.n_partitions
    target = 2 if layout.most_local <= MOST_SMALL else 4
    total = 0.0
    for plan in plans:
        each = {CONSTANT: target, PLASTIC: target + 2 * real + 8, PROCEDURAL: 0}.get(plan.kind, 2 * target)
        total += each * sum(projection.rule.expected(projection.pair(network.seed)) for projection in plan.projections)
        # pointers, and the counts from which they are made
        if plan.kind != PROCEDURAL:
            total += 8 * n_partitions * (plan.projections[0].pre.n * plan.n_delays + 1)
    for population in network.populations:
        total += population.n * (real * len(population.model.variables) + 2 if population.model else 0)
    states = short_term_states(network.projections)
    total += sum(_SHORT_TERM * network.populations[source].n for source, _ in states)
    return int(total + 4 * (1 + len(states)) * steps * n_partitions * layout.most_local)


def check_memory(needed: int, processes: int = 1) -> None:
    """Raise NetworkTooLarge where so many bytes are not free.

    Args:
        needed: bytes of the whole network.
        processes: that share it; torchrun tells how many of them are on this machine, all of them are without it.
    """
    here = min(processes, int(os.environ.get("LOCAL_WORLD_SIZE", processes)))
    needed, available = -(-needed * here // processes), available_memory()
    if needed > _SPARE * available:
        raise NetworkTooLarge(needed, available)
