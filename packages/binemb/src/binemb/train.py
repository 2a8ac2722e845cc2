"""Training a `MatryoshkaBinarizer` on any number of processes.

Shapes: batches come in G groups of M records, D dimensions, B bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ddp_utils import mean_losses, split_held_out, train_model
from ddp_utils.tensor_file import checksum
from torch import Tensor

from binemb.losses import angular_similarity, reconstruction_loss, sign_straight_through, similarity_loss
from binemb.matryoshka import MatryoshkaBinarizer, check_levels
from binemb.preparation import Preparation, check_vectors
from binemb.train_config import LossWeights, TrainConfig


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
    levels = check_levels(bits)
    train_rows, _ = split_held_out(len(x_ND), config, seed=seed)
    model = MatryoshkaBinarizer(Preparation.fit(x_ND, components=config.components), levels, seed=seed).to(device)
    prepared_ND = model.preparation(x_ND.to(device)).float()
    model.fit_decoders(prepared_ND[train_rows[: 8 * levels[-1]].to(device)])
    identity: dict[str, Any] = {"bits": list(levels)}
    if run_folder is not None:
        identity["vectors"] = checksum({"x_ND": x_ND}, "")
    train_model(
        model,
        partial(losses_per_group, model, weights=config.weights),
        prepared_ND,
        config,
        parameter_groups=parameter_groups(model),
        identity=identity,
        seed=seed,
        run_folder=run_folder,
        resume=resume,
        tensorboard=tensorboard,
        quiet=quiet,
        on_step=on_step,
    )
    return model.cpu().eval()


def validate(model: MatryoshkaBinarizer, held_out_GMD: Tensor, weights: LossWeights) -> dict[str, float]:
    """Mean of every loss over the held-out groups."""
    return mean_losses(partial(losses_per_group, model, weights=weights), held_out_GMD)
