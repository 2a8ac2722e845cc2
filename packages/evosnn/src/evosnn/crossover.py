"""Crossover of two genomes: aligned by innovation number.

Axes: N neurons, E edges.
"""

from __future__ import annotations

import numpy as np

from evosnn.genome import NEURON_ARRAYS, Genome

OWN_PARAMETERS = ("weight", "delay", "enabled")


def crossover(better: Genome, other: Genome, rng: np.random.Generator, *, dale: bool = False) -> Genome:
    """A child that has the structure of the better parent and, where both have an edge or a neuron, either's values.

    Edges and neurons that only one parent has come from the better one (Stanley and Miikkulainen 2002, section 3.2).
    Values are mixed neuron by neuron: a neuron comes with its incoming edges from one parent, because weights mean what
    they mean with the time constants of their target. The rule comes whole from one parent.

    Args:
        better: the parent of higher fitness.
        other: the other one, for the same task.
        rng: what is drawn from.
        dale: set the signs of edges to those of the neurons that they leave.

    Returns:
        The child, with the metadata of the better parent.

    Raises:
        ValueError: the parents differ in afferents or outputs.

    References:
        Stanley, Miikkulainen (2002), Evolutionary Computation 10(2), doi:10.1162/106365602320169811
    """
    if (better.n_afferents, better.n_outputs) != (other.n_afferents, other.n_outputs):
        raise ValueError(
            f"crossover: parents for different tasks: {better.n_afferents} afferents and {better.n_outputs} outputs, "
            f"{other.n_afferents} and {other.n_outputs}"
        )
    take_N = rng.random(better.n_neurons) < 0.5
    twin_N = _places(better.neuron_id, other.neuron_id)
    take_N &= twin_N >= 0
    neurons = {
        name: _mixed(getattr(better, name), getattr(other, name), take_N, twin_N)
        for name in NEURON_ARRAYS
        if name not in ("neuron_id", "is_output")
    }
    twin_E = _places(better.edge_id, other.edge_id)
    take_E = take_N[better.target] & (twin_E >= 0)
    edges = {name: _mixed(getattr(better, name), getattr(other, name), take_E, twin_E) for name in OWN_PARAMETERS}
    if dale and len(edges["weight"]):
        from_neuron = better.source >= better.n_afferents
        sign_E = neurons["sign"][np.maximum(better.source - better.n_afferents, 0)]
        edges["weight"] = np.where(from_neuron, sign_E * np.abs(edges["weight"]), edges["weight"])
    rule = other.rule if rng.random() < 0.5 else better.rule
    edges["weight"] = np.clip(edges["weight"], -rule.w_max, rule.w_max)
    return better.derive(**neurons, **edges, rule=rule)


def _places(ids: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Where each id stands among others, -1 where it does not: int64, the shape of ids."""
    if not len(among):
        return np.full(len(ids), -1)
    order = np.argsort(among)
    found = order[np.minimum(np.searchsorted(among, ids, sorter=order), len(among) - 1)]
    return np.where(among[found] == ids, found, -1)


def _mixed(own: np.ndarray, others: np.ndarray, take: np.ndarray, twin: np.ndarray) -> np.ndarray:
    mixed = own.copy()
    mixed[take] = others[twin[take]]
    return mixed
