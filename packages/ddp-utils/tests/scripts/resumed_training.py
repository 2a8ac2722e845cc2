"""A small real training run, whole and killed and resumed, on one and two processes.

python resumed_training.py FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from ddp_utils import (
    Checkpoints,
    DistributedBatchSampler,
    Precision,
    World,
    all_reduce_gradients,
    broadcast_module,
    capture_random_state,
    keyed_generator,
    restore_random_state,
    seed_everything,
)
from fork_ranks import all_well, run_ranks
from torch import Tensor, nn

STEPS, SAVE_EVERY, GLOBAL_BATCH = 11, 3, 8


def train(
    world: World, folder: Path, dtype: torch.dtype, dropout: float, kill_before: int, victim: int
) -> list[Tensor]:
    """Train to the end; the process `victim` kills itself in the step before `kill_before`, its gradients done."""
    inputs_ND = torch.randn(50, 6, generator=keyed_generator(0, "inputs"), dtype=dtype)
    targets_N1 = inputs_ND.square().sum(1, keepdim=True)
    seed_everything(1, rank=world.rank)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1)).to(dtype)
    broadcast_module(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    sampler = DistributedBatchSampler(50, GLOBAL_BATCH, seed=2, tail="keep")
    precision = Precision("fp32", world.device)
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "sampler": sampler}

    checkpoints = Checkpoints(folder)
    loaded = checkpoints.load()
    if loaded is not None:
        for name, part in parts.items():
            part.load_state_dict(loaded.state[name])
        if loaded.rank_state is not None:
            restore_random_state(loaded.rank_state)
    while sampler.step < STEPS:
        step = sampler.step
        batch = sampler.batch(step)
        whole = len(DistributedBatchSampler(50, GLOBAL_BATCH, seed=2, tail="keep", rank=0, world_size=1).batch(step))
        optimizer.zero_grad()
        precision.backward((model(inputs_ND[batch]) - targets_N1[batch]).square().sum() / whole)
        all_reduce_gradients(model.parameters())
        if step + 1 == kill_before and world.rank == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        precision.unscale(optimizer)
        precision.step(optimizer, model.parameters(), clip=1.0)
        scheduler.step()
        sampler.advance()
        if sampler.step % SAVE_EVERY == 0:
            state = {name: part.state_dict() for name, part in parts.items()}
            checkpoints.save(sampler.step, state, rank_state=capture_random_state())
    return [parameter.detach() for parameter in model.parameters()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def warm_up() -> None:
    """Import what torch imports at the first step, once for all forks."""
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    optimizer = torch.optim.AdamW([parameter])
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    optimizer.step()


def main() -> None:
    root = Path(sys.argv[1])
    warm_up()
    for dtype, rtol in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        alone = all_well(run_ranks(train, 1, root / f"alone-{dtype}", dtype, 0.0, 0, 0))[0]
        for results in all_well(run_ranks(train, 2, root / f"both-{dtype}", dtype, 0.0, 0, 0)):
            for one, two in zip(alone, results, strict=True):
                torch.testing.assert_close(one, two, rtol=rtol, atol=rtol)

    for world_size in (1, 2):
        whole = all_well(run_ranks(train, world_size, root / f"whole-{world_size}", torch.float32, 0.2, 0, 0))
        assert all(equal(whole[0], other) for other in whole), "the processes disagree"
        for kill_before, victim in ((2, 0), (8, world_size - 1)):
            folder = root / f"killed-{world_size}-{kill_before}"
            statuses, _ = run_ranks(train, world_size, folder, torch.float32, 0.2, kill_before, victim)
            assert statuses[victim] == signal.SIGKILL, statuses
            assert all(statuses), "the others cannot have got through"
            assert Checkpoints(folder).steps() == ([] if kill_before == 2 else [3, 6])
            resumed = all_well(run_ranks(train, world_size, folder, torch.float32, 0.2, 0, 0))
            assert all(equal(*pair) for pair in zip(whole, resumed, strict=True)), (world_size, kill_before)

    # started on two processes, ended on one
    folder = root / "moved"
    run_ranks(train, 2, folder, torch.float64, 0.0, 8, 1)
    moved = all_well(run_ranks(train, 1, folder, torch.float64, 0.0, 0, 0))[0]
    alone = all_well(run_ranks(train, 1, root / "stayed", torch.float64, 0.0, 0, 0))[0]
    for one, two in zip(alone, moved, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


main()
