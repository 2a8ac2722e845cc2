"""Training a `MatryoshkaBinarizer` on any number of processes.

Shapes: batches come in G groups of M records, D dimensions, B bits.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ddp_utils import (
    BadBatchBudget,
    Checkpoint,
    Checkpoints,
    DistributedBatchSampler,
    EarlyStopping,
    MetricsLog,
    Precision,
    SignalStop,
    Stopped,
    all_finite,
    all_reduce_gradients,
    broadcast_module,
    capture_random_state,
    find_batch_size,
    keyed_generator,
    memory_report,
    progress,
    restore_random_state,
    retry_on_out_of_memory,
    run_on_main,
    world_size,
)
from ddp_utils.tensor_file import checksum
from torch import Tensor

from binemb.losses import angular_similarity, reconstruction_loss, sign_straight_through, similarity_loss
from binemb.matryoshka import MatryoshkaBinarizer, check_levels
from binemb.preparation import Preparation, check_vectors
from binemb.train_config import LossWeights, TrainConfig, learning_rate_at

log = logging.getLogger("binemb")


def losses_per_group(model: MatryoshkaBinarizer, y_GMD: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    """Losses of vectors (G, M, D) at every level, each (G,); "loss" is their weighted sum, averaged over levels."""
    signs_GMB = sign_straight_through(model.activations(y_GMD))
    figures: dict[str, Tensor] = {}
    total = y_GMD.new_zeros(len(y_GMD))
    if weights.reconstruction:
        for level, decoded_GMD in zip(model.bits, model.decode_levels(signs_GMB), strict=True):
            figures[f"reconstruction_{level}"] = reconstruction_loss(decoded_GMD, y_GMD)
            total = total + weights.reconstruction * figures[f"reconstruction_{level}"]
    if weights.similarity:
        target_GMM = angular_similarity(y_GMD @ y_GMD.mT)
        agreement_GMM, start = torch.zeros_like(target_GMM), 0
        for level in model.bits:
            part = signs_GMB[..., start:level]
            agreement_GMM = agreement_GMM + part @ part.mT
            figures[f"similarity_{level}"] = similarity_loss(agreement_GMM / level, target_GMM)
            total = total + weights.similarity * figures[f"similarity_{level}"]
            start = level
    return {"loss": total / len(model.bits), **figures}


def parameter_groups(model: MatryoshkaBinarizer) -> list[dict[str, Any]]:
    """Parameters with the scale of their steps: Adam moves every entry by about the learning rate, whatever its size.

    The projection's entries are about 1; a decoder's, fitted by least squares, are far smaller the more bits it has,
    and steps of the same length would undo the fit.
    """
    groups: list[dict[str, Any]] = [{"params": [model.weight_BD, model.bias_B], "scale": 1.0}]
    for decoder in model.decoders:
        groups.append({"params": [decoder], "scale": max(float(decoder.detach().square().mean().sqrt()), 1e-6)})
    return groups


def split_held_out(n: int, config: TrainConfig, *, seed: int) -> tuple[Tensor, Tensor]:
    """Row numbers to train on and to validate on (whole groups, at least one), drawn once for a seed.

    Raises:
        ValueError: too few vectors for the batch, with the settings that would fit.
    """
    count = max(1, round(n * config.held_out / config.group)) * config.group
    if n - count < config.global_batch:
        group = 2 ** int(math.log2(max(n, 16) / 8))
        mend = f"use train.global_batch={4 * group} and train.group={group}" if n >= 16 else "at least 16 are needed"
        raise ValueError(f"{n} vectors do not fill a batch of {config.global_batch} and {count} held out; {mend}")
    order = torch.randperm(n, generator=keyed_generator(seed, "held out"))
    return order[count:], order[:count]


def train_binarizer(
    x_ND: Tensor,
    bits: Sequence[int],
    config: TrainConfig,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    run_folder: Path | None = None,
    resume: str | Path | None = None,
    tensorboard: bool = False,
    quiet: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> MatryoshkaBinarizer:
    """Train a nested binary code on vectors. Every process of the group calls it with the same vectors.

    Which records a step compares, and in which order the steps come, depends on the seed alone; whole groups of them
    are dealt to the processes in turn. So any number of processes trains on the same sums, up to rounding. On the CPU
    a run that was stopped and resumed ends in the same bits as one that was not.

    Args:
        x_ND: vectors, float, (N, D), finite.
        bits: prefix lengths, ascending multiples of 8.
        config: how to train.
        seed: keys everything that is drawn.
        device: where to compute.
        run_folder: where `metrics.jsonl` and `checkpoints/` go; None keeps no files (and cannot be resumed).
        resume: "auto" goes on from the newest valid checkpoint of the run folder, a path from that checkpoint.
        tensorboard: also write TensorBoard scalars.
        quiet: no progress bar.
        on_step: called after each step with the number of steps done.

    Returns:
        The model of the best validation, in evaluation mode, on the CPU.

    Raises:
        ValueError: vectors or configuration do not fit.
        Stopped: SIGTERM or SIGINT came; the state is saved if there is a run folder.
        TooManyBadBatchesError, MemoryError, CheckpointError: see ddp_utils.
    """
    check_vectors(x_ND, "train_binarizer")
    if resume is not None and run_folder is None:
        raise ValueError(f"train_binarizer: resume={str(resume)!r} needs the run_folder that it goes on in")
    device = torch.device(device)
    levels = check_levels(bits)
    train_rows, held_out_rows = split_held_out(len(x_ND), config, seed=seed)
    sampler = DistributedBatchSampler(len(train_rows), config.global_batch, seed=seed, group=config.group)
    model = MatryoshkaBinarizer(Preparation.fit(x_ND, components=config.components), levels, seed=seed).to(device)
    prepared_ND = model.preparation(x_ND.to(device)).float()
    model.fit_decoders(prepared_ND[train_rows[: 8 * levels[-1]].to(device)])
    broadcast_module(model)
    held_out_GMD = prepared_ND[held_out_rows.to(device)].view(-1, config.group, model.dim)

    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameter_groups(model))
    precision = Precision(config.precision, device)
    stopping = EarlyStopping(config.patience)
    budget = BadBatchBudget(config.bad_batches)
    parts = {"model": model, "optimizer": optimizer, "precision": precision}
    parts |= {"stopping": stopping, "budget": budget, "sampler": sampler}
    identity = {"bits": list(levels), "seed": seed, "config": asdict(config)}
    checkpoints = None
    if run_folder is not None:
        checkpoints = Checkpoints(run_folder / "checkpoints", keep=config.keep)
        identity["vectors"] = checksum({"x_ND": x_ND}, "")
    resumed = _resume(checkpoints, resume, parts, identity)
    best = resumed.state["best"] if resumed else copy.deepcopy(model.state_dict())
    metrics = MetricsLog(run_folder, resume_step=sampler.step, tensorboard=tensorboard) if run_folder else None

    def gradients(rows: Tensor, micro_batch: int) -> dict[str, Tensor]:
        """Gradient of this process's share of the global mean, in micro-batches; nothing is exchanged."""
        optimizer.zero_grad(set_to_none=True)
        sums = {"loss": torch.zeros((), device=device)}
        for part in rows.split(micro_batch) if len(rows) else ():
            with precision.autocast():
                y_GMD = prepared_ND[part].view(-1, config.group, model.dim)
                figures = losses_per_group(model, y_GMD, config.weights)
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
        validation = run_on_main(validate, model, held_out_GMD, config.weights)
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
    return model.cpu().eval()


