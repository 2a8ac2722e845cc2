"""Sharded state on two processes is saved, loaded on one and two, and never opened when damaged.

python sharded_checkpoint.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # here once for all forks
import torch.distributed.checkpoint.state_dict_loader as dcp_loader
import torch.distributed.checkpoint.state_dict_saver
from ddp_utils import CheckpointError, Checkpoints, RemoteError, World, rank
from fork_ranks import all_well, run_ranks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

FULL = torch.arange(40.0).reshape(10, 4)


def shards(full: torch.Tensor, world_size: int) -> dict[str, Any]:
    if world_size == 1:
        return {"weights": full.clone()}
    return {"weights": distribute_tensor(full.clone(), init_device_mesh("cpu", (world_size,)), [Shard(0)])}


def save(world: World, folder: Path, steps: list[int]) -> None:
    for step in steps:
        state = {"note": f"step {step}"}
        sharded = shards(FULL + step, world.world_size)
        Checkpoints(folder).save(step, state, rank_state=rank() * 10, sharded=sharded)


def load(world: World, folder: Path) -> tuple[int, str, int | None, torch.Tensor]:
    target = shards(torch.zeros_like(FULL), world.world_size)
    loaded = Checkpoints(folder).load(sharded=target)
    assert loaded is not None
    weights = target["weights"]
    full = weights.full_tensor() if isinstance(weights, DTensor) else weights
    return loaded.step, loaded.state["note"], loaded.rank_state, full


def refused(world: World, folder: Path, path: Path) -> str:
    """What loading the checkpoint at the path says; nothing of the sharded part is opened before."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a damaged shard was opened")

    dcp_loader.load = opened
    try:
        Checkpoints(folder).load(path, sharded=shards(torch.zeros_like(FULL), world.world_size))
    except (CheckpointError, RemoteError) as error:
        return str(error)
    raise AssertionError("loaded")


def failing_save(world: World, folder: Path) -> str:
    """One process cannot write its shards: both are told."""

    class Unwritable(torch.Tensor):
        def __reduce_ex__(self, _: Any) -> Any:
            raise OSError(28, "No space left on device")

    bad = {f"blob{world.rank}": Unwritable() if world.rank == 1 else 3}
    try:
        Checkpoints(folder).save(9, {}, sharded=bad)
    except OSError as error:
        return str(error)
    raise AssertionError("saved")


root = Path(sys.argv[1])
all_well(run_ranks(save, 2, root, [1, 2]))
for world_size in (2, 1):
    for own, result in enumerate(all_well(run_ranks(load, world_size, root))):
        step, note, rank_state, full = result
        assert (step, note) == (2, "step 2")
        assert rank_state == (own * 10 if world_size == 2 else None)
        assert torch.equal(full, FULL + 2)

shard = next(path for path in sorted((root / "step-00000002" / "sharded").iterdir()) if path.suffix == ".distcp")
content = shard.read_bytes()
for name, at in ((shard, len(content) // 2), (shard.with_name(".metadata"), 30)):
    whole = name.read_bytes()
    damaged = bytearray(whole)
    damaged[at] ^= 16
    name.write_bytes(damaged)
    for message in all_well(run_ranks(refused, 2, root, root / "step-00000002")):
        assert "SHA-256" in message, message
    for step, _, _, full in all_well(run_ranks(load, 2, root)):
        assert step == 1
        assert torch.equal(full, FULL + 1)
    name.write_bytes(whole)

for message in all_well(run_ranks(failing_save, 2, root)):
    assert "No space left" in message, message
assert all_well(run_ranks(load, 2, root))[0][0] == 2
all_well(run_ranks(save, 2, root, [3]))
assert sorted(path.name for path in root.iterdir()) == ["latest", *(f"step-{step:08d}" for step in (1, 2, 3))]

unsharded = Checkpoints(root / "plain").save(1, {"note": "x"})
for message in all_well(run_ranks(refused, 2, root / "plain", unsharded)):
    assert "no sharded state" in message, message
