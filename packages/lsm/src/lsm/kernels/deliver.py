"""Add the weights of spikes to what arrives, one file for all kinds of static stores.

To add a kind of store: a number in `lsm.store`, a function like those below, and a branch in `lsm.kernels.cpu.deliver`.
"""

from __future__ import annotations

import numpy as np

from lsm.kernels.numba_jit import jit


@jit
def constant(arrived_N, targets, begin, end, weight):
    """Add one weight to the targets from begin to end - 1."""
    for i in range(begin, end):
        arrived_N[targets[i]] += weight


@jit
def weighted(arrived_N, synapses, begin, end):
    """Add to each target its own weight."""
    for i in range(begin, end):
        packed = synapses[i]
        arrived_N[packed & np.uint32(0xFFFF)] += np.int32(packed) >> np.int32(16)
