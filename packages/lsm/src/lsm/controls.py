"""What a liquid must beat: its input alone, and itself with random partners.

Legend: B samples, A instants, C channels, N neurons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from ddp_utils.seed import keyed_numpy_generator

from lsm.checks import require_above
from lsm.connections import connections
from lsm.distance_bernoulli import DistanceBernoulli
from lsm.distributions import Constant, Distribution, Listed, Normal, Uniform
from lsm.explicit import Explicit
from lsm.exponential_filter import filtered_spikes
from lsm.fixed_indegree import FixedIndegree
from lsm.network import Network
from lsm.one_to_one import OneToOne
from lsm.spatial_indegree import SpatialIndegree
from lsm.synapse import check_synapse

STRUCTURED = (DistanceBernoulli, Explicit, OneToOne)


def input_states(
    samples: Sequence[tuple[np.ndarray, np.ndarray]],
    durations: float | Sequence[float],
    n_channels: int,
    *,
    instants: int = 1,
    tau: float = 30.0,
) -> np.ndarray:
    """States of the input alone: the same filter at the same instants, without a liquid between.

    Args:
        samples: (times in ms, channels) each.
        durations: ms, one for all or one each.
        n_channels: C.
        instants: A, equally spaced, the last at the end.
        tau: of the filter, ms.

    Returns:
        float32, (B, A, C).
    """
    lengths = np.broadcast_to(np.asarray(durations, np.float64), (len(samples),))
    return np.stack(
        [
            filtered_spikes(times, ids, n_channels, length * np.arange(1, instants + 1) / instants + 1e-6, tau=tau)
            for (times, ids), length in zip(samples, lengths, strict=True)
        ]
    )


def expanded(states_BAC: np.ndarray, n_features: int, *, gain: float = 1.0, seed: int = 0) -> np.ndarray:
    """As many features as a liquid has neurons, without its dynamics: random, static and nonlinear.

        z = max(0, W x + b),   W ~ N(0, gain^2 / C) on x over its root mean square, b ~ N(0, gain^2 / 4)

    Args:
        states_BAC: filtered input, (B, A, C).
        n_features: N.
        gain: of the weights.
        seed: keys them.

    Returns:
        float32, (B, A, N).

    References:
        Huang, Zhu, Siew (2006), Extreme learning machine, Neurocomputing 70.
    """
    rng = keyed_numpy_generator(seed, "expanded input")
    n_channels = states_BAC.shape[-1]
    weights_CN = rng.normal(0, gain / np.sqrt(n_channels), (n_channels, n_features)).astype(np.float32)
    offsets_N = rng.normal(0, gain / 2, n_features).astype(np.float32)
    scale = np.float32(np.sqrt((states_BAC.astype(np.float64) ** 2).mean()) or 1.0)
    return np.maximum(states_BAC / scale @ weights_CN + offsets_N, 0)


def scrambled(network: Network, *, seed: int = 0, inputs: bool = True, gain: float = 1.0) -> Network:
    """The same neurons with random partners: same numbers of synapses, same weights and delays.

    The sources of each projection's synapses are shuffled among its targets, so every neuron keeps its in-degree and
    its out-degree in each projection, and each synapse its weight and delay. Projections that are random already stay
    as they are; of SpatialIndegree the in-degrees are kept, and the out-degrees in the mean.

    Args:
        network: built or not; it is not changed.
        seed: keys the shuffling.
        inputs: whether projections from inputs are shuffled too.
        gain: of excitatory weights between neurons, > 0: random partners may leave a liquid too quiet or too loud with
            the weights it had.

    Returns:
        A new network, not built.

    Raises:
        ValueError: the gain is not positive, or takes weights that learn beyond their bounds.
    """
    require_above("scrambled: gain", gain, 0.0)
    other = Network(seed=network.seed, step=network.step)
    other.populations, other.drives = list(network.populations), list(network.drives)
    for projection in network.projections:
        changed = projection
        if inputs or projection.pre.model is not None:
            if isinstance(projection.rule, SpatialIndegree):
                rule = FixedIndegree(projection.rule.k, autapses=projection.rule.autapses)
                changed = dataclasses.replace(projection, rule=rule)
            elif isinstance(projection.rule, STRUCTURED):
                drawn = connections(network, projection)
                rng = keyed_numpy_generator(seed, "scrambled partners", projection.index)
                rule = Explicit(rng.permutation(drawn.sources), drawn.targets)
                changed = dataclasses.replace(
                    projection,
                    rule=rule,
                    weight=_listed(projection.weight, drawn.weights),
                    delay=_listed(projection.delay, drawn.delays),
                )
        if gain != 1 and projection.pre.model is not None:
            changed = dataclasses.replace(changed, weight=_stronger(changed.weight, gain))
        check_synapse(changed.synapse, changed.weight, changed.delay)
        other.projections.append(changed)
    return other


def _listed(described: Distribution, drawn: np.ndarray) -> Distribution:
    """What was drawn, synapse by synapse; a constant stays one."""
    return described if isinstance(described, Constant) else Listed(np.asarray(drawn, np.float64))


def _stronger(weight: Distribution, gain: float) -> Distribution:
    """Excitatory weights times a gain; inhibitory ones as they are."""
    if isinstance(weight, Listed):
        return Listed(np.where(weight.table > 0, weight.table * gain, weight.table))
    if sum(weight.bounds) < 0:
        return weight
    if isinstance(weight, Constant):
        return Constant(weight.value * gain)
    if isinstance(weight, Normal):
        return Normal(weight.mean * gain, weight.sd * gain, weight.low * gain, weight.high * gain)
    return Uniform(weight.low * gain, weight.high * gain)
