"""Genomes for tests of networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from evosnn.genome import Genome
from evosnn.rule import Rule


def make_genome(*, afferents: int = 2, outputs: int = 2, neurons: int = 3, edges: int = 6, **changes: Any) -> Genome:
    """A genome whose arrays are constant, or those given."""
    constants = {
        "sign": 1,
        "tau_m": 20.0,
        "tau_s": 5.0,
        "threshold": 1.0,
        "refractory": 2,
        "bias": 0.0,
        "tau_a": 200.0,
        "beta": 0.0,
    }
    arrays = {name: np.broadcast_to(changes.pop(name, value), neurons) for name, value in constants.items()}
    values = {
        "n_afferents": afferents,
        "n_outputs": outputs,
        "neuron_id": np.arange(neurons) + afferents,
        "is_output": np.arange(neurons) < outputs,
        "position": np.arange(3 * neurons).reshape(neurons, 3),
        "edge_id": np.arange(edges),
        "source": np.arange(edges) % (afferents + neurons),
        "target": np.arange(edges) % neurons,
        "weight": np.full(edges, 2.0),
        "delay": np.ones(edges),
        "enabled": np.ones(edges, bool),
        "rule": Rule.off(),
        **arrays,
    }
    return Genome(**(values | changes))


def random_genome(
    rng: np.random.Generator, rule: Rule, *, afferents: int = 4, most_neurons: int = 12, most_edges: int = 40
) -> Genome:
    """A genome of any size that fires at some tens of Hz when its afferents are driven."""
    neurons, edges = int(rng.integers(3, most_neurons + 1)), int(rng.integers(0, most_edges + 1))
    return make_genome(
        afferents=afferents,
        neurons=neurons,
        edges=edges,
        tau_m=rng.uniform(3, 30, neurons),
        tau_s=rng.uniform(1, 12, neurons),
        refractory=rng.integers(0, 4, neurons),
        bias=rng.uniform(-0.2, 0.9, neurons),
        beta=rng.choice([0.0, 0.1], neurons),
        source=rng.integers(0, afferents + neurons, edges),
        target=rng.integers(0, neurons, edges),
        weight=rng.normal(1.5, 3, edges),
        delay=rng.integers(1, 20, edges),
        enabled=rng.random(edges) < 0.9,
        position=rng.normal(0, 2, (neurons, 3)),
        rule=rule,
    )


RULES = {
    "off": Rule.off(),
    "pair": Rule.pair(direct=20.0),
    "triplet": Rule.triplet_visual_cortex(direct=20.0),
    "hippocampus": Rule.triplet_hippocampus(direct=20.0, softness=0.7),
    "reward": Rule.reward_stdp(reward=0.02, centre=0.1, baseline=1e-3),
    "mstdpet": Rule.mstdpet(reward=0.3),
    "homeostasis": Rule.off().replace(scaling=1e-3, tau_rate=100.0, intrinsic=0.01),
    "normalised": Rule.pair(direct=20.0, normalise=0.5),
    "all": Rule.triplet_hippocampus(direct=5.0, reward=0.05, scaling=1e-3, intrinsic=1e-3, normalise=0.1, softness=1.0),
}
