"""Add the weights of spikes to what arrives, one function for each kind of static store.

To add a kind of store: a number in `lsm.store`, a function like those below, and a branch in
`lsm.kernels.cpu.deliver_spikes`.
"""

from __future__ import annotations

from lsm.kernels.numba_jit import jit


@jit
def constant(arrived_N, targets, weight):
    """Add one weight to all targets of a segment."""
    for i in range(len(targets)):
        arrived_N[targets[i]] += weight


@jit
def weighted(arrived_N, synapses, half):
    """Add to each target of a segment its own weight: the target is in the lower `half` bits, the weight above."""
    mask = (1 << half) - 1
    for i in range(len(synapses)):
        arrived_N[synapses[i] & mask] += synapses[i] >> half
