"""Signs and decoders in turn: how a nested code is fitted, on any number of processes.

Shapes: N prepared vectors of D values, B bits, K levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.distributed as dist
from ddp_utils.distributed import rank, world_size
from torch import Tensor

from binemb.matryoshka import MatryoshkaBinarizer
from binemb.projection_start import SAMPLE, successive_signs

ROWS_AT_ONCE = 4096
ROWS_PER_BIT = 8
RIDGE = 1e-3


def fitted_rows(n_rows: int, n_bits: int, least: int) -> int:
    """Rows that decoders are fitted to: the least asked for, or eight a bit, as far as there are so many."""
    return min(n_rows, max(least, ROWS_PER_BIT * n_bits))


def code_moments(signs_of: Callable[[Tensor], Tensor], prepared_ND: Tensor, n_bits: int) -> tuple[Tensor, Tensor]:
    """Second moments of signs, and of signs and vectors, over all rows; every process computes its share.

        M = mean s s^T,   A = mean s y^T

    The counts behind M are exact; A is summed in float64, where the number of processes shows in the last bits alone.

    Args:
        signs_of: signs of rows, (n, D) float64 to (n, B).
        prepared_ND: the same rows in every process, (N, D).
        n_bits: B.

    Returns:
        M (B, B) and A (B, D), float64, the same in every process.
    """
    dim = prepared_ND.shape[1]
    moments_BX = torch.zeros(n_bits, n_bits + dim, dtype=torch.float64, device=prepared_ND.device)
    for part_ND in prepared_ND.split(ROWS_AT_ONCE)[rank() :: world_size()]:
        y_ND = part_ND.double()
        signs_NB = signs_of(y_ND)
        counts = signs_NB.float()  # sums of 4,096 signs are exact in float32
        moments_BX[:, :n_bits] += counts.T @ counts
        moments_BX[:, n_bits:] += signs_NB.double().T @ y_ND
    if world_size() > 1:
        dist.all_reduce(moments_BX)
    moments_BX /= len(prepared_ND)
    return moments_BX[:, :n_bits], moments_BX[:, n_bits:]


@torch.no_grad()
def solve_decoders(model: MatryoshkaBinarizer, moment_BB: Tensor, cross_BD: Tensor, *, ridge: float = RIDGE) -> None:
    """Set every R_k by least squares on what the levels before it leave.

        R_k = argmin_R mean norm2(y - y_hat_{k-1} - R^T s[: b_k])^2 + ridge norm(R)^2

    Args:
        model: its decoders are set, in place.
        moment_BB: mean s s^T, float64, (B, B).
        cross_BD: mean s y^T, float64, (B, D).
        ridge: weight of the penalty, > 0.
    """
    whole_BD = torch.zeros_like(cross_BD)  # what the levels so far decode with
    for level, decoder in zip(model.bits, model.decoders, strict=True):
        gram = moment_BB[:level, :level] + ridge * torch.eye(level, dtype=torch.float64, device=moment_BB.device)
        left = cross_BD[:level] - moment_BB[:level] @ whole_BD
        refinement = torch.linalg.solve(gram, left)
        decoder.copy_(refinement)
        whole_BD[:level] += refinement


@torch.no_grad()
def level_errors(model: MatryoshkaBinarizer, moment_BB: Tensor, cross_BD: Tensor, power: float) -> list[float]:
    """Mean squared error of every level, from moments of the same rows: mean norm2(y - D_k^T s)^2.

    Args:
        model: with the decoders D_k.
        moment_BB: mean s s^T.
        cross_BD: mean s y^T.
        power: mean norm2(y)^2.
    """
    errors = []
    for decoder in model.level_decoders():
        wide = decoder.double()
        bits = len(wide)
        decoded = ((moment_BB[:bits, :bits] @ wide) * wide).sum()
        errors.append(float(power - 2 * (cross_BD[:bits] * wide).sum() + decoded))
    return errors


@torch.no_grad()
def set_energy(model: MatryoshkaBinarizer, errors: list[float], pull: float) -> None:
    """Weights of the search: levels by 1 / sqrt(error), so that fine levels count; the pull in their proportion.

        a_k = error_k^(-1/2),   h_j = pull sum_{k: b_k > j} a_k / b_k

    A decoder's rows shrink with the bits that share the work as 1 / b_k, and so does the pull: one number serves all
    lengths.

    Args:
        model: its `level_weights_K` and `pull_B` are set, in place.
        errors: of every level, >= 0.
        pull: towards the signs of the activations, >= 0.
    """
    weights = [1 / math.sqrt(max(error, 1e-9)) for error in errors]
    model.level_weights_K.copy_(torch.tensor(weights))
    pulls = torch.zeros(model.bits[-1], dtype=torch.float64)
    for level, weight in zip(model.bits, weights, strict=True):
        pulls[:level] += pull * weight / level
    model.pull_B.copy_(pulls)


def alternate(
    model: MatryoshkaBinarizer,
    prepared_ND: Tensor,
    *,
    pull: float,
) -> list[float]:
    """One round: the signs that the model now gives the rows, and the decoders and weights that fit them.

    Args:
        model: fitted in place.
        prepared_ND: rows to fit it to, on the model's device, the same in every process.
        pull: see `set_energy`.

    Returns:
        Mean squared error of every level on these rows.
    """
    moment_BB, cross_BD = code_moments(model.sign_search(), prepared_ND, model.bits[-1])
    solve_decoders(model, moment_BB, cross_BD)
    errors = level_errors(model, moment_BB, cross_BD, float(prepared_ND.double().square().sum(1).mean()))
    set_energy(model, errors, pull)
    return errors


def start_freely(model: MatryoshkaBinarizer, prepared_ND: Tensor, *, seed: int) -> None:
    """First decoders and weights for bits without a pull, from `successive_signs` of up to 20,000 rows.

    Args:
        model: fitted in place.
        prepared_ND: rows, the same in every process.
        seed: keys the rotations.
    """
    sample_ND = prepared_ND[:SAMPLE].double()
    signs_NB = successive_signs(sample_ND, model.bits, seed=seed)
    moment_BB = (signs_NB.T @ signs_NB).double() / len(signs_NB)  # counts below 2^24 are exact in float32
    cross_BD = (signs_NB.T @ sample_ND.float()).double() / len(signs_NB)
    solve_decoders(model, moment_BB, cross_BD)
    errors = level_errors(model, moment_BB, cross_BD, float(sample_ND.square().sum(1).mean()))
    set_energy(model, errors, 0.0)
