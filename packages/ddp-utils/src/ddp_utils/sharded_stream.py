"""Streams of records, dealt to ranks and their loader workers so that each record is read exactly once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from torch.utils.data import IterableDataset, get_worker_info

from ddp_utils import distributed

if TYPE_CHECKING:
    import datasets

T = TypeVar("T")


class ShardedStream(IterableDataset[T], Generic[T]):
    """One shard of a stream for each (rank, loader worker).

    Whole files are dealt in turn where there are at least as many as shards; otherwise every shard walks over all
    records and keeps each K-th, K the number of shards. Either way each record comes exactly once over all shards.
    Shards may differ in length: a loop that communicates each step ends when `any_true(exhausted)`.

    Each walk begins at the first record, or, after `load_state_dict`, once at the saved position.

    `state_dict` and `load_state_dict` follow the protocol that stateful loaders use: they are called in the worker
    that iterates.

    Args:
        sources: what `read` is called with, one after the other; usually files.
        read: opens a source and yields its records, always in the same order.
        rank: this process; by default its place in the process group.
        world_size: number of processes; by default that of the process group.
    """

    def __init__(
        self,
        sources: Sequence[Any],
        read: Callable[[Any], Iterable[T]],
        *,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        self.sources = list(sources)
        self.read = read
        self.rank = distributed.rank() if rank is None else rank
        self.world_size = distributed.world_size() if world_size is None else world_size
        self._source, self._record = 0, 0  # the next to look at: index into sources, index into its records
        self._resumed_shards: int | None = None

    def _shard(self) -> tuple[int, int]:
        worker = get_worker_info()
        per_rank, own = (1, 0) if worker is None else (worker.num_workers, worker.id)
        return self.rank * per_rank + own, self.world_size * per_rank

    def __iter__(self) -> Iterator[T]:
        shard, shards = self._shard()
        if self._resumed_shards is None:
            self._source, self._record = 0, 0
        elif self._resumed_shards != shards:
            raise ValueError(
                f"the saved position is for {self._resumed_shards} shards (ranks x workers), this run has {shards}: "
                "resume with the same number of processes and workers"
            )
        self._resumed_shards = None
        by_file = len(self.sources) >= shards
        seen = 0 if by_file else self._seen_before()
        while self._source < len(self.sources):
            if by_file and self._source % shards != shard:
                self._source, self._record = self._source + 1, 0
                continue
            for record in itertools.islice(self.read(self.sources[self._source]), self._record, None):
                self._record += 1
                seen += 1
                if by_file or (seen - 1) % shards == shard:
                    yield record
            self._source, self._record = self._source + 1, 0
        self._source = 0  # a position saved now is the next walk's

    def _seen_before(self) -> int:
        """Records in front of the position, when the stream is dealt record by record."""
        if self._source == 0:
            return self._record
        lengths = (sum(1 for _ in self.read(source)) for source in self.sources[: self._source])
        return sum(lengths) + self._record

    def state_dict(self) -> dict[str, int]:
        """This shard's position: the next source and record to look at."""
        return {"source": self._source, "record": self._record, "shards": self._shard()[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a saved position, with the same number of shards."""
        self._source, self._record = state["source"], state["record"]
        self._resumed_shards = state["shards"]


def shard_stream(
    source: Iterable[T] | Sequence[Path] | datasets.IterableDataset,
    *,
    read: Callable[[Path], Iterable[T]] | None = None,
    rank: int | None = None,
    world_size: int | None = None,
) -> ShardedStream[T] | datasets.IterableDataset:
    """This process's share of a stream.

    Args:
        source: files (with `read`), any iterable that can be walked again, or a streaming Hugging Face dataset, which
            is split with its own `split_dataset_by_node` and keeps its own `state_dict`.
        read: opens one file and yields its records.
        rank: this process; by default its place in the process group.
        world_size: number of processes; by default that of the process group.

    Returns:
        An iterable dataset with `state_dict` and `load_state_dict`, fit for a `DataLoader` with workers.

    Raises:
        TypeError: the source is an iterator, which can be walked only once and not resumed.
    """
    rank = distributed.rank() if rank is None else rank
    world_size = distributed.world_size() if world_size is None else world_size
    if read is not None:
        return ShardedStream(list(cast("Sequence[Path]", source)), read, rank=rank, world_size=world_size)
    if type(source).__module__.partition(".")[0] == "datasets":
        from datasets.distributed import split_dataset_by_node

        return split_dataset_by_node(cast("datasets.IterableDataset", source), rank=rank, world_size=world_size)
    if isinstance(source, Iterator):
        raise TypeError("shard_stream: an iterator cannot be walked again; pass the iterable it came from, or files")
    return ShardedStream([source], iter, rank=rank, world_size=world_size)  # pyright: ignore[reportArgumentType]
