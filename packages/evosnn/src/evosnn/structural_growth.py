"""Growth of synapses by homeostasis: neurons that fire too little grow synaptic elements, and free elements that lie
near each other connect.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from evosnn.distance_connectivity import pairwise_distance
from evosnn.genome import EDGE_ARRAYS, Genome
from evosnn.innovation import edge_number

TAU_CALCIUM_MS = 10_000.0
ETA, EPSILON = 0.1, 0.7


def calcium_trace(
    calcium_PN: Tensor, spikes_PN: Tensor, *, duration_ms: float, tau_ms: float = TAU_CALCIUM_MS, beta: float = 1e-3
) -> Tensor:
    """Bring calcium on over a stretch of time in which a neuron spiked evenly.

        Ca' = -Ca / tau + beta sum of delta(t - spikes)

    Args:
        calcium_PN: Ca.
        spikes_PN: numbers of spikes in the time.
        duration_ms: T, > 0.
        tau_ms: time constant, > 0.
        beta: calcium that a spike lets in. A neuron that fires at r Hz comes to beta tau r / 1000.
    """
    kept = math.exp(-duration_ms / tau_ms)
    return calcium_PN * kept + spikes_PN * (beta * (1 - kept) * tau_ms / duration_ms)


def growth_rate(calcium_PN: Tensor, *, nu: float = 1e-4, eta: float = ETA, epsilon: float = EPSILON) -> Tensor:
    """Growth of a neuron's synaptic elements in 1 / ms.

        z' = nu (2 exp(-((Ca - xi) / zeta)^2) - 1),  xi = (eta + epsilon) / 2,  zeta = (epsilon - eta) / (2 sqrt(ln 2))

    It is positive between eta and epsilon, 0 at both, and -nu far away.

    Args:
        calcium_PN: Ca.
        nu: fastest growth, 1 / ms.
        eta: least calcium for growth.
        epsilon: calcium at which growth ends, the target; > eta.

    Raises:
        ValueError: epsilon is not above eta.

    References:
        Butz, van Ooyen (2013), A simple rule for dendritic spine and axonal bouton formation can account for cortical
        reorganization after focal retinal lesions, PLoS Computational Biology 9(10), equations 3 to 5.
    """
    if not epsilon > eta:
        raise ValueError(f"growth_rate: epsilon must be above eta, got eta={eta}, epsilon={epsilon}")
    xi, zeta = (eta + epsilon) / 2, (epsilon - eta) / (2 * math.sqrt(math.log(2)))
    return nu * (2 * (-(((calcium_PN - xi) / zeta) ** 2)).exp() - 1)


def free_elements(elements_X: np.ndarray, connected_X: np.ndarray) -> np.ndarray:
    """Whole elements that have no synapse yet, int64, >= 0."""
    return np.maximum(np.floor(elements_X).astype(np.int64) - connected_X, 0)


def form_synapses(
    free_axonal_S: np.ndarray,
    free_dendritic_N: np.ndarray,
    position_S3: np.ndarray,
    position_N3: np.ndarray,
    taken_SN: np.ndarray,
    rng: np.random.Generator,
    *,
    reach: float = 2.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Connect free elements, one after the other, near ones rather than far ones.

        each free axonal element, in random order, takes a dendritic one with probability ~ free exp(-(D / reach)^2)

    Args:
        free_axonal_S: free axonal elements of each source, int64.
        free_dendritic_N: free dendritic elements of each neuron, int64.
        position_S3: places of the sources.
        position_N3: places of the neurons.
        taken_SN: pairs that may not connect, bool: those that are, and a neuron with itself.
        rng: what draws.
        reach: width of the kernel, > 0.

    Returns:
        Sources and targets of the new synapses, int64 each, distinct pairs.

    References:
        Butz, van Ooyen (2013), section "Formation of synapses".
    """
    kernel_SN = np.exp(-((pairwise_distance(position_S3, position_N3) / reach) ** 2))
    allowed_SN, left_N = ~taken_SN, free_dendritic_N.copy()
    sources, targets = [], []
    for source in rng.permutation(np.repeat(np.arange(len(free_axonal_S)), free_axonal_S)):
        weight_N = kernel_SN[source] * left_N * allowed_SN[source]
        total = weight_N.sum()
        if total > 0:
            target = int(rng.choice(len(left_N), p=weight_N / total))
            left_N[target] -= 1
            allowed_SN[source, target] = False
            sources.append(int(source))
            targets.append(target)
    return np.array(sources, np.int64), np.array(targets, np.int64)


def grow(
    genome: Genome,
    axonal_N: np.ndarray,
    dendritic_N: np.ndarray,
    rng: np.random.Generator,
    *,
    weight: float = 1.0,
    delay: int = 1,
    reach: float = 2.0,
) -> Genome:
    """The genome with synapses between neurons whose elements are free, and without those whose elements are gone.

    A neuron with fewer elements than synapses loses the surplus, drawn at random. Edges from afferents and disabled
    edges stay as they are.

    Args:
        genome: what grows.
        axonal_N: axonal elements of each neuron, >= 0.
        dendritic_N: dendritic elements of each neuron for edges from neurons, >= 0.
        rng: what draws.
        weight: magnitude of a new weight, > 0; its sign is that of the source neuron.
        delay: of a new synapse in ms, 1 to 62.
        reach: as in `form_synapses`.
    """
    n_afferents, n_neurons = genome.n_afferents, genome.n_neurons
    kept_E = np.ones(genome.n_edges, bool)
    between_E = (genome.source >= n_afferents) & genome.enabled
    source_E = genome.source - n_afferents
    for elements_N, end_E in ((axonal_N, source_E), (dendritic_N, genome.target)):
        for n in range(n_neurons):
            own = np.flatnonzero(between_E & kept_E & (end_E == n))
            surplus = len(own) - int(np.floor(elements_N[n]))
            if surplus > 0:
                kept_E[rng.choice(own, surplus, replace=False)] = False
    is_synapse_E = between_E & kept_E
    leaving_N = np.bincount(source_E[is_synapse_E], minlength=n_neurons)
    entering_N = np.bincount(genome.target[is_synapse_E], minlength=n_neurons)
    taken_NN = np.eye(n_neurons, dtype=bool)
    from_neuron_E = kept_E & (genome.source >= n_afferents)
    taken_NN[source_E[from_neuron_E], genome.target[from_neuron_E]] = True
    source, target = form_synapses(
        free_elements(axonal_N, leaving_N),
        free_elements(dendritic_N, entering_N),
        genome.position,
        genome.position,
        taken_NN,
        rng,
        reach=reach,
    )
    numbers = [
        edge_number(int(genome.neuron_id[s]), int(genome.neuron_id[t])) for s, t in zip(source, target, strict=True)
    ]
    new = {
        "edge_id": np.array(numbers, np.int64),
        "source": source + n_afferents,
        "target": target,
        "weight": weight * genome.sign[source],
        "delay": np.full(len(source), delay),
        "enabled": np.ones(len(source), bool),
    }
    old = {name: getattr(genome, name)[kept_E] for name in EDGE_ARRAYS}
    return genome.replace(**{name: np.concatenate([old[name], new[name]]) for name in EDGE_ARRAYS})
