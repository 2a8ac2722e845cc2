"""Networks living in their tasks: the closed loop of a whole population.

Shapes: P individuals, K episodes each, B = P K rows (the episodes of an individual side by side), N neurons, O
observation values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evosnn.interface import Interface
from evosnn.network import Network
from evosnn.network_state import NetworkState
from evosnn.tasks.numpy_streams import as_seeds
from evosnn.tasks.task import TaskError, rows_of

if TYPE_CHECKING:
    from evosnn.genome import Genome

_BYTES_AT_ONCE = 256 << 20
_ROWS_WORTH_A_THREAD = 256
_KEPT = 0.8  # once fewer rows than this share of those at hand go on, the others are dropped


@dataclass(frozen=True)
class RolloutResult:
    """What became of each individual in each episode.

    Attributes:
        score_PK: the task's score, float64.
        return_PK: sum of rewards, float64.
        steps_PK: environment steps, int64.
        spikes_PK: spikes of all neurons, int64.
        rate_PK: mean rate of a neuron in Hz, float64.
    """

    score_PK: Tensor
    return_PK: Tensor
    steps_PK: Tensor
    spikes_PK: Tensor
    rate_PK: Tensor

    @property
    def total_steps(self) -> int:
        """Environment steps of all."""
        return int(self.steps_PK.sum())


def rollout(
    population: Network | Sequence[Genome],
    interface: Interface,
    seeds: Sequence[int] | Sequence[Sequence[int]] | NDArray[np.integer],
    *,
    rows_at_once: int | None = None,
    device: str | torch.device = "cpu",
) -> RolloutResult:
    """Let every individual live one episode a seed, from birth to its end.

    In each control step a network runs `interface.steps_per_action` micro-steps on the encoded observation, and the
    reward of the step before reaches its plasticity in the first of them, times the task's `reward_scale`. Weights,
    traces and thresholds live through the whole episode, and each episode begins with a network as it was born.

    A row's result depends on its genome and seed alone, not on what runs beside it or on how rows are split.

    Args:
        population: genomes, or their network.
        interface: the task, and what joins networks to it.
        seeds: whole numbers, (K,) for all individuals alike, or (P, K).
        rows_at_once: most rows that run together; by default what fits in about 256 MiB.
        device: where genomes live; a network lives on its own device.

    Returns:
        Scores, returns, steps, spikes and rates, (P, K) each, on the CPU.

    Raises:
        ValueError: genomes or seeds do not fit.
        TaskError: a reward or observation is not finite; names the individual, the seed and the step.
    """
    if isinstance(population, Network):
        network = population
    else:
        network = Network(population, step_ms=interface.step_ms, plastic=interface.plastic, device=device)
    if (network.n_afferents, network.n_outputs) != (interface.n_afferents, interface.n_outputs):
        raise ValueError(
            f"rollout: {interface.task.name} needs {interface.n_afferents} afferents and {interface.n_outputs} "
            f"outputs, the genomes have {network.n_afferents} and {network.n_outputs}"
        )
    seeds_PK = _seed_table(seeds, len(network))
    n_episodes = seeds_PK.shape[1]
    n_rows = seeds_PK.size
    if rows_at_once is None:
        rows_at_once = max(1, _BYTES_AT_ONCE // _row_bytes(network))
    if rows_at_once < 1:
        raise ValueError(f"rollout: rows_at_once must be >= 1, got {rows_at_once}")
    results = torch.empty(n_rows, dtype=torch.float64), *(torch.empty(n_rows, dtype=torch.int64) for _ in range(2))
    threads = _threads(network, interface)
    try:
        for begin in range(0, n_rows, rows_at_once):
            end = min(begin + rows_at_once, n_rows)
            groups = max(1, min(threads, (end - begin) // _ROWS_WORTH_A_THREAD))
            rows = [np.arange(begin + group, end, groups) for group in range(groups)]
            with _torch_threads(1 if groups > 1 else torch.get_num_threads()):
                lives = [_Lives(network, row_B, n_episodes, interface, seeds_PK.ravel()[row_B]) for row_B in rows]
                lived = _live_together(lives)
            for row_B, parts in zip(rows, lived, strict=True):
                for result, part_B in zip(results, parts, strict=True):
                    result[torch.from_numpy(row_B)] = part_B
    except TaskError as error:
        what = f"{error.what}, individual {error.row // n_episodes}, seed {seeds_PK.ravel()[error.row]}:"
        raise TaskError(error.task, what, error.row, error.step) from None
    return_PK, steps_PK, spikes_PK = (result.reshape(seeds_PK.shape) for result in results)
    neurons_P1 = network.parameters.size_PX[:, :1].cpu()
    lived_ms_PK = steps_PK * (interface.steps_per_action * interface.step_ms)
    return RolloutResult(
        score_PK=interface.task.score(return_PK),
        return_PK=return_PK,
        steps_PK=steps_PK,
        spikes_PK=spikes_PK,
        rate_PK=1000.0 * spikes_PK / (lived_ms_PK * neurons_P1).clamp(min=1e-9),
    )


def _seed_table(seeds: Any, n_individuals: int) -> NDArray[np.uint64]:
    if not isinstance(seeds, np.ndarray) and any(isinstance(each, Sequence | np.ndarray) for each in seeds):
        seeds = np.array(seeds)
    if isinstance(seeds, np.ndarray) and seeds.ndim == 2:
        if len(seeds) != n_individuals or not seeds.size:
            raise ValueError(f"rollout: seeds {seeds.shape} for {n_individuals} individuals; expected (K,) or (P, K)")
        return as_seeds(seeds.ravel()).reshape(seeds.shape)
    seeds_K = as_seeds(seeds)
    if not len(seeds_K):
        raise ValueError("rollout: needs at least one seed")
    return np.broadcast_to(seeds_K, (n_individuals, len(seeds_K)))


def _row_bytes(network: Network) -> int:
    """Bytes of one row of parameters and state, about."""
    return 64 * network.n_neurons + 44 * network.n_edges + 12 * network.n_afferents + 256


def _threads(network: Network, interface: Interface) -> int:
    """Threads that rows are shared out over: those of torch, on the CPU, where the task's states are all there is."""
    return torch.get_num_threads() if network.device.type == "cpu" and not interface.task.keeps_rows else 1


