"""A loop that trains a model on a matrix of records, on any number of processes.

Shapes: N records, D dimensions; batches come in G groups of M records, x_GMD.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ddp_utils.bad_batch import BadBatchBudget
from ddp_utils.checkpoint import Checkpoint, Checkpoints
from ddp_utils.distributed import run_on_main, world_size
from ddp_utils.gradients import all_finite, all_reduce_gradients, broadcast_module
from ddp_utils.memory import find_batch_size, memory_report, retry_on_out_of_memory
from ddp_utils.metrics import MetricsLog
from ddp_utils.precision import Precision
from ddp_utils.progress_bar import progress
from ddp_utils.random_state import capture_random_state, restore_random_state
from ddp_utils.sampler import DistributedBatchSampler
from ddp_utils.seed import keyed_generator
from ddp_utils.stopping import EarlyStopping, SignalStop, Stopped
from ddp_utils.training_config import TrainingConfig, learning_rate_at

VALIDATION_GROUPS = 8  # at once
Losses = Callable[[Tensor], dict[str, Tensor]]

log = logging.getLogger("ddp_utils")


def split_held_out(n: int, config: TrainingConfig, *, seed: int) -> tuple[Tensor, Tensor]:
    """Draw, once for a seed, which records to train on and which to validate on.

    Args:
        n: number of records.
        config: the share held out, the group and the batch.
        seed: keys the draw.

    Returns:
        Numbers of the records to train on and of those held out (whole groups, at least one), int64.

    Raises:
        ValueError: too few records for the batch (without steps, for as many as are held out); the message gives
            settings that would fit.
    """
    count = max(1, round(n * config.held_out / config.group)) * config.group
    least = config.global_batch if config.steps else count
    if n - count < least:
        group = 2 ** int(math.log2(max(n, 16) / 8))
        settings = f"train.global_batch={4 * group} and train.group={group}" if config.steps else f"train.group={group}"
        mend = f"use {settings}" if n >= 16 else "at least 16 are needed"
        what = "a batch of" if config.steps else "a fit to"
        raise ValueError(f"{n} vectors do not fill {what} {least} and {count} held out; {mend}")
    order = torch.randperm(n, generator=keyed_generator(seed, "held out"))
    return order[count:], order[:count]


@torch.no_grad()
def mean_losses(losses: Losses, x_GMD: Tensor) -> dict[str, float]:
    """Mean of every loss over groups.

    Args:
        losses: as `train_model` takes it.
        x_GMD: groups of records, (G, M, D).
    """
    sums: dict[str, float] = {}
    for part_GMD in x_GMD.split(VALIDATION_GROUPS):
        for name, value_G in losses(part_GMD).items():
            sums[name] = sums.get(name, 0.0) + float(value_G.double().sum())
    return {name: value / len(x_GMD) for name, value in sums.items()}


def train_model(
    model: nn.Module,
    losses: Losses,
    x_ND: Tensor,
    config: TrainingConfig,
    *,
    parameter_groups: Sequence[Mapping[str, Any]],
    identity: Mapping[str, Any],
    seed: int = 0,
    run_folder: Path | None = None,
    resume: str | Path | None = None,
    tensorboard: bool = False,
    quiet: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train a model with Adam; every process of the group calls it with the same model and records.

    Which records a step compares, and in which order the steps come, depends on the seed alone; whole groups of them
    are dealt to the processes in turn. So any number of processes trains on the same sums, up to rounding. On the CPU
    a run that was stopped and resumed ends in the same bits as one that was not.

    Args:
        model: what is trained, in place; it ends as it was at the best validation.
        losses: losses of groups of records, (G, M, D), by name, each (G,); "loss" is what is minimised, and its mean
            over the held-out groups decides which model is best.
        x_ND: records, on the model's device, float32, (N, D).
        config: how to train.
        parameter_groups: for Adam; each also has a "scale", which the learning rate is multiplied by in that group.
        identity: what a resumed run must have in common with its checkpoint, by name, JSON-able; seed and config are
            added.
        seed: keys the split and the order of the records.
        run_folder: where `metrics.jsonl` and `checkpoints/` go; None keeps no files (and cannot be resumed).
        resume: "auto" goes on from the newest valid checkpoint of the run folder, a path from that checkpoint.
        tensorboard: also write TensorBoard scalars.
        quiet: no progress bar.
        on_step: called after each step with the number of steps done.

    Raises:
        ValueError: records or configuration do not fit, or the checkpoint is another run's.
        Stopped: SIGTERM or SIGINT came; the state is saved if there is a run folder.
        TooManyBadBatchesError, MemoryError, CheckpointError: see there.
    """
    device = x_ND.device
    train_rows, held_out_rows = split_held_out(len(x_ND), config, seed=seed)
    sampler = DistributedBatchSampler(len(train_rows), config.global_batch, seed=seed, group=config.group)
    broadcast_module(model)
    held_out_GMD = x_ND[held_out_rows.to(device)].view(-1, config.group, x_ND.shape[1])

    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([dict(group) for group in parameter_groups])
    precision = Precision(config.precision, device)
    stopping = EarlyStopping(config.patience)
    budget = BadBatchBudget(config.bad_batches)
    parts = {"model": model, "optimizer": optimizer, "precision": precision}
    parts |= {"stopping": stopping, "budget": budget, "sampler": sampler}
    identity = {**identity, "seed": seed, "config": asdict(config)}
    checkpoints = None if run_folder is None else Checkpoints(run_folder / "checkpoints", keep=config.keep)
    resumed = _resume(checkpoints, resume, parts, identity)
    best = resumed.state["best"] if resumed else copy.deepcopy(model.state_dict())
    metrics = MetricsLog(run_folder, resume_step=sampler.step, tensorboard=tensorboard) if run_folder else None

    def gradients(rows: Tensor, micro_batch: int) -> dict[str, Tensor]:
        """Gradient of this process's share of the global mean, in micro-batches; nothing is exchanged."""
        optimizer.zero_grad(set_to_none=True)
        sums = {"loss": torch.zeros((), device=device)}
        for part in rows.split(micro_batch) if len(rows) else ():
            with precision.autocast():
                figures = losses(x_ND[part].view(-1, config.group, x_ND.shape[1]))
            precision.backward(figures["loss"].sum() * (config.group / config.global_batch))
            for name, value in figures.items():
                sums[name] = sums.get(name, 0) + value.detach().float().sum()
        return sums

    share = -(-config.global_batch // config.group // world_size()) * config.group  # of the busiest process
    found = resumed.state["micro_batch"] if resumed else share  # the same split, the same rounding
    micro_batch = config.micro_batch or find_batch_size(
        lambda size: gradients(train_rows[:size].to(device), size), upper=min(share, found), multiple_of=config.group
    )

    def save() -> None:
        if checkpoints is not None:
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"best": best, "identity": identity, "micro_batch": micro_batch}
            checkpoints.save(sampler.step, state, rank_state=capture_random_state())

    def judge(step: int) -> None:
        nonlocal best
        validation = run_on_main(mean_losses, losses, held_out_GMD)
        if stopping.update(validation["loss"], step):
            best = copy.deepcopy(model.state_dict())
        if metrics is not None:
            metrics.write(step, learning_rate=learning_rate_at(step, config), **validation)

    if sampler.step == 0:
        judge(0)  # the untrained model is the one to beat
    with SignalStop() as stop, progress("training", config.steps, done=sampler.step, quiet=quiet) as bar:
        while sampler.step < config.steps and not stopping.should_stop:
            rows = train_rows[sampler.batch(sampler.step)].to(device)
            figures, micro_batch = retry_on_out_of_memory(
                lambda size, rows=rows: gradients(rows, size), micro_batch, multiple_of=config.group
            )
            bad = not all_finite([figures["loss"]])
            if not precision.scaled:
                bad = bad or not all_finite(p.grad for p in parameters if p.grad is not None)
            if not budget.should_skip(bad, ids=rows.tolist() if bad else ()):
                all_reduce_gradients(parameters)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(sampler.step, config) * group["scale"]
                precision.unscale(optimizer)
                precision.step(optimizer, parameters, clip=config.clip_norm)
            sampler.advance()
            step = sampler.step
            bar.advance(loss=float(figures["loss"]) * config.group / max(len(rows), config.group))

            last = step == config.steps
            if step % config.validate_every == 0 or last:
                judge(step)
            if on_step is not None:
                on_step(step)
            stopped = stop.agreed()
            if step % config.checkpoint_every == 0 or last or stopped or stopping.should_stop:
                save()
            if stopped:
                raise Stopped(_stopped_message(step, config.steps, run_folder))
    if metrics is not None:
        metrics.close()
    log.info("trained %d steps; best validation loss %.5f at step %d", sampler.step, stopping.best, stopping.best_step)
    log.info("memory %s", {name: round(value) for name, value in memory_report(device).items()})
    model.load_state_dict(best)


