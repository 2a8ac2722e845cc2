"""Batches of a map-style dataset, dealt to the processes; a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Sampler

from ddp_utils import distributed
from ddp_utils.seed import keyed_generator


class DistributedBatchSampler(Sampler[list[int]]):
    """Global batches of a shuffled dataset, each split over the processes.

    Epoch e visits the records in the order of a permutation keyed (seed, "shuffle", e). Global batch b of the epoch is
    the b-th run of `global_batch` records in that order; its groups of `group` records go to the processes in turn.
    So which records meet in a batch, and which in a group, does not depend on the number of processes, and the
    position in the data is the number of steps done.

    Give it to a `DataLoader` as `batch_sampler`, or call `batch(step)` directly. The loop calls `advance()` once a
    step is done; what a loader has prefetched is not counted.

    Args:
        n_records: size of the dataset, >= 1.
        global_batch: records a step over all processes; a multiple of group. Where the number of its groups is not
            one of world_size, some processes have a group more than others, or none.
        seed: the run's seed.
        group: records that must stay together in one process, for losses between the records of a batch.
        shuffle: permute each epoch; otherwise the records come in order.
        tail: "drop" leaves out the last records of an epoch that do not fill a global batch; "keep" deals them too,
            so that every record comes exactly once an epoch and the last batches of the processes differ in size;
            a process's last batch may be empty, which a loader's collate function must then allow.
        rank: this process; by default its place in the process group.
        world_size: number of processes; by default that of the process group.

    Raises:
        ValueError: sizes do not fit each other.
    """

    def __init__(
        self,
        n_records: int,
        global_batch: int,
        *,
        seed: int,
        group: int = 1,
        shuffle: bool = True,
        tail: Literal["drop", "keep"] = "drop",
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.rank = distributed.rank() if rank is None else rank
        self.world_size = distributed.world_size() if world_size is None else world_size
        if global_batch < 1 or group < 1 or global_batch % group:
            raise ValueError(f"global batch {global_batch} is not a positive multiple of group {group}")
        if n_records < (global_batch if tail == "drop" else 1):
            raise ValueError(f"{n_records} records do not fill one global batch of {global_batch}")
        self.n_records, self.global_batch, self.group = n_records, global_batch, group
        self.seed, self.shuffle, self.tail = seed, shuffle, tail
        self.step = 0
        self._order = lru_cache(maxsize=2)(self._draw_order)

    @property
    def batches_per_epoch(self) -> int:
        """Steps that visit the dataset once."""
        full, rest = divmod(self.n_records, self.global_batch)
        return full + (self.tail == "keep" and rest > 0)

    def _draw_order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return torch.arange(self.n_records)
        return torch.randperm(self.n_records, generator=keyed_generator(self.seed, "shuffle", epoch))

    def batch(self, step: int) -> Tensor:
        """This process's record numbers in a step, int64; steps count on over the epochs."""
        epoch, number = divmod(step, self.batches_per_epoch)
        records = self._order(epoch)[number * self.global_batch : (number + 1) * self.global_batch]
        groups = records.split(self.group)[self.rank :: self.world_size]
        return torch.cat(groups) if groups else records[:0]

    def __iter__(self) -> Iterator[list[int]]:
        """The batches from the current position to the end of its epoch."""
        epoch = self.step // self.batches_per_epoch
        for step in range(self.step, (epoch + 1) * self.batches_per_epoch):
            yield self.batch(step).tolist()

    def __len__(self) -> int:
        return self.batches_per_epoch

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""
        self.step += steps

    def state_dict(self) -> dict[str, Any]:
        """The position, for any number of processes."""
        return {"step": self.step, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved position.

        Raises:
            ValueError: the position belongs to other data or another global batch.
        """
        saved = {name: state[name] for name in self._identity()}
        if saved != self._identity():
            raise ValueError(f"the saved position is for {saved}, this run has {self._identity()}")
        self.step = state["step"]

    def _identity(self) -> dict[str, Any]:
        names = ("n_records", "global_batch", "group", "seed", "shuffle", "tail")
        return {name: getattr(self, name) for name in names}
