"""Genomes of generation 0, and the natural unit of a weight.

Axes: C afferents, N neurons, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from evosnn.distance_connectivity import connection_probability, pairwise_distance
from evosnn.evolution_config import EvolutionConfig, StartConfig
from evosnn.genome import Genome
from evosnn.innovation import edge_number
from evosnn.lif import membrane_per_current
from evosnn.opponents import opponent_edges, opponent_offset
from evosnn.rule import Rule

MEMORY_MS = (50.0, 2000.0)  # range of tau_a
SHARES = ("centre", "normalise", "softness")
LEARNING_RATES = ("direct", "reward", "scaling", "intrinsic")


def unit_weight(tau_m_N: np.ndarray, tau_s_N: np.ndarray, threshold_N: np.ndarray) -> np.ndarray:
    """The weight with which one spike every step, and nothing else, holds a neuron exactly at its threshold.

        w = threshold (1 - P22) (1 - exp(-h/tau_s)) / P21

    with h = 1 ms and the P22, P21 of exact integration. Weights in this unit mean the same for fast and slow neurons.

    Args:
        tau_m_N: membrane time constants in ms, > 0, (N,).
        tau_s_N: synaptic time constants in ms, > 0, (N,).
        threshold_N: thresholds, > 0, (N,).

    Returns:
        float64 (N,).
    """
    tau_m_N, tau_s_N = np.asarray(tau_m_N, np.float64), np.asarray(tau_s_N, np.float64)
    p21_N = membrane_per_current(tau_m_N, tau_s_N, 1.0, np)
    return threshold_N * np.expm1(-1 / tau_m_N) * np.expm1(-1 / tau_s_N) / p21_N


def initial_genome(
    n_afferents: int,
    n_outputs: int,
    rng: np.random.Generator,
    config: EvolutionConfig | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Genome:
    """Draw a genome of generation 0.

    Args:
        n_afferents: afferents C of the task's encoding, >= 0.
        n_outputs: outputs A of the task's decoding, >= 1.
        rng: what is drawn from.
        config: settings; the default ones if None.
        metadata: kept in the genome.

    Returns:
        A genome of max(config.start.neurons, A) neurons.

    Raises:
        ValueError: a number is out of its range.
    """
    config = config or EvolutionConfig()
    start = config.start
    n_neurons = max(start.neurons, n_outputs)
    neurons = _draw_neurons(n_afferents, n_neurons, start, rng)
    scale_N = unit_weight(neurons["tau_m"], neurons["tau_s"], neurons["threshold"])
    n_sources = n_afferents + n_neurons
    chance_SN = np.full((n_sources, n_neurons), start.connect)
    chance_SN[n_afferents:] = start.recurrent
    if start.reach:
        place_N3, excites_N = neurons["position"], neurons["sign"] > 0
        apart_NN = pairwise_distance(place_N3, place_N3)
        chance_SN[n_afferents:] = connection_probability(apart_NN, excites_N, excites_N, reach=start.reach)
    source, target = np.nonzero(rng.random((n_sources, n_neurons)) < chance_SN)
    kept = source != n_afferents + target  # no neuron drives itself at the start
    source, target = source[kept], target[kept]
    negative = rng.random(len(source)) < start.inhibitory
    sign = np.where(negative, -1, 1)
    if config.dale:
        from_neuron = source >= n_afferents
        sign = np.where(from_neuron, neurons["sign"][np.maximum(source - n_afferents, 0)], sign)
    weight = sign * start.weight * scale_N[target] * rng.gamma(2.0, 0.5, len(source))
    delay = draw_delays(len(source), start.longest_delay, rng)
    positive, negative = opponent_edges(source, target, opponent_offset(n_afferents, metadata or {}))
    mirrored = rng.random(len(positive)) < start.opponent
    weight[negative[mirrored]] = -weight[positive[mirrored]]
    delay[negative[mirrored]] = delay[positive[mirrored]]
    return Genome(
        n_afferents=n_afferents,
        n_outputs=n_outputs,
        is_output=np.arange(n_neurons) < n_outputs,
        **neurons,
        edge_id=np.array([edge_number(s, n_afferents + t) for s, t in zip(source, target, strict=True)], np.int64),
        source=source,
        target=target,
        weight=np.clip(weight, -config.rule.w_max, config.rule.w_max),
        delay=delay,
        enabled=np.ones(len(source)),
        rule=perturbed_rule(config.rule, 1.0, rng) if config.evolve_rule else config.rule,
        metadata=metadata or {},
    )


def _draw_neurons(
    n_afferents: int, n_neurons: int, start: StartConfig, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    return {
        "neuron_id": n_afferents + np.arange(n_neurons),
        "sign": np.where(rng.random(n_neurons) < start.inhibitory, -1, 1),
        "tau_m": log_uniform(start.tau_m_low, start.tau_m_high, n_neurons, rng),
        "tau_s": log_uniform(start.tau_s_low, start.tau_s_high, n_neurons, rng),
        "threshold": np.ones(n_neurons),
        "refractory": np.zeros(n_neurons),
        "bias": start.bias + start.bias_spread * rng.standard_normal(n_neurons),
        "tau_a": log_uniform(*MEMORY_MS, n_neurons, rng),
        "beta": np.where(rng.random(n_neurons) < start.adaptive, rng.exponential(0.2, n_neurons), 0.0),
        "position": rng.uniform(-1.0, 1.0, (n_neurons, 3)),
    }


def log_uniform(low: float, high: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw between two positive numbers, uniformly in the logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def draw_delays(size: int, longest: int, rng: np.random.Generator) -> np.ndarray:
    """Delays from 1 to longest, log-uniform: int64 (size,)."""
    return np.minimum(log_uniform(1.0, longest + 1.0, size, rng).astype(np.int64), longest)


def perturbed_rule(rule: Rule, size: float, rng: np.random.Generator) -> Rule:
    """A rule with every coefficient in use changed by a log-normal factor; now and then one gets the other sign.

    Coefficients that are 0 stay 0, so that a run evolves the rule that it was given, and bounds stay.

    Args:
        rule: the coefficients.
        size: standard deviation of the natural logarithm of the factors, >= 0.
        rng: what is drawn from.
    """
    values = asdict(rule)
    for name in ("a2_plus", "a3_plus", "a2_minus", "a3_minus", *LEARNING_RATES, *SHARES, "baseline"):
        values[name] *= float(np.exp(size * rng.standard_normal()))
    for name in ("a2_plus", "a3_plus", "a2_minus", "a3_minus", "baseline"):
        if rng.random() < 0.1 * size:
            values[name] = -values[name]
    for name in ("tau_plus", "tau_minus", "tau_x", "tau_y", "tau_c", "tau_n", "tau_rate"):
        values[name] = float(np.clip(values[name] * np.exp(0.5 * size * rng.standard_normal()), 0.0, 1e5))
    for name in ("tau_plus", "tau_minus", "tau_x", "tau_y", "tau_c", "tau_rate"):
        values[name] = max(values[name], 1.0)
    for name in SHARES:
        values[name] = min(values[name], 1.0)
    return Rule(**values)
