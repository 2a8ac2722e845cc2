"""Pruning: synapses that stay inactive go.

Axes: P individuals, C afferents, E edges.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from evosnn.genome import EDGE_ARRAYS, Genome


def activity_trace(
    activity_PE: Tensor, strength_PE: Tensor, arrivals_PE: Tensor, *, duration_ms: float, tau_ms: float
) -> Tensor:
    """Bring the activity of synapses on over a stretch of time: what each delivers in a second, averaged over tau.

        a <- a exp(-T / tau) + (1 - exp(-T / tau)) w arrivals / T

    Args:
        activity_PE: a, in units of weight x Hz, 0 at birth.
        strength_PE: magnitudes w.
        arrivals_PE: spikes that came over each synapse in the time.
        duration_ms: T, > 0.
        tau_ms: time constant, > 0.
    """
    kept = math.exp(-duration_ms / tau_ms)
    return activity_PE * kept + (1 - kept) * strength_PE * arrivals_PE * (1000 / duration_ms)


def input_and_output_edges(genome: Genome) -> np.ndarray:
    """Edges that leave an afferent or enter an output neuron, bool (E,)."""
    return (genome.source < genome.n_afferents) | (genome.target < genome.n_outputs)


def last_edges(genome: Genome, activity_E: np.ndarray) -> np.ndarray:
    """The most active enabled edge of each afferent and into each output neuron, bool (E,); else it is cut off."""
    protected_E = np.zeros(genome.n_edges, bool)
    afferents = [genome.source == c for c in range(genome.n_afferents)]
    outputs = [genome.target == n for n in range(genome.n_outputs)]
    for own_E in afferents + outputs:
        own = np.flatnonzero(own_E & genome.enabled)
        if len(own):
            protected_E[own[np.argmax(activity_E[own])]] = True
    return protected_E


def edges_to_prune(activity_E: np.ndarray, threshold: float, protected_E: np.ndarray) -> np.ndarray:
    """Synapses whose activity is below the threshold and that are not protected, bool (E,).

    Args:
        activity_E: activity of each edge, >= 0.
        threshold: what an edge must reach to stay, >= 0; 0 prunes nothing.
        protected_E: edges that stay, bool.

    Raises:
        ValueError: shapes disagree, or the threshold is negative.
    """
    if activity_E.shape != protected_E.shape:
        raise ValueError(f"edges_to_prune: {activity_E.shape} activities for {protected_E.shape} protected")
    if not threshold >= 0:
        raise ValueError(f"edges_to_prune: threshold must be >= 0, got {threshold}")
    return (activity_E < threshold) & ~protected_E


def prune(genome: Genome, activity_E: np.ndarray, threshold: float, *, protected_E: np.ndarray | None = None) -> Genome:
    """The genome without the enabled edges that stayed inactive; disabled ones are kept as they are.

    Args:
        genome: whose edges to look at.
        activity_E: activity of each edge, of `activity_trace`, in the order of the genome.
        threshold: as in `edges_to_prune`.
        protected_E: edges that stay; the last edge of each afferent and output by default, see `last_edges`. Take
            `input_and_output_edges` to keep all of these.

    Raises:
        ValueError: shapes disagree, or the threshold is negative.
    """
    activity_E = np.asarray(activity_E)
    if activity_E.shape != (genome.n_edges,):
        raise ValueError(f"prune: activity_E must have shape {(genome.n_edges,)}, got {activity_E.shape}")
    protected_E = last_edges(genome, activity_E) if protected_E is None else np.asarray(protected_E, bool)
    kept_E = ~(edges_to_prune(activity_E, threshold, protected_E) & genome.enabled)
    return genome.replace(**{name: getattr(genome, name)[kept_E] for name in EDGE_ARRAYS})
