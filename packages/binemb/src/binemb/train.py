"""Training a `MatryoshkaBinarizer` on any number of processes: gradient steps, then signs and decoders in turn.

Shapes: batches come in G groups of M records, D dimensions, B bits.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ddp_utils import (
    Checkpoint,
    Checkpoints,
    EarlyStopping,
    MetricsLog,
    SignalStop,
    Stopped,
    mean_losses,
    progress,
    run_on_main,
    split_held_out,
    train_model,
)
from ddp_utils.gradients import broadcast_module
from ddp_utils.tensor_file import checksum
from ddp_utils.training_loop import check_same_run
from torch import Tensor

from binemb import losses
from binemb.alternation import alternate, fitted_rows, start_freely
from binemb.matryoshka import MatryoshkaBinarizer, check_levels
from binemb.preparation import Preparation, check_vectors
from binemb.projection_start import nested_start
from binemb.train_config import LossWeights, TrainConfig

log = logging.getLogger("binemb")


def losses_of_signs(
    model: MatryoshkaBinarizer, y_GMD: Tensor, signs_GMB: Tensor, weights: LossWeights
) -> dict[str, Tensor]:
    """Losses of vectors (G, M, D) and their signs at every level, each (G,).

    "loss" is their sum with the weights, those of levels averaged over levels.
    """
    figures: dict[str, Tensor] = {}
    total = y_GMD.new_zeros(len(y_GMD))
    if weights.reconstruction:
        for level, decoded_GMD in zip(model.bits, model.decode_levels(signs_GMB), strict=True):
            figures[f"reconstruction_{level}"] = losses.reconstruction_loss(decoded_GMD, y_GMD)
            total = total + weights.reconstruction * figures[f"reconstruction_{level}"]
    if weights.similarity or weights.contrastive or weights.uniformity:
        target_GMM = losses.angular_similarity(y_GMD @ y_GMD.mT)
        agreement_GMM, start = torch.zeros_like(target_GMM), 0
        for level in model.bits:
            part = signs_GMB[..., start:level]
            agreement_GMM = agreement_GMM + part @ part.mT
            start = level
            cosines_GMM = agreement_GMM / level
            for name, of_pairs in _OF_PAIRS.items():
                if weight := getattr(weights, name):
                    figures[f"{name}_{level}"] = of_pairs(cosines_GMM, target_GMM)
                    total = total + weight * figures[f"{name}_{level}"]
    total = total / len(model.bits)
    for name, of_bits in _OF_BITS.items():
        if weight := getattr(weights, name):
            figures[name] = of_bits(signs_GMB)
            total = total + weight * figures[name]
    return {"loss": total, **figures}


_OF_PAIRS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "similarity": losses.similarity_loss,
    "contrastive": losses.contrastive_loss,
    "uniformity": lambda agreement_GMM, _: losses.uniformity_loss(agreement_GMM),
}
_OF_BITS = {"balance": losses.balance_loss, "decorrelation": losses.decorrelation_loss}


def losses_per_group(model: MatryoshkaBinarizer, y_GMD: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    """Losses of the signs of the activations, with a straight-through gradient: what gradient steps minimise."""
    return losses_of_signs(model, y_GMD, losses.sign_straight_through(model.activations(y_GMD)), weights)


def validate(model: MatryoshkaBinarizer, held_out_GMD: Tensor, weights: LossWeights) -> dict[str, float]:
    """Mean of every loss over held-out groups, with the signs that `encode` gives."""

    def of_codes(y_GMD: Tensor) -> dict[str, Tensor]:
        signs_NB = model.sign_search()(y_GMD.flatten(0, 1).double()).to(y_GMD.dtype)
        return losses_of_signs(model, y_GMD, signs_NB.view(*y_GMD.shape[:2], -1), weights)

    return mean_losses(of_codes, held_out_GMD)


def parameter_groups(model: MatryoshkaBinarizer) -> list[dict[str, Any]]:
    """Parameters with the scale of their steps: Adam moves every entry by about the learning rate, whatever its size.

    The projection's entries are about 1; a decoder's, fitted by least squares, are far smaller the more bits it has,
    and steps of the same length would undo the fit.
    """
    groups: list[dict[str, Any]] = [{"params": [model.weight_BD, model.bias_B], "scale": 1.0}]
    for decoder in model.decoders:
        groups.append({"params": [decoder], "scale": max(float(decoder.detach().square().mean().sqrt()), 1e-6)})
    return groups


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

    It starts from rotations fitted by ITQ (`nested_start`), moves them by `config.steps` gradient steps with
    straight-through signs, if any, and then finds signs and decoders in turn, `config.rounds` times (`alternate`).
    The seed alone decides what is drawn and in which order; records are dealt to the processes, and sums over them are
    the same for any number of processes, up to rounding. On the CPU a run that was stopped and resumed ends in the same
    bits as one that was not.

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
        on_step: called after each gradient step and each round with the number of both done.

    Returns:
        The model, in evaluation mode, on the CPU: as it decoded held-out vectors best, or without rounds of the
        best validation.

    Raises:
        ValueError: vectors or configuration do not fit.
        Stopped: SIGTERM or SIGINT came; the state is saved if there is a run folder.
        TooManyBadBatchesError, MemoryError, CheckpointError: see ddp_utils.
    """
    check_vectors(x_ND, "train_binarizer")
    levels = check_levels(bits)
    train_rows, held_out_rows = split_held_out(len(x_ND), config, seed=seed)
    preparation = Preparation.fit(x_ND, components=config.components).to(device)
    prepared_ND = preparation(x_ND.to(device)).float()
    fitted = train_rows[: fitted_rows(len(train_rows), levels[-1], config.fitted_rows)]
    model = start_model(preparation, prepared_ND[fitted.to(device)], levels, seed=seed)
    identity: dict[str, Any] = {"bits": list(levels), "seed": seed, "config": asdict(config)}
    if run_folder is not None:
        identity["vectors"] = checksum({"x_ND": x_ND.detach()}, "")
    checkpoints = None if run_folder is None else Checkpoints(run_folder / "checkpoints", keep=config.keep)
    if resume is not None and checkpoints is None:
        raise ValueError(f"train_binarizer: resume={str(resume)!r} needs the run_folder that it goes on in")
    found = checkpoints.load(None if resume == "auto" else resume) if checkpoints and resume else None
    if found is not None:
        check_same_run(found, identity)
    step = found.step if found else 0  # gradient steps and rounds done

    def count(done: int) -> None:
        nonlocal step
        step = done
        if on_step is not None:
            on_step(done)

    between = {"tensorboard": tensorboard, "quiet": quiet, "on_step": count, "run_folder": run_folder}
    if config.steps and not (found and "rounds" in found.state):
        train_model(
            model,
            partial(losses_per_group, model, weights=config.weights),
            prepared_ND,
            config,
            parameter_groups=parameter_groups(model),
            identity=identity,
            seed=seed,
            resume=resume,
            **between,
        )
    if config.rounds or not config.steps:
        held_out_GMD = prepared_ND[held_out_rows.to(device)].view(-1, config.group, prepared_ND.shape[1])
        _run_rounds(
            model,
            prepared_ND[fitted.to(device)],
            held_out_GMD,
            config,
            identity,
            checkpoints,
            found,
            seed=seed,
            step=step,
            **between,
        )
    return model.cpu().eval()


