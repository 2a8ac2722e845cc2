"""Which records meet in a batch does not depend on the number of processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from ddp_utils import DistributedBatchSampler
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

WORLD_SIZES = (1, 2, 4)


@dataclass(frozen=True)
class Plan:
    n_records: int
    global_batch: int
    group: int
    seed: int
    shuffle: bool
    tail: Literal["drop", "keep"]

    def samplers(self, world_size: int) -> list[DistributedBatchSampler]:
        return [
            DistributedBatchSampler(
                self.n_records,
                self.global_batch,
                seed=self.seed,
                group=self.group,
                shuffle=self.shuffle,
                tail=self.tail,
                rank=rank,
                world_size=world_size,
            )
            for rank in range(world_size)
        ]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    group = draw(st.integers(1, 5))
    global_batch = group * 4 * draw(st.integers(1, 3))
    tail: Literal["drop", "keep"] = "keep" if draw(st.booleans()) else "drop"
    n_records = draw(st.integers(global_batch if tail == "drop" else 1, 150))
    return Plan(n_records, global_batch, group, draw(st.integers(0, 9)), draw(st.booleans()), tail)


@given(plans(), st.integers(0, 40))
def test_a_step_visits_the_same_records_for_every_world_size(plan: Plan, step: int) -> None:
    unions = []
    for world_size in WORLD_SIZES:
        parts = [sampler.batch(step).tolist() for sampler in plan.samplers(world_size)]
        visited = [record for part in parts for record in part]
        assert len(set(visited)) == len(visited)
        unions.append(sorted(visited))
    assert unions[0] == unions[1] == unions[2]


@given(plans(), st.sampled_from(WORLD_SIZES), st.integers(0, 3))
def test_an_epoch_visits_each_record_once(plan: Plan, world_size: int, epoch: int) -> None:
    samplers = plan.samplers(world_size)
    per_epoch = samplers[0].batches_per_epoch
    steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
    visited = [record for sampler in samplers for step in steps for record in sampler.batch(step).tolist()]
    assert len(set(visited)) == len(visited)
    if plan.tail == "keep":
        assert sorted(visited) == list(range(plan.n_records))
    else:
        assert len(visited) == plan.n_records // plan.global_batch * plan.global_batch


@given(plans(), st.integers(0, 20))
def test_groups_are_the_same_and_in_one_process_for_every_world_size(plan: Plan, step: int) -> None:
    def groups(world_size: int) -> set[tuple[int, ...]]:
        parts = [sampler.batch(step) for sampler in plan.samplers(world_size)]
        return {tuple(group.tolist()) for part in parts if len(part) for group in part.split(plan.group)}

    assert groups(1) == groups(2) == groups(4)


@given(plans(), st.integers(0, 30), st.sampled_from(WORLD_SIZES), st.sampled_from(WORLD_SIZES))
def test_a_resumed_run_sees_the_rest_whatever_its_world_size(plan: Plan, done: int, before: int, after: int) -> None:
    first = plan.samplers(before)[0]
    first.advance(done)
    resumed = plan.samplers(after)
    for sampler in resumed:
        sampler.load_state_dict(first.state_dict())
    rest = [sorted(record for batches in step for record in batches) for step in zip(*resumed, strict=True)]
    whole = plan.samplers(1)[0]
    end = (done // whole.batches_per_epoch + 1) * whole.batches_per_epoch
    assert rest == [sorted(whole.batch(step).tolist()) for step in range(done, end)]


@pytest.mark.parametrize(
    "other", [{"n_records": 41}, {"global_batch": 4}, {"seed": 1}, {"group": 1}, {"shuffle": False}, {"tail": "keep"}]
)
def test_a_position_in_other_data_is_refused(other: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"n_records": 40, "global_batch": 8, "seed": 0, "group": 2, "shuffle": True}
    saved = DistributedBatchSampler(**arguments, tail="drop").state_dict()
    with pytest.raises(ValueError, match="saved position"):
        DistributedBatchSampler(**{**arguments, "tail": "drop", **other}).load_state_dict(saved)


@pytest.mark.parametrize(
    ("n_records", "global_batch", "group", "world_size"),
    [(100, 8, 3, 1), (100, 0, 1, 1), (7, 8, 1, 1), (0, 8, 1, 1), (100, 8, 0, 1)],
)
def test_sizes_that_do_not_fit_are_refused(n_records: int, global_batch: int, group: int, world_size: int) -> None:
    with pytest.raises(ValueError, match=r"positive multiple of group|do not fill"):
        DistributedBatchSampler(n_records, global_batch, seed=0, group=group, rank=0, world_size=world_size)


def test_epochs_are_shuffled_differently_and_unshuffled_ones_come_in_order() -> None:
    shuffled = DistributedBatchSampler(64, 64, seed=0)
    assert shuffled.batch(0).tolist() != shuffled.batch(1).tolist()
    assert DistributedBatchSampler(64, 64, seed=0, shuffle=False).batch(5).tolist() == list(range(64))


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_prefetch_resumes_after_the_steps_done_not_the_batches_fetched(workers: int) -> None:
    def loader(sampler: DistributedBatchSampler) -> DataLoader[int]:
        return DataLoader(Numbers(), batch_sampler=sampler, num_workers=workers)

    sampler = DistributedBatchSampler(50, 8, seed=3, tail="keep")
    seen = []
    for batch in loader(sampler):
        seen.append(batch)
        sampler.advance()
        if sampler.step == 3:
            break
    resumed = DistributedBatchSampler(50, 8, seed=3, tail="keep")
    resumed.load_state_dict(sampler.state_dict())
    for batch in loader(resumed):
        seen.append(batch)
        resumed.advance()
    assert resumed.step == resumed.batches_per_epoch == len(loader(resumed))
    assert torch.equal(torch.cat(seen), DistributedBatchSampler(50, 50, seed=3).batch(0))


@pytest.mark.parametrize("world_size", [3, 5, 8])
def test_any_number_of_processes_will_do(world_size: int) -> None:
    """Four groups over three processes: 2, 1 and 1; over eight: one each for four of them, none for the others."""
    samplers = [
        DistributedBatchSampler(100, 8, seed=0, group=2, rank=r, world_size=world_size) for r in range(world_size)
    ]
    alone = DistributedBatchSampler(100, 8, seed=0, group=2, rank=0, world_size=1)
    for step in range(30):
        shares = [sampler.batch(step) for sampler in samplers]
        assert sorted(torch.cat(shares).tolist()) == sorted(alone.batch(step).tolist())
        groups = [len(share) // 2 for share in shares]
        assert max(groups) - min(groups) <= 1
