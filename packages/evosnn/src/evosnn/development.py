"""Structural plasticity over a life: synapses that stay inactive go, and neurons that fire too little grow new ones.

Axes: T control steps, K micro-steps each, C afferents, N neurons, S = C + N sources, E edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ddp_utils import keyed_numpy_generator

from evosnn.genome import Genome
from evosnn.interface import Interface
from evosnn.life import Life, live
from evosnn.pruning import activity_trace, prune
from evosnn.structural_growth import EPSILON, ETA, TAU_CALCIUM_MS, calcium_trace, grow, growth_rate
from evosnn.value_ranges import NOT_NEGATIVE, check_ranges


@dataclass(frozen=True, kw_only=True)
class DevelopmentConfig:
    """How a network's structure follows its activity.

    Args:
        prune_below: activity, in weight x Hz, that an edge must come to in order to stay, >= 0; 0 prunes nothing.
        tau_activity_ms: time constant of the activity, > 0.
        nu: fastest growth of synaptic elements, in 1 / ms, >= 0; 0 grows nothing and takes nothing back.
        eta: calcium below which neurons lose elements.
        epsilon: calcium above which they do, and with which they are born, > eta. A neuron that fires at r Hz comes to
            beta tau_calcium_ms r / 1000.
        tau_calcium_ms: time constant of calcium, > 0.
        beta: calcium that a spike lets in, > 0.
        reach: distance over which synapses form, in units of the neurons' positions, > 0.
        strength: weight of a new synapse, in mean weights of the network, > 0.

    Raises:
        TypeError: a value is no number.
        ValueError: a value is out of its range.
    """

    prune_below: float = 0.0
    tau_activity_ms: float = 2000.0
    nu: float = 0.0
    eta: float = ETA
    epsilon: float = EPSILON
    tau_calcium_ms: float = TAU_CALCIUM_MS
    beta: float = 1e-3
    reach: float = 2.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self, prune_below=NOT_NEGATIVE, nu=NOT_NEGATIVE, eta=(-1e6, 1e6), epsilon=(-1e6, 1e6))
        check_ranges(self, **dict.fromkeys(["tau_activity_ms", "tau_calcium_ms", "beta"], (1e-9, 1e9)))
        check_ranges(self, reach=(1e-9, 1e9), strength=(1e-9, 1e9))
        if not self.epsilon > self.eta:
            raise ValueError(f"DevelopmentConfig: epsilon must be above eta, got {self.epsilon} and {self.eta}")


def develop(
    genome: Genome,
    seeds: Sequence[int],
    config: DevelopmentConfig,
    *,
    interface: Interface | None = None,
    seed: int = 0,
) -> Genome:
    """Let a genome live episodes of its task and change its structure after each.

        activity of edges   a <- a exp(-T / tau) + (1 - exp(-T / tau)) w arrivals / T        (pruning.py)
        calcium, elements   Ca' = -Ca / tau + beta spikes,   z' = nu (2 exp(-((Ca - xi) / zeta)^2) - 1)
                                                                                              (structural_growth.py)

    After an episode the edges below `prune_below` go, but for the last of an afferent and into an output; then neurons
    with fewer elements than synapses lose some, and free elements of near neurons connect. Activity, calcium and
    elements live on through all episodes; weights learned in one do not.

    Args:
        genome: who lives; its metadata names the task.
        seeds: of the episodes, one after the other.
        config: what goes and what grows.
        interface: how the network meets a task, instead of what the metadata says.
        seed: of what is drawn.

    Returns:
        The genome with the edges that it has in the end.

    Raises:
        ValueError: the genome names no task, or does not fit the interface.
        TaskError: a reward is not finite.

    References:
        Butz, van Ooyen (2013), A simple rule for dendritic spine and axonal bouton formation, PLoS Comput Biol 9(10).
    """
    activity_E = np.zeros(genome.n_edges)
    calcium_N = torch.full((genome.n_neurons,), config.epsilon, dtype=torch.float64)
    elements_2N = np.stack(_synapses(genome)) + 0.5  # axonal, dendritic; away from where the next one comes or goes
    for number, episode in enumerate(seeds):
        life = live(genome, episode, interface=interface, frames=False)
        activity_E = _activity(life, activity_E, config)
        before = genome
        if config.prune_below:
            genome = prune(genome, activity_E, config.prune_below)
        if config.nu:
            calcium_N, grown = _elements(life, calcium_N, config)
            elements_2N = np.maximum(elements_2N + grown, 0.0)
            weight = config.strength * float(np.abs(before.weight[before.enabled]).mean()) if before.n_enabled else 1.0
            rng = keyed_numpy_generator(seed, "development", number)
            weight = min(weight, genome.rule.w_max)
            genome = grow(genome, elements_2N[0], elements_2N[1], rng, weight=weight, reach=config.reach)
        known = dict(zip(before.edge_id.tolist(), activity_E.tolist(), strict=True))
        newborn = max(float(activity_E.mean()) if len(activity_E) else 0.0, 2 * config.prune_below)
        activity_E = np.array([known.get(edge, newborn) for edge in genome.edge_id.tolist()])
    return genome


def _synapses(genome: Genome) -> tuple[np.ndarray, np.ndarray]:
    """Enabled synapses between neurons that leave and that enter each neuron, (N,) both."""
    between_E = genome.enabled & (genome.source >= genome.n_afferents)
    sizes = {"minlength": genome.n_neurons}
    leaving_N = np.bincount(genome.source[between_E] - genome.n_afferents, **sizes)
    return leaving_N, np.bincount(genome.target[between_E], **sizes)


def _counts(life: Life, spikes_MS: np.ndarray) -> np.ndarray:
    """Spikes of a control step, (T, S)."""
    return spikes_MS.reshape(len(life), life.steps_per_action, -1).sum(1)


def _activity(life: Life, activity_E: np.ndarray, config: DevelopmentConfig) -> np.ndarray:
    """The activity of the edges after a life."""
    counts_TS = _counts(life, np.concatenate([life.afferents_MC, life.spikes_MN], axis=1))
    arrivals_TE = torch.from_numpy(counts_TS[:, life.genome.source] * life.genome.enabled)
    strength_TE = torch.from_numpy(np.abs(life.weights_TE)).double()
    now_E = torch.from_numpy(activity_E)
    for strength_E, arrivals_E in zip(strength_TE, arrivals_TE, strict=True):
        now_E = activity_trace(now_E, strength_E, arrivals_E, duration_ms=life.action_ms, tau_ms=config.tau_activity_ms)
    return now_E.numpy()


def _elements(life: Life, calcium_N: torch.Tensor, config: DevelopmentConfig) -> tuple[torch.Tensor, np.ndarray]:
    """Calcium after a life, and the elements that grew in it, (N,) both."""
    grown_N = torch.zeros_like(calcium_N)
    for spikes_N in torch.from_numpy(_counts(life, life.spikes_MN)):
        calcium_N = calcium_trace(
            calcium_N, spikes_N, duration_ms=life.action_ms, tau_ms=config.tau_calcium_ms, beta=config.beta
        )
        grown_N += life.action_ms * growth_rate(calcium_N, nu=config.nu, eta=config.eta, epsilon=config.epsilon)
    return calcium_N, grown_N.numpy()