def start_model(
    preparation: Preparation, prepared_ND: Tensor, levels: Sequence[int], *, seed: int
) -> MatryoshkaBinarizer:
    """The model that training starts from: rotations by ITQ, their signs, decoders by least squares.

    Args:
        preparation: what is done to a vector first.
        prepared_ND: prepared vectors to fit it to, (N, D).
        levels: prefix lengths.
        seed: keys the rotations.
    """
    dim = prepared_ND.shape[1]
    weight_BD = nested_start(prepared_ND, levels, seed=seed) * dim**0.5  # activations about 1
    model = MatryoshkaBinarizer(preparation, levels, weight_BD=weight_BD).to(prepared_ND.device)
    broadcast_module(model)  # processes on unequal machines may round the rotations differently
    model.fit_decoders(prepared_ND)
    return model


def _run_rounds(
    model: MatryoshkaBinarizer,
    fitted_ND: Tensor,
    held_out_GMD: Tensor,
    config: TrainConfig,
    identity: Mapping[str, Any],
    checkpoints: Checkpoints | None,
    found: Checkpoint | None,
    *,
    seed: int,
    step: int,
    run_folder: Path | None,
    tensorboard: bool,
    quiet: bool,
    on_step: Callable[[int], None],
) -> None:
    """Signs and decoders in turn, with validation, metrics and a checkpoint after each round.

    The model ends as it was when held-out vectors decoded best: where there are few vectors a bit, decoders come to
    know those they are fitted to by heart.
    """
    done, best = 0, copy.deepcopy(model.state_dict())
    stopping = EarlyStopping(config.patience)
    start = run_on_main(held_out_errors, model, held_out_GMD)  # before a start of its own that pull = 0 makes
    if found is not None and "rounds" in found.state:
        done = found.state["rounds"]
        model.load_state_dict(found.state["model"])
        stopping.load_state_dict(found.state["stopping"])
        start, best = found.state["start"], found.state["best"]
        log.info("resumed from %s", found.folder)
    elif config.rounds and config.pull == 0:
        start_freely(model, fitted_ND, seed=seed)
        broadcast_module(model)
    metrics = MetricsLog(run_folder, resume_step=step, tensorboard=tensorboard) if run_folder else None

    def judge() -> None:
        nonlocal best
        figures, errors = run_on_main(
            lambda: (validate(model, held_out_GMD, config.weights), held_out_errors(model, held_out_GMD))
        )  # all processes go by the main one's figures: they stop together
        shares = [error / max(first, 1e-12) for error, first in zip(errors, start, strict=True)]
        if stopping.update(sum(shares) / len(shares), step):
            best = copy.deepcopy(model.state_dict())
        if metrics is not None:
            metrics.write(step, **figures)

    if step == 0:
        judge()  # the start
    elif done == 0:
        stopping.update(1.0, step)  # the gradient stage has written what it ended with
    with SignalStop() as stop, progress("rounds", config.rounds, done=done, quiet=quiet) as bar:
        while done < config.rounds and not stopping.should_stop:
            errors = alternate(model, fitted_ND, pull=config.pull)
            broadcast_module(model)
            done, step = done + 1, step + 1
            bar.advance(error=errors[-1])
            judge()
            on_step(step)
            stopped = stop.agreed()
            if checkpoints is not None:
                state = {"rounds": done, "model": model.state_dict(), "best": best, "start": start}
                state |= {"stopping": stopping.state_dict(), "identity": dict(identity)}
                checkpoints.save(step, state)
            if stopped:
                saved = f"resume with --resume auto --out {run_folder}" if run_folder else "nothing was saved"
                raise Stopped(f"stopped by a signal after round {done} of {config.rounds}; {saved}")
    if metrics is not None:
        metrics.close()
    model.load_state_dict(best)


def held_out_errors(model: MatryoshkaBinarizer, held_out_GMD: Tensor) -> list[float]:
    """Mean squared error of held-out vectors at every level, as `alternation.level_errors` defines it."""
    y_ND = held_out_GMD.flatten(0, 1)
    signs_NB = model.sign_search()(y_ND.double()).double()
    return [
        float((y_ND - signs_NB[:, : len(decoder)] @ decoder.double()).square().sum(1).mean())
        for decoder in model.level_decoders()
    ]
