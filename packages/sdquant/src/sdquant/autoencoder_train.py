"""Training a `BinaryAutoencoder` on any number of processes.

Shapes: batches come in G groups of S vectors, D dimensions, M bits: z_GSD.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ddp_utils import train_model
from ddp_utils.tensor_file import checksum
from torch import Tensor
from torch.nn.functional import cross_entropy

from sdquant.autoencoder_config import AutoencoderConfig, AutoencoderLossWeights
from sdquant.autoencoder_start import parameter_groups
from sdquant.binary_autoencoder import BinaryAutoencoder, Quantizer
from sdquant.codec_input import Joining, Metric, Parts

_SHARPNESS = 8.0  # of the identity term: logits are minus this times squared distance over mean squared length


def train_binary_autoencoder(
    x: Parts,
    bits: int,
    quantizer: Quantizer = "greedy",
    ternary: bool = True,
    *,
    hidden: int = 512,
    metric: Metric = "euclidean",
    weights: Sequence[float] | None = None,
    config: AutoencoderConfig | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    run_folder: Path | None = None,
    resume: str | Path | None = None,
    tensorboard: bool = False,
    quiet: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> BinaryAutoencoder:
    """Train a binary autoencoder on vectors. Every process of the group calls it with the same vectors.

    Any number of processes trains on the same sums, up to rounding; on the CPU a run that was stopped and resumed ends
    in the same bits as one that was not (see `ddp_utils.train_model`).

    Args:
        x: vectors, floating point, (N, D), or several embeddings of the same N things.
        bits: M, as for `BinaryAutoencoder`.
        quantizer: as for `BinaryAutoencoder`.
        ternary: as for `BinaryAutoencoder`.
        hidden: as for `BinaryAutoencoder`.
        metric: as for `BinaryAutoencoder.start`.
        weights: as for `BinaryAutoencoder.start`.
        config: how to train; the defaults by default.
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
        TypeError: x is no floating matrix.
        ValueError: vectors or configuration do not fit.
        Stopped: SIGTERM or SIGINT came; the state is saved if there is a run folder.
        TooManyBadBatchesError, MemoryError, CheckpointError: see ddp_utils.
    """
    config = config or AutoencoderConfig()
    dims = Joining.fit(x, metric, weights).dims
    model = BinaryAutoencoder(dims, bits, quantizer, ternary, hidden=hidden, seed=seed).to(device)
    z_ND = model.start(x, metric=metric, weights=weights)
    identity: dict[str, Any] = {"bits": bits, "quantizer": quantizer, "ternary": ternary, "hidden": hidden}
    if run_folder is not None:
        identity["vectors"] = checksum({"z_ND": z_ND}, repr(model.joining))
    train_model(
        model,
        partial(losses_per_group, model, weights=config.loss_weights),
        z_ND,
        config,
        parameter_groups=parameter_groups(model.encoder, model.decoder),
        identity=identity,
        seed=seed,
        run_folder=run_folder,
        resume=resume,
        tensorboard=tensorboard,
        quiet=quiet,
        on_step=on_step,
    )
    return model.cpu().eval()


def losses_per_group(model: BinaryAutoencoder, z_GSD: Tensor, weights: AutoencoderLossWeights) -> dict[str, Tensor]:
    """Losses of prepared vectors, by name, each (G,); "loss" is their weighted sum. Vectors have mean square 1.

        reconstruction = mean_i norm2(z_hat_i - z_i)^2 / D
        distances      = mean_ij ((norm2(z_hat_i - z_hat_j)^2 - norm2(z_i - z_j)^2) / D)^2
        identity       = -mean_i log softmax_j(-8 norm2(z_hat_i - z_j)^2 / D)_i      (InfoNCE)

    Args:
        model: the model.
        z_GSD: prepared vectors, (G, S, D).
        weights: which losses, and how they add up.

    References:
        van den Oord, Li, Vinyals (2018), arXiv 1807.03748: InfoNCE.
    """
    activations_GSM = model.encoder(z_GSD).float()
    if not bool(torch.isfinite(activations_GSM).all()):  # a bad batch, which the loop skips by agreement
        return {"loss": activations_GSM.sum((1, 2)) * torch.nan}
    decoded_GSD = model.decoder(model.sigma_delta(activations_GSM)).float()
    figures = {"reconstruction": (decoded_GSD - z_GSD).square().mean((1, 2))}
    if weights.distances:
        apart_GSS = _squared_distances(decoded_GSD, decoded_GSD) - _squared_distances(z_GSD, z_GSD)
        figures["distances"] = apart_GSS.square().mean((1, 2))
    if weights.identity:
        logits_GSS = -_SHARPNESS * _squared_distances(decoded_GSD, z_GSD)
        own_GS = torch.arange(z_GSD.shape[1], device=z_GSD.device).expand(len(z_GSD), -1)
        figures["identity"] = cross_entropy(logits_GSS.mT, own_GS, reduction="none").mean(1)
    loss_G = sum((getattr(weights, name) * value for name, value in figures.items()), z_GSD.new_zeros(len(z_GSD)))
    return {"loss": loss_G, **figures}


def _squared_distances(a_GSD: Tensor, b_GSD: Tensor) -> Tensor:
    """norm2(a_i - b_j)^2 / D for all pairs of a group, (G, S, S)."""
    a_GS1, b_G1S = a_GSD.square().mean(2)[:, :, None], b_GSD.square().mean(2)[:, None]
    return a_GS1 + b_G1S - (2 / a_GSD.shape[2]) * (a_GSD @ b_GSD.mT)
