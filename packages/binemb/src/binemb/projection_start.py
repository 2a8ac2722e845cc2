"""Projections that a nested code starts from.

Shapes: D dimensions, B bits, N prepared vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

ITERATIONS = 30
SAMPLE = 20_000


def stacked_rotations(dim: int, n_bits: int, *, seed: int) -> Tensor:
    """Rows of independent random rotations of R^dim, one below the other.

    Args:
        dim: width of a rotation, >= 1.
        n_bits: number of rows.
        seed: keys the draw.

    Returns:
        Unit rows, float32, (n_bits, dim); each run of dim rows from the start is orthonormal.
    """
    blocks = [random_rotation(dim, seed, block) for block in range(math.ceil(n_bits / dim))]
    return torch.cat(blocks)[:n_bits].float()


def random_rotation(dim: int, seed: int, block: int) -> Tensor:
    """An orthogonal matrix drawn uniformly, float64, (dim, dim)."""
    gaussian = torch.randn(dim, dim, generator=keyed_generator(seed, "rotation", block), dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal().sign()  # makes the draw uniform over rotations


def quantization_rotation(x_ND: Tensor, start_DD: Tensor, *, iterations: int = ITERATIONS) -> Tensor:
    """The rotation whose signs lie closest to the vectors, from a rotation to start with (ITQ).

        min_{S, R} norm(S - X R^T)_F^2,   S in {-1, +1}^(N x D), R orthogonal;   S and R in turn

    Args:
        x_ND: vectors, float64, (N, D).
        start_DD: R to start from, (D, D).
        iterations: of both steps.

    Returns:
        R, float64, (D, D).

    References:
        Gong, Lazebnik (2011), Iterative quantization, CVPR, section 2.2.
    """
    rotation_DD = start_DD
    for _ in range(iterations):
        signs_ND = torch.where(x_ND @ rotation_DD.T >= 0, 1.0, -1.0).to(x_ND.dtype)
        u, _, v = torch.linalg.svd(signs_ND.T @ x_ND)
        rotation_DD = u @ v
    return rotation_DD


def effective_dimensions(variance_D: Tensor) -> float:
    """How many dimensions vectors really use: (sum v)^2 / sum v^2, the participation ratio of their variances."""
    return float(variance_D.sum() ** 2 / variance_D.square().sum())


def nested_start(prepared_ND: Tensor, levels: Sequence[int], *, seed: int) -> Tensor:
    """Rows for a nested code: ITQ on leading principal components for short prefixes, on all dimensions beyond.

    A level of no more bits than the vectors have effective dimensions adds the next principal components, rotated among
    themselves: there the components left out carry least. The bits of further levels are rows of rotations of the whole
    space, one below the other. Each rotation is fitted by ITQ from a draw of its own.

    Args:
        prepared_ND: prepared vectors, (N, D); up to 20,000 of them are used.
        levels: prefix lengths, ascending.
        seed: keys the rotations.

    Returns:
        Unit rows, float32, (B, D).
    """
    x_ND = prepared_ND[:SAMPLE].double().cpu()
    dim = x_ND.shape[1]
    variance_D, components_DD = torch.linalg.eigh(x_ND.T @ x_ND)  # rising; components are columns
    components_DD = components_DD.flip(1)
    short = [level for level in levels if level <= effective_dimensions(variance_D)]
    bases = [components_DD[:, first:last] for first, last in pairwise([0, *short])]
    whole = math.ceil((levels[-1] - (short or [0])[-1]) / dim)
    rows = []
    for block, basis_DC in enumerate([*bases, *[torch.eye(dim, dtype=torch.float64)] * whole]):
        rotation_CC = quantization_rotation(x_ND @ basis_DC, random_rotation(basis_DC.shape[1], seed, block))
        rows.append(rotation_CC @ basis_DC.T)
    return torch.cat(rows)[: levels[-1]].float()


def successive_signs(prepared_ND: Tensor, levels: Sequence[int], *, seed: int, ridge: float = 1e-3) -> Tensor:
    """Signs of which each level codes what the levels before it leave, for bits that serve decoding alone.

    The bits of a level are the signs of rotations of the residual, of its principal components where they are fewer
    than the dimensions; a decoder by least squares of all bits so far gives the next residual.

    Args:
        prepared_ND: prepared vectors, (N, D).
        levels: prefix lengths, ascending.
        seed: keys the rotations.
        ridge: weight of the penalty of the decoders, > 0.

    Returns:
        +1 and -1, float32, (N, B).
    """
    x_ND = prepared_ND.double()
    dim = x_ND.shape[1]
    rest_ND, signs_NB = x_ND, torch.zeros(len(x_ND), 0, device=x_ND.device)
    for level in levels:
        added = level - signs_NB.shape[1]
        width = min(added, dim)
        basis_DC = torch.linalg.eigh(rest_ND.T @ rest_ND)[1].flip(1)[:, :width]
        projected_NC = rest_ND @ basis_DC
        turned = []
        for block in range(math.ceil(added / width)):
            start_CC = random_rotation(width, seed, level + block).to(x_ND.device)
            rotation_CC = quantization_rotation(projected_NC[:SAMPLE], start_CC)
            turned.append(projected_NC @ rotation_CC.T)
        new_NB = torch.where(torch.cat(turned, dim=1)[:, :added] >= 0, 1.0, -1.0)
        signs_NB = torch.cat([signs_NB, new_NB], dim=1)
        gram_BB = (signs_NB.T @ signs_NB).double() / len(x_ND)
        gram_BB.diagonal().add_(ridge)
        decoder_BD = torch.linalg.solve(gram_BB, (signs_NB.T @ x_ND.float()).double() / len(x_ND))
        rest_ND = x_ND - (signs_NB @ decoder_BD.float()).double()
    return signs_NB
