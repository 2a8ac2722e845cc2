"""Short-term depression and facilitation of a synapse by the spikes of its source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm.checks import require_at_least, require_fraction


@dataclass(frozen=True, kw_only=True)
class ShortTerm:
    """Short-term plasticity of Tsodyks and Markram, with resources x and use u of each source.

    At a spike that follows the last one by D:

        x <- 1 + (x - x u - 1) exp(-D / tau_rec)
        u <- U + u (1 - U) exp(-D / tau_fac)
        delivered: weight u x

    A source that has never spiked has x = 1, and its first spike uses U. All synapses of a source in one `connect` to
    one population share u and x.

    Args:
        U: share of the resources that a first spike uses, 0 to 1.
        tau_rec: time constant of recovery in ms, >= 0.
        tau_fac: time constant of facilitation in ms, >= 0; 0 for none.

    Raises:
        ValueError: an argument is out of its range.

    References:
        Tsodyks, Pawelzik, Markram (1998), Neural networks with dynamic synapses, Neural Computation 10.
        Maass, Markram (2002), Synapses as dynamic memory buffers, Neural Networks 15, equations 4 and 5.
    """

    U: float
    tau_rec: float
    tau_fac: float = 0.0

    def __post_init__(self) -> None:
        require_fraction("U", self.U)
        require_at_least("tau_rec", self.tau_rec, 0.0, unit="ms")
        require_at_least("tau_fac", self.tau_fac, 0.0, unit="ms")


def short_term_spike(
    u: np.ndarray, x: np.ndarray, *, U: float, recovery: np.ndarray, facilitation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring u and x from just before the last spike to this one; it delivers u x.

    Args:
        u: use at the last spike, 0 where there was none.
        x: resources at the last spike, 1 where there was none.
        U: of `ShortTerm`.
        recovery: exp(-D / tau_rec) with the time since the last spike.
        facilitation: exp(-D / tau_fac).

    Returns:
        u and x at this spike.
    """
    return U + u * (1.0 - U) * facilitation, 1.0 + (x - x * u - 1.0) * recovery
