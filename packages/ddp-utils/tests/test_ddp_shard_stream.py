"""Each record of a stream is read exactly once over ranks and loader workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from ddp_utils import ShardedStream, shard_stream
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

N_RECORDS = 37


def read_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.strip()


def write_files(folder: Path, lengths: Iterable[int]) -> list[Path]:
    paths = []
    for i, length in enumerate(lengths):
        paths.append(folder / f"{i}.txt")
        paths[-1].write_text("".join(f"{i}-{j}\n" for j in range(length)), encoding="utf-8")
    return paths


def contents(paths: list[Path]) -> list[str]:
    return sorted(line for path in paths for line in read_lines(path))


def through_loader(stream: Any, workers: int) -> list[Any]:
    return list(DataLoader(stream, batch_size=None, num_workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world_size", [1, 3])
def test_an_iterable_is_dealt_once(world_size: int, workers: int) -> None:
    source = list(range(N_RECORDS))
    parts = [
        through_loader(shard_stream(source, rank=rank, world_size=world_size), workers) for rank in range(world_size)
    ]
    assert sorted(record for part in parts for record in part) == source


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("lengths", [(9, 0, 4), (3, 0, 5, 1, 7, 2, 2)], ids=["fewer files", "more files"])
def test_files_are_dealt_once(tmp_path: Path, lengths: tuple[int, ...], workers: int) -> None:
    paths = write_files(tmp_path, lengths)
    parts = [
        through_loader(shard_stream(paths, read=read_lines, rank=rank, world_size=2), workers) for rank in range(2)
    ]
    assert sorted(line for part in parts for line in part) == contents(paths)


def numbered(n: int = N_RECORDS) -> Iterator[dict[str, int]]:
    for i in range(n):
        yield {"x": i}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("shards", ["one shard", "four shards"])
def test_a_streaming_dataset_is_dealt_once(tmp_path: Path, shards: str, workers: int) -> None:
    if shards == "one shard":
        source = datasets.IterableDataset.from_generator(numbered)
    else:
        table = datasets.Dataset.from_dict({"x": list(range(N_RECORDS))})
        source = table.to_iterable_dataset(num_shards=4)
    parts = [through_loader(shard_stream(source, rank=rank, world_size=2), workers) for rank in range(2)]
    assert sorted(record["x"] for part in parts for record in part) == list(range(N_RECORDS))


def test_a_streaming_dataset_resumes() -> None:
    def stream() -> Any:
        table = datasets.Dataset.from_dict({"x": list(range(N_RECORDS))})
        return shard_stream(table.to_iterable_dataset(num_shards=4), rank=1, world_size=2)

    whole = [record["x"] for record in stream()]
    first = stream()
    walk = iter(first)
    seen = [next(walk)["x"] for _ in range(7)]
    resumed = stream()
    resumed.load_state_dict(first.state_dict())
    assert seen + [record["x"] for record in resumed] == whole


@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6), world_size=st.integers(1, 4), data=st.data())
def test_a_resumed_stream_gives_the_rest(lengths: list[int], world_size: int, data: st.DataObject) -> None:
    sources = [[(i, j) for j in range(length)] for i, length in enumerate(lengths)]

    def shard(rank: int) -> ShardedStream[Any]:
        return ShardedStream(sources, iter, rank=rank, world_size=world_size)

    seen = []
    for rank in range(world_size):
        whole = list(shard(rank))
        first, resumed = shard(rank), shard(rank)
        walk = iter(first)
        done = data.draw(st.integers(0, max(len(whole) - 1, 0)))
        head = [next(walk) for _ in range(min(done, len(whole)))]
        resumed.load_state_dict(first.state_dict())
        assert head + list(resumed) == whole
        assert list(resumed) == whole, "after the resumed walk the next begins anew"
        seen += whole
    assert sorted(seen) == sorted(record for source in sources for record in source)


def test_a_walk_that_was_left_early_does_not_shorten_the_next() -> None:
    stream = shard_stream(range(10), rank=0, world_size=1)
    assert next(iter(stream)) == 0
    assert list(stream) == list(range(10))


def test_a_position_for_another_number_of_shards_is_refused() -> None:
    first = ShardedStream([range(10)], iter, rank=0, world_size=2)
    resumed = ShardedStream([range(10)], iter, rank=0, world_size=3)
    resumed.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match=r"2 shards .* has 3"):
        next(iter(resumed))


def test_an_iterator_is_refused() -> None:
    with pytest.raises(TypeError, match="iterator"):
        shard_stream(numbered(), rank=0, world_size=1)
