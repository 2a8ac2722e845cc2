"""Changes of structure: edges and neurons that come and go, each a pure function of a genome and a generator.

Axes: C afferents, N neurons, E edges. All keep what a genome promises: bounds, signs under Dale's law, delays, outputs.
A change that finds no place leaves the genome as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import EDGE_ARRAYS, NEURON_ARRAYS, Genome
from evosnn.initial_genome import draw_delays, unit_weight
from evosnn.innovation import edge_number, neuron_number

RELAY_TAU_MS = 1.0
RELAY_GAIN = 1.25  # one spike lifts the relay over its threshold; what is left of a train of any length does not


def edge_unit(genome: Genome) -> np.ndarray:
    """The natural unit of each edge's weight, that of its target, float64 (E,); see `unit_weight`."""
    return unit_weight(genome.tau_m, genome.tau_s, genome.threshold)[genome.target]


def add_edge(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """Connect a pair that is not connected, if one of a few drawn is not and there is room."""
    if genome.n_edges >= config.mutation.most_edges:
        return genome
    taken = set(zip(genome.source.tolist(), genome.target.tolist(), strict=True))
    for _ in range(8):
        source = int(rng.integers(genome.n_afferents + genome.n_neurons))
        target = int(rng.integers(genome.n_neurons))
        if (source, target) not in taken:
            return _with_edges(genome, [_drawn_edge(genome, source, target, config, rng)])
    return genome


def rewire_edge(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """Give one edge another source; its weight keeps its magnitude."""
    if not genome.n_edges:
        return genome
    chosen = int(rng.integers(genome.n_edges))
    target = int(genome.target[chosen])
    free = np.setdiff1d(np.arange(genome.n_afferents + genome.n_neurons), genome.source[genome.target == target])
    if not len(free):
        return genome
    edge = _drawn_edge(genome, int(rng.choice(free)), target, config, rng)
    edge["weight"] = np.copysign(genome.weight[chosen], edge["weight"])
    return _with_edges(_without_edges(genome, np.arange(genome.n_edges) == chosen), [edge])


def toggle_edge(genome: Genome, rng: np.random.Generator) -> Genome:
    """Disable an enabled edge, or the other way round."""
    if not genome.n_edges:
        return genome
    enabled = genome.enabled.copy()
    enabled[rng.integers(genome.n_edges)] ^= True
    return genome.derive(enabled=enabled)


def remove_edge(genome: Genome, rng: np.random.Generator) -> Genome:
    """Take out one edge."""
    if not genome.n_edges:
        return genome
    return _without_edges(genome, np.arange(genome.n_edges) == rng.integers(genome.n_edges))


def prune_weak(genome: Genome, below: float) -> Genome:
    """Take out the edges whose weight, in its unit, is below a share of the mean.

    Args:
        genome: the genome.
        below: share of the mean strength, >= 0.
    """
    if not genome.n_edges:
        return genome
    strength_E = np.abs(genome.weight / edge_unit(genome))
    return _without_edges(genome, strength_E < below * strength_E.mean())


def add_neuron(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """Split an edge by a neuron that relays every spike.

    The edge is disabled. The new neuron has tau_m = tau_s = 1 ms and no refractory time, and its input weight is 1.25
    times what lets a single spike lift it over its threshold in the step after the arrival; what then is left of the
    current, even of a spike in every step, does not lift it again. So it sends one spike for each, and the edge to the
    old target has the old weight. The delays add up to the old delay where that is at least 3; where it is 2 or 1 the
    target hears everything 1 or 2 steps late. Nothing else changes, with plasticity off.

    Edges that leave an inhibitory neuron under Dale's law are not split: no spike of theirs could start another.
    """
    relay = relay_weight()
    splittable = genome.enabled.copy()
    if config.dale:
        from_neuron = genome.source >= genome.n_afferents
        splittable &= ~from_neuron | (genome.sign[np.maximum(genome.source - genome.n_afferents, 0)] > 0)
    room = genome.n_neurons < config.mutation.most_neurons and genome.n_edges + 2 <= config.mutation.most_edges
    if not room or not splittable.any() or genome.rule.w_max < relay:
        return genome
    chosen = int(rng.choice(np.nonzero(splittable)[0]))
    return split_edge(genome, chosen)


def split_edge(genome: Genome, edge: int) -> Genome:
    """Split one edge; see `add_neuron`.

    Args:
        genome: the genome.
        edge: index of the edge, in [0, E).
    """
    known = set(genome.neuron_id.tolist())
    occurrence = 0
    while (new_id := neuron_number("split", int(genome.edge_id[edge]), occurrence)) in known:
        occurrence += 1
    source, target, delay = int(genome.source[edge]), int(genome.target[edge]), int(genome.delay[edge])
    place = genome.position[target]
    if source >= genome.n_afferents:
        place = (place + genome.position[source - genome.n_afferents]) / 2
    neuron = {
        "neuron_id": new_id,
        "is_output": False,
        "sign": -1 if genome.weight[edge] < 0 else 1,
        "tau_m": RELAY_TAU_MS,
        "tau_s": RELAY_TAU_MS,
        "threshold": 1.0,
        "refractory": 0,
        "bias": 0.0,
        "tau_a": 200.0,
        "beta": 0.0,
        "position": place,
    }
    first = max(1, min(delay - 2, delay // 2))
    index = genome.n_neurons
    ids = np.append(genome.source_ids(), new_id)
    into = _edge(ids, genome.n_afferents, source, index, relay_weight(), first)
    rest = max(1, delay - 1 - first)
    out = _edge(ids, genome.n_afferents, genome.n_afferents + index, target, float(genome.weight[edge]), rest)
    enabled = genome.enabled.copy()
    enabled[edge] = False
    return _with_edges(genome.derive(enabled=enabled), [into, out], neuron)


def relay_weight() -> float:
    """The weight that makes a relay neuron (threshold 1) fire once for each spike: gain / P21."""
    return RELAY_GAIN * RELAY_TAU_MS * float(np.exp(1 / RELAY_TAU_MS))


def duplicate_neuron(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """Copy a hidden neuron with its edges; both then send with half the weight."""
    hidden = np.nonzero(~genome.is_output)[0]
    if not len(hidden) or genome.n_neurons >= config.mutation.most_neurons:
        return genome
    chosen = int(rng.choice(hidden))
    me, twin = genome.n_afferents + chosen, genome.n_afferents + genome.n_neurons
    into = np.nonzero((genome.target == chosen) & (genome.source != me))[0].tolist()
    out = np.nonzero((genome.source == me) & (genome.target != chosen))[0].tolist()
    if genome.n_edges + len(into) + len(out) > config.mutation.most_edges:
        return genome
    known = set(genome.neuron_id.tolist())
    occurrence = 0
    while (new_id := neuron_number("copy", int(genome.neuron_id[chosen]), occurrence)) in known:
        occurrence += 1
    weight = genome.weight.copy()
    weight[out] /= 2
    edges = []
    for old in into:
        edges.append(_copied(genome, old, weight, source=int(genome.source[old]), target=twin - genome.n_afferents))
    for old in out:
        edges.append(_copied(genome, old, weight, source=twin, target=int(genome.target[old])))
    ids = np.append(genome.source_ids(), new_id)
    for edge in edges:
        edge["edge_id"] = edge_number(int(ids[edge["source"]]), int(ids[genome.n_afferents + edge["target"]]))
    neuron = {name: getattr(genome, name)[chosen] for name in NEURON_ARRAYS} | {"neuron_id": new_id}
    return _with_edges(genome.derive(weight=weight), edges, neuron)


def remove_neuron(genome: Genome, rng: np.random.Generator) -> Genome:
    """Take out a hidden neuron and its edges."""
    hidden = np.nonzero(~genome.is_output)[0]
    if not len(hidden):
        return genome
    gone = int(rng.choice(hidden))
    me = genome.n_afferents + gone
    kept_E = (genome.source != me) & (genome.target != gone)
    kept_N = np.arange(genome.n_neurons) != gone
    changes = {name: getattr(genome, name)[kept_N] for name in NEURON_ARRAYS}
    changes |= {name: getattr(genome, name)[kept_E] for name in EDGE_ARRAYS}
    changes["source"] = changes["source"] - (changes["source"] > me)
    changes["target"] = changes["target"] - (changes["target"] > gone)
    return genome.derive(**changes)


def _copied(genome: Genome, edge: int, weight_E: np.ndarray, *, source: int, target: int) -> dict[str, Any]:
    old = {name: getattr(genome, name)[edge] for name in EDGE_ARRAYS}
    return old | {"source": source, "target": target, "weight": weight_E[edge]}


def _drawn_edge(
    genome: Genome, source: int, target: int, config: EvolutionConfig, rng: np.random.Generator
) -> dict[str, Any]:
    unit = unit_weight(genome.tau_m[target], genome.tau_s[target], genome.threshold[target])
    weight = config.start.weight * float(unit) * rng.gamma(2.0, 0.5)
    negative = rng.random() < config.start.inhibitory
    if config.dale and source >= genome.n_afferents:
        negative = genome.sign[source - genome.n_afferents] < 0
    weight = min(weight, genome.rule.w_max) * (-1 if negative else 1)
    delay = int(draw_delays(1, config.start.longest_delay, rng)[0])
    return _edge(genome.source_ids(), genome.n_afferents, source, target, weight, delay)


def _edge(ids_S: np.ndarray, n_afferents: int, source: int, target: int, weight: float, delay: int) -> dict[str, Any]:
    number = edge_number(int(ids_S[source]), int(ids_S[n_afferents + target]))
    values = (number, source, target, weight, delay, True)
    return dict(zip(EDGE_ARRAYS, values, strict=True))


def _with_edges(genome: Genome, edges: list[dict[str, Any]], neuron: dict[str, Any] | None = None) -> Genome:
    changes = {name: np.append(getattr(genome, name), [edge[name] for edge in edges]) for name in EDGE_ARRAYS}
    for name, value in (neuron or {}).items():
        changes[name] = np.append(getattr(genome, name), np.asarray(value)[None], axis=0)
    return genome.derive(**changes)


def _without_edges(genome: Genome, gone_E: np.ndarray) -> Genome:
    return genome.derive(**{name: getattr(genome, name)[~gone_E] for name in EDGE_ARRAYS})