def _live_together(lives: Sequence[_Lives]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """All episodes to their ends, each group of rows in a thread of its own.

    Whole lives are shared out, not the single operations: those are too short, and threads of torch that wait for the
    next one by spinning would take the cores from the others.
    """
    if len(lives) == 1:
        return [lives[0].live()]
    lives[0].advance()  # compiles what is to be compiled, before there are threads
    with ThreadPoolExecutor(len(lives) - 1) as pool:
        others = [pool.submit(life.live) for life in lives[1:]]
        return [lives[0].live(), *(other.result() for other in others)]


@contextmanager
def _torch_threads(n: int) -> Iterator[None]:
    """Torch with so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Lives:
    """Rows at hand, and the results of all rows that began together."""

    def __init__(
        self,
        network: Network,
        number_B: NDArray[np.int64],
        n_episodes: int,
        interface: Interface,
        seeds_B: NDArray[np.uint64],
    ) -> None:
        self.interface, self.device, self.number_B = interface, network.device, number_B
        individual_B = torch.from_numpy(number_B // n_episodes)
        whole = len(individual_B) == len(network) and bool((individual_B.diff() == 1).all())
        self.network = network if whole else network.rows(individual_B)
        self.state: NetworkState = self.network.initial_state()
        try:
            self.task_state, self.obs_BO = interface.task.reset(seeds_B, device=self.device)
        except TaskError as error:
            raise self._renamed(error, error.row) from None
        n_rows = len(seeds_B)
        self.trace_BA = interface.decoder.initial_trace(n_rows, interface.task.actions, self.device)
        self.key_B = torch.from_numpy(seeds_B.view(np.int64)).to(self.device)
        self.row_B = torch.arange(n_rows, device=self.device)
        self.reward_B: Tensor | None = None
        self.return_B = torch.zeros(n_rows, dtype=torch.float64, device=self.device)
        self.spikes_B = torch.zeros(n_rows, dtype=torch.int64, device=self.device)
        self.returns_B, self.counts_B = torch.empty_like(self.return_B), torch.empty_like(self.spikes_B)
        self.steps_B = torch.empty_like(self.spikes_B)

    def live(self) -> tuple[Tensor, Tensor, Tensor]:
        """All episodes to their ends: returns, steps and spikes of the rows, (B,) each."""
        while len(self.row_B):
            self.advance()
        return self.returns_B.cpu(), self.steps_B.cpu(), self.counts_B.cpu()

    def advance(self) -> None:
        """One control step; rows that are over are dropped once they are many."""
        self._step()
        going_B = ~self.task_state["over"]
        n_going = int(going_B.sum())
        most = 0 if self.interface.task.keeps_rows else int(_KEPT * len(going_B))
        if n_going <= most:
            self._drop(going_B)

    def _step(self) -> None:
        interface, over_B = self.interface, self.task_state["over"]
        counts_BN, first_BN = self.network.run_(
            interface.encoder(self.obs_BO, key_B=self.key_B),
            self.state,
            interface.steps_per_action,
            reward_P=self.reward_B,
            active_P=~over_B,
        )
        task = interface.task
        action = interface.decoder(task.actions, counts_BN, first_BN, interface.steps_per_action, self.trace_BA)
        try:
            self.task_state, self.obs_BO, reward_B, _, _ = task.step(self.task_state, action)
        except TaskError as error:
            raise self._renamed(error, int(self.row_B[error.row])) from None
        self.return_B += reward_B
        self.spikes_B += counts_BN.sum(1)
        self.reward_B = reward_B * task.reward_scale

    def _renamed(self, error: TaskError, row: int) -> TaskError:
        """The error with the number of its row among all rows."""
        return TaskError(error.task, error.what, int(self.number_B[row]), error.step)

    def _drop(self, going_B: Tensor) -> None:
        """Keep the results of rows that are over, and only the others at hand."""
        over_B = ~going_B
        done = self.row_B[over_B]
        self.returns_B[done], self.counts_B[done] = self.return_B[over_B], self.spikes_B[over_B]
        self.steps_B[done] = self.task_state["steps"][over_B].long()
        index = going_B.nonzero()[:, 0]
        self.row_B = self.row_B[index]
        if not len(index):
            return
        self.network, self.state = self.network.rows(index), self.state.rows(index)
        self.task_state, self.obs_BO = rows_of(self.task_state, index), self.obs_BO[index]
        self.return_B, self.spikes_B, self.key_B = self.return_B[index], self.spikes_B[index], self.key_B[index]
        self.reward_B = None if self.reward_B is None else self.reward_B[index]
        self.trace_BA = None if self.trace_BA is None else self.trace_BA[index]
