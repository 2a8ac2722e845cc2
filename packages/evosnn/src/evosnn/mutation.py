"""Changes from parent to child, each a pure function of a genome and a generator.

Axes: C afferents, N neurons, E edges. All keep what a genome promises: bounds, signs under Dale's law, delays, outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evosnn.evolution_config import EvolutionConfig
from evosnn.genome import LONGEST_DELAY, Genome
from evosnn.initial_genome import LEARNING_RATES, perturbed_rule, unit_weight
from evosnn.opponents import opponent_edges, opponent_offset
from evosnn.structure_mutation import (
    add_edge,
    add_neuron,
    duplicate_neuron,
    edge_unit,
    prune_weak,
    remove_edge,
    remove_neuron,
    rewire_edge,
    toggle_edge,
)

TAU_RANGE_MS = (0.5, 200.0)


def mutate(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """A mutated copy of a genome: parameters first, then structure.

    Args:
        genome: the parent.
        config: rates and sizes in `config.mutation`, and whether rules evolve and Dale's law holds.
        rng: what is drawn from.
    """
    rates = config.mutation
    genome = perturb_parameters(genome, config, rng)
    structural = (
        (rates.add_edge, lambda genome: add_edge(genome, config, rng)),
        (rates.rewire, lambda genome: rewire_edge(genome, config, rng)),
        (rates.toggle_edge, lambda genome: toggle_edge(genome, rng)),
        (rates.remove_edge, lambda genome: remove_edge(genome, rng)),
        (rates.add_neuron, lambda genome: add_neuron(genome, config, rng)),
        (rates.duplicate, lambda genome: duplicate_neuron(genome, config, rng)),
        (rates.remove_neuron, lambda genome: remove_neuron(genome, rng)),
    )
    for chance, change in structural:
        if rng.random() < chance:
            genome = change(genome)
    return prune_weak(genome, rates.prune_below) if rates.prune_below else genome


def perturb_parameters(genome: Genome, config: EvolutionConfig, rng: np.random.Generator) -> Genome:
    """Change weights, delays, parameters of neurons and coefficients of the rule, by the rates of the config."""
    rates = config.mutation
    changes: dict[str, Any] = {}
    if rng.random() < rates.neuron_rate:
        changes |= _perturbed_neurons(genome, rates.neuron_size, rng)
    weight = changes.get("weight", genome.weight)
    if rng.random() < rates.weight_rate and genome.n_edges:
        weight = _perturbed_weights(genome, weight, config, rng)
    changes["weight"] = np.clip(weight, -genome.rule.w_max, genome.rule.w_max)
    if rng.random() < rates.delay_rate and genome.n_edges:
        reached = rng.random(genome.n_edges) < max(0.1, 1.5 / genome.n_edges)
        factor = np.exp(0.5 * rng.standard_normal(genome.n_edges))
        moved = np.clip(np.rint(genome.delay * factor + rng.integers(-1, 2, genome.n_edges)), 1, LONGEST_DELAY)
        changes["delay"] = np.where(reached, moved, genome.delay)
    if config.evolve_rule and rng.random() < rates.rule_rate:
        changes["rule"] = perturbed_rule(genome.rule, rates.rule_size, rng)
    if rates.plasticity_drift:
        rule, factor = changes.get("rule", genome.rule), float(np.exp(rates.plasticity_drift))
        changes["rule"] = rule.replace(**{name: getattr(rule, name) * factor for name in LEARNING_RATES})
    return genome.derive(**changes)


def _perturbed_weights(
    genome: Genome, weight_E: np.ndarray, config: EvolutionConfig, rng: np.random.Generator
) -> np.ndarray:
    rates, n_edges = config.mutation, genome.n_edges
    unit_E = edge_unit(genome)
    mean = np.abs(genome.weight / unit_E).mean()
    step = rates.weight_size * max(mean, 0.1) * np.exp(rng.uniform(np.log(0.05), np.log(2.0)))
    reached = rng.random(n_edges) < rates.weight_share
    reached[rng.integers(n_edges)] = True
    change_E = step * rng.standard_normal(n_edges)
    if rng.random() < rates.mirror:
        offset = opponent_offset(genome.n_afferents, genome.metadata)
        positive, negative = opponent_edges(genome.source, genome.target, offset)
        change_E[negative] = -change_E[positive]
        reached[negative] = reached[positive]
    moved = weight_E + unit_E * change_E
    fresh = rng.random(n_edges) < rates.weight_reset
    drawn = config.start.weight * unit_E * rng.gamma(2.0, 0.5, n_edges)
    drawn *= np.where(rng.random(n_edges) < config.start.inhibitory, -1, 1)
    moved = np.where(fresh, drawn, moved)
    if config.dale:
        kept = np.where(genome.weight == 0, 1, np.sign(genome.weight))
        from_neuron = genome.source >= genome.n_afferents
        moved = np.where(from_neuron, kept * np.abs(moved), moved)
    return np.where(reached, moved, weight_E)


def _perturbed_neurons(genome: Genome, size: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Time constants and the rest, with incoming weights in the same multiple of their unit as before."""
    n_neurons = genome.n_neurons
    reached = rng.random(n_neurons) < max(0.5, 1 / n_neurons)

    def factor(share: float = 1.0) -> np.ndarray:
        return np.where(reached, np.exp(share * size * rng.standard_normal(n_neurons)), 1.0)

    beta = genome.beta * factor()
    switched = reached & (rng.random(n_neurons) < 0.1)  # adaptation comes and goes
    beta = np.where(switched, np.where(beta > 0, 0.0, rng.exponential(0.2, n_neurons)), beta)
    shift = np.where(reached & (rng.random(n_neurons) < 0.1), rng.integers(-1, 2, n_neurons), 0)
    new = {
        "tau_m": np.clip(genome.tau_m * factor(), *TAU_RANGE_MS),
        "tau_s": np.clip(genome.tau_s * factor(), *TAU_RANGE_MS),
        "bias": genome.bias + np.where(reached, 0.5 * size * rng.standard_normal(n_neurons), 0.0),
        "tau_a": np.clip(genome.tau_a * factor(), 10.0, 1e4),
        "beta": np.minimum(beta, 1e3),
        "refractory": np.clip(genome.refractory + shift, 0, 20),
    }
    before_N = unit_weight(genome.tau_m, genome.tau_s, genome.threshold)
    after_N = unit_weight(new["tau_m"], new["tau_s"], genome.threshold)
    return new | {"weight": genome.weight * (after_N / before_N)[genome.target]}
