"""The inner loops of the search for signs, picked in this one place.

Tensors on the CPU run the numba loops where numba is installed, all others the plain-torch form. `descend_gram` does
the same operations in the same order in both, and its codes are equal; the inner products of `descend_factors` round
differently.
"""

from __future__ import annotations

import importlib.util

from torch import Tensor

from binemb.kernels import reference

_HAS_NUMBA = importlib.util.find_spec("numba") is not None


def descend_gram(linear_NB: Tensor, gram_BB: Tensor, passes: int) -> Tensor:
    """Find signs of low energy s^T G s - 2 l^T s for each row; see `binemb.sign_search`.

    Args:
        linear_NB: l, float32 or float64, (N, B).
        gram_BB: G, symmetric, of the same dtype, (B, B), on the same device.
        passes: over all bits, at most, after the first.

    Returns:
        +1 and -1, int8, (N, B).
    """
    if linear_NB.device.type == "cpu" and _HAS_NUMBA:
        from binemb.kernels import cpu

        return cpu.descend_gram(linear_NB, gram_BB, passes)
    return reference.descend_gram(linear_NB, gram_BB, passes)


def descend_factors(pull_NB: Tensor, target_NR: Tensor, factor_BR: Tensor, first_B: Tensor, passes: int) -> Tensor:
    """The same search with G = F F^T and l = F t + pull, for more bits than a Gram matrix is made for.

    Args:
        pull_NB: float32 or float64, (N, B).
        target_NR: t, of the same dtype, (N, R).
        factor_BR: F, of the same dtype, (B, R).
        first_B: the first column of each row of F that is not zero, int64, (B,).
        passes: over all bits, at most, after the first.

    Returns:
        +1 and -1, int8, (N, B).
    """
    if pull_NB.device.type == "cpu" and _HAS_NUMBA:
        from binemb.kernels import cpu

        return cpu.descend_factors(pull_NB, target_NR, factor_BR, first_B, passes)
    return reference.descend_factors(pull_NB, target_NR, factor_BR, first_B, passes)
