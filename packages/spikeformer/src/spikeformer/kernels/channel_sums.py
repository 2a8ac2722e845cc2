"""Sums over the neurons of a channel that do not depend on the number of threads.

Shapes: M neurons of a channel, C channels.
"""

from __future__ import annotations

import numpy as np
import torch
from ddp_utils.row_threads import over_rows
from torch import Tensor

from spikeformer.kernels.numba_jit import jit

STEPS_WORTH_A_THREAD = 1 << 17  # neurons times steps: about what is done while a thread starts


@jit
def _sum_channels(x_MC, sum_C, first, last):
    """Sum each channel in float64 and in the order of its neurons, whatever the threads."""
    total_C = np.zeros(last - first)
    for m in range(x_MC.shape[0]):
        for c in range(last - first):
            total_C[c] += x_MC[m, first + c]
    for c in range(last - first):
        sum_C[first + c] = total_C[c]


def channel_sum(grad_MC: Tensor | None, beta_C: Tensor) -> Tensor | None:
    """Sum the gradients of a parameter, which is shaped as beta; None for None."""
    if grad_MC is None:
        return None
    sum_C = torch.empty_like(beta_C)
    grads_MC = grad_MC.numpy().reshape(-1, len(beta_C))
    over_rows(_sum_channels, (grads_MC, sum_C.numpy()), len(beta_C), grads_MC.size // STEPS_WORTH_A_THREAD)
    return sum_C