def check_same_run(loaded: Checkpoint, identity: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another run.

    Args:
        loaded: its state holds the "identity" of the run that wrote it.
        identity: of this run, by name.

    Raises:
        ValueError: they differ; the message says in what.
    """
    found = loaded.state["identity"]
    changed = sorted(name for name in identity if found.get(name) != identity[name])
    if changed:
        raise ValueError(f"{loaded.folder}: was trained with other {', '.join(changed)}; use the same or a new run")


def _resume(
    checkpoints: Checkpoints | None, resume: str | Path | None, parts: dict[str, Any], identity: Mapping[str, Any]
) -> Checkpoint | None:
    """Put every part back as it stood at the checkpoint; returns the checkpoint, or None for a fresh start."""
    if resume is not None and checkpoints is None:
        raise ValueError(f"train_model: resume={str(resume)!r} needs the run_folder that it goes on in")
    loaded = checkpoints.load(None if resume == "auto" else resume) if checkpoints and resume else None
    if loaded is None:
        return None
    check_same_run(loaded, identity)
    for name, part in parts.items():
        part.load_state_dict(loaded.state[name])
    if loaded.rank_state is not None:
        restore_random_state(loaded.rank_state)
    log.info("resumed from %s", loaded.folder)
    return loaded


def _stopped_message(step: int, steps: int, run_folder: Path | None) -> str:
    saved = f"resume with --resume auto --out {run_folder}" if run_folder else "nothing was saved"
    return f"stopped by a signal after step {step} of {steps}; {saved}"