@torch.no_grad()
def validate(model: MatryoshkaBinarizer, held_out_GMD: Tensor, weights: LossWeights) -> dict[str, float]:
    """Mean of every loss over the held-out groups."""
    sums: dict[str, float] = {}
    for y_GMD in held_out_GMD.split(8):
        for name, value in losses_per_group(model, y_GMD, weights).items():
            sums[name] = sums.get(name, 0.0) + float(value.double().sum())
    return {name: value / len(held_out_GMD) for name, value in sums.items()}


def _resume(
    checkpoints: Checkpoints | None, resume: str | Path | None, parts: dict[str, Any], identity: dict[str, Any]
) -> Checkpoint | None:
    """Put every part back as it stood at the checkpoint; returns the checkpoint, or None for a fresh start."""
    loaded = checkpoints.load(None if resume == "auto" else resume) if checkpoints and resume else None
    if loaded is None:
        return None
    found = loaded.state["identity"]
    changed = sorted(name for name in identity if found.get(name) != identity[name])
    if changed:
        raise ValueError(f"{loaded.folder}: was trained with other {', '.join(changed)}; use the same or a new run")
    for name, part in parts.items():
        part.load_state_dict(loaded.state[name])
    if loaded.rank_state is not None:
        restore_random_state(loaded.rank_state)
    log.info("resumed from %s", loaded.folder)
    return loaded


def _stopped_message(step: int, steps: int, run_folder: Path | None) -> str:
    saved = f"resume with --resume auto --out {run_folder}" if run_folder else "nothing was saved"
    return f"stopped by a signal after step {step} of {steps}; {saved}"
