"""What may change the weight of a synapse."""

from __future__ import annotations

from lsm.distributions import Constant, Distribution
from lsm.dopamine import DopamineSTDP
from lsm.short_term import ShortTerm
from lsm.stdp import STDP

Synapse = ShortTerm | STDP | DopamineSTDP


def check_synapse(synapse: Synapse | None, weight: Distribution, delay: Distribution) -> None:
    """See that a synapse model can have these weights and delays.

    Args:
        synapse: the model; None for static synapses.
        weight: of the synapses at the start.
        delay: ms.

    Raises:
        TypeError: there is no such model.
        ValueError: synapses that learn have delays that differ, or weights outside their bounds.
    """
    if synapse is None or isinstance(synapse, ShortTerm):
        return
    if not isinstance(synapse, STDP | DopamineSTDP):
        raise TypeError(f"connect: synapse must be ShortTerm, STDP or DopamineSTDP, got {synapse!r}")
    if not isinstance(delay, Constant):
        raise ValueError(f"connect: synapses that learn need one delay for all, got {delay!r}")
    (low, high), (least, most) = synapse.bounds, weight.bounds
    if not low <= least <= most <= high:
        raise ValueError(
            f"connect: weights must lie from {low:g} to {high:g} as {synapse!r} says, got {least:g} to {most:g}"
        )
