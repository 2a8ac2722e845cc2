"""The search for signs in plain torch, all rows at once, bit by bit."""

from __future__ import annotations

import torch
from torch import Tensor


def descend_gram(linear_NB: Tensor, gram_BB: Tensor, passes: int) -> Tensor:
    """See `binemb.kernels.descend_gram`."""
    slope_NB = -linear_NB  # G s - l
    signs_NB = torch.zeros_like(linear_NB)
    for j in range(len(gram_BB)):  # each bit after those before it
        signs_NB[:, j] = torch.where(slope_NB[:, j] <= 0, 1.0, -1.0)
        slope_NB += signs_NB[:, j, None] * gram_BB[j]
    for _ in range(passes):
        changed = torch.zeros((), dtype=torch.bool, device=linear_NB.device)
        for j in range(len(gram_BB)):
            flip_N = signs_NB[:, j] * slope_NB[:, j] > gram_BB[j, j]
            changed |= flip_N.any()
            step_N = torch.where(flip_N, 2 * signs_NB[:, j], 0.0)
            slope_NB -= step_N[:, None] * gram_BB[j]
            signs_NB[:, j] -= step_N
        if not changed:
            break
    return signs_NB.to(torch.int8)


def descend_factors(pull_NB: Tensor, target_NR: Tensor, factor_BR: Tensor, first_B: Tensor, passes: int) -> Tensor:
    """See `binemb.kernels.descend_factors`; `first_B` saves this form nothing."""
    del first_B
    rest_NR = -target_NR  # F^T s - t
    signs_NB = torch.zeros_like(pull_NB)
    own_B = factor_BR.square().sum(1)
    for j in range(len(factor_BR)):
        slope_N = rest_NR @ factor_BR[j] - pull_NB[:, j]
        signs_NB[:, j] = torch.where(slope_N <= 0, 1.0, -1.0)
        rest_NR += signs_NB[:, j, None] * factor_BR[j]
    for _ in range(passes):
        changed = torch.zeros((), dtype=torch.bool, device=pull_NB.device)
        for j in range(len(factor_BR)):
            slope_N = rest_NR @ factor_BR[j] - pull_NB[:, j]
            flip_N = signs_NB[:, j] * slope_N > own_B[j]
            changed |= flip_N.any()
            step_N = torch.where(flip_N, 2 * signs_NB[:, j], 0.0)
            rest_NR -= step_N[:, None] * factor_BR[j]
            signs_NB[:, j] -= step_N
        if not changed:
            break
    return signs_NB.to(torch.int8)
