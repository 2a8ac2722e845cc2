"""Everything of a batch of networks that stays as it is while it runs.

Axes: P individuals, N neurons and E edges (padded to the largest), K kinds of neuron parameters, J of edge parameters,
R coefficients of the rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from evosnn.lif import exact_propagators
from evosnn.reward_stdp import modulation_integrals
from evosnn.rule import Rule

if TYPE_CHECKING:
    from evosnn.genome import Genome

P22, P21, P20, P11, BIAS, THRESHOLD, BETA, RHO, PERIOD, INCOMING = range(10)
N_NEURON_PARAMETERS = 10
SOURCE, TARGET, DELAY, BY_SOURCE = range(4)
N_EDGE_PARAMETERS = 4
COEFFICIENTS = (
    *("a2_plus", "a3_plus", "a2_minus", "a3_minus", "decay_plus", "decay_minus", "decay_x", "decay_y"),
    *("direct", "reward", "decay_c", "decay_n", "with_dopamine", "with_baseline", "per_reward", "baseline", "centre"),
    *("scaling", "target_hz", "decay_rate", "intrinsic", "expected", "normalise", "w_max", "softness"),
    *("stdp_on", "slow_on"),
)
COEFFICIENT = {name: i for i, name in enumerate(COEFFICIENTS)}
SLOW_STEPS = 10  # steps between two applications of synaptic scaling and normalisation
LONGEST_DELAY = 62
LANES = 8  # neurons and edges are padded to a multiple of this


def padded(n: int) -> int:
    """The least multiple of `LANES` that is at least n and not 0."""
    return max(LANES, -(-n // LANES) * LANES)


@dataclass
class NetworkParameters:
    """Parameters of P networks.

    Attributes:
        neuron_PKN: propagators, bias, threshold (infinite in padding), beta, rho, refractory steps, sum of excitatory
            weights at birth.
        edge_PJE: source, target and delay in steps of the edges, in the order of the targets, int32; 0 in padding.
            Beside these the numbers of the edges that start at neurons, in the order of the sources.
        incoming_PN: first edge of each target, and the end, int32 (P, N + 1).
        outgoing_PN: first place of each neuron among the edges by source, and the end, int32 (P, N + 1).
        sign_PE: sign of the weight, 0 in padding.
        strength_PE: magnitude of the weight at birth.
        rule_PR: coefficients in the order of `COEFFICIENTS`.
        size_PX: numbers of neurons and of edges, int32 (P, 2).
    """

    neuron_PKN: Tensor
    edge_PJE: Tensor
    incoming_PN: Tensor
    outgoing_PN: Tensor
    sign_PE: Tensor
    strength_PE: Tensor
    rule_PR: Tensor
    size_PX: Tensor

    def coefficient(self, name: str) -> Tensor:
        """One coefficient of the rule, (P, 1)."""
        i = COEFFICIENT[name]
        return self.rule_PR[:, i : i + 1]

    def neurons(self, kind: int) -> Tensor:
        """One kind of neuron parameter, (P, N)."""
        return self.neuron_PKN[:, kind]

    def rows(self, index: Tensor) -> NetworkParameters:
        """Copies of some rows."""
        return NetworkParameters(**{item.name: getattr(self, item.name)[index] for item in fields(self)})

    def to(self, device: torch.device) -> NetworkParameters:
        """The parameters on a device."""
        return NetworkParameters(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


def rule_coefficients(rule: Rule, step_ms: float, *, plastic: bool = True) -> list[float]:
    """What a step of `step_ms` needs of a rule, in the order of `COEFFICIENTS`."""

    def decay(tau: float) -> float:
        return math.exp(-step_ms / tau) if tau > 0 else 0.0

    with_dopamine, with_baseline = modulation_integrals(rule.tau_c, rule.tau_n, step_ms)
    values = {
        **{name: getattr(rule, name) for name in ("a2_plus", "a3_plus", "a2_minus", "a3_minus")},
        "decay_plus": decay(rule.tau_plus),
        "decay_minus": decay(rule.tau_minus),
        "decay_x": decay(rule.tau_x),
        "decay_y": decay(rule.tau_y),
        "direct": rule.direct,
        "reward": rule.reward,
        "decay_c": decay(rule.tau_c),
        "decay_n": decay(rule.tau_n),
        "with_dopamine": with_dopamine,
        "with_baseline": with_baseline,
        "per_reward": 1 / rule.tau_n if rule.tau_n else 1.0,
        "baseline": rule.baseline,
        "centre": rule.centre,
        "scaling": rule.scaling * step_ms * SLOW_STEPS,
        "target_hz": rule.target_hz,
        "decay_rate": decay(rule.tau_rate),
        "intrinsic": rule.intrinsic,
        "expected": rule.target_hz * step_ms / 1000,
        "normalise": rule.normalise,
        "w_max": rule.w_max,
        "softness": rule.softness,
        "stdp_on": 0.0,
        "slow_on": 0.0,
    }
    if plastic:
        amplitude = rule.a2_plus or rule.a3_plus or rule.a2_minus or rule.a3_minus
        values["stdp_on"] = float(bool(amplitude and (rule.direct or rule.reward)))
        values["slow_on"] = float(bool(rule.scaling or rule.normalise))
    else:
        values |= {"direct": 0.0, "reward": 0.0, "scaling": 0.0, "intrinsic": 0.0, "normalise": 0.0}
    return [values[name] for name in COEFFICIENTS]


def _begins(key_X: np.ndarray, n: int) -> np.ndarray:
    """Where each of 0 to n - 1 begins in a sorted array, and where the last ends."""
    return np.searchsorted(key_X, np.arange(n + 1))


def pack_genomes(
    genomes: Sequence[Genome], step_ms: float, dtype: torch.dtype, *, plastic: bool
) -> tuple[NetworkParameters, np.ndarray]:
    """Lay genomes of any sizes out side by side.

    Args:
        genomes: at least one, all with the same numbers of afferents and outputs.
        step_ms: h.
        dtype: float32 or float64.
        plastic: whether the rules act.

    Returns:
        The parameters, and the number of each edge in its genome, int64 (P, E), -1 in padding.

    Raises:
        ValueError: a delay is longer than 62 steps.
    """
    n_rows, n_afferents = len(genomes), genomes[0].n_afferents
    kept_P = [np.flatnonzero(genome.enabled) for genome in genomes]
    N = padded(max(genome.n_neurons for genome in genomes))
    E = padded(max(len(kept) for kept in kept_P))
    time_constants_XPN = np.ones((3, n_rows, N), np.float32)
    plain_PKN = np.zeros((n_rows, N_NEURON_PARAMETERS, N))
    plain_PKN[:, THRESHOLD] = np.inf
    edge_PJE = np.zeros((n_rows, N_EDGE_PARAMETERS, E), np.int32)
    incoming_PN = np.zeros((n_rows, N + 1), np.int32)
    outgoing_PN = np.zeros((n_rows, N + 1), np.int32)
    sign_PE = np.zeros((n_rows, E), np.int8)
    strength_PE = np.zeros((n_rows, E))
    number_PE = np.full((n_rows, E), -1)
    size_PX = np.zeros((n_rows, 2), np.int32)
    for p, (genome, kept) in enumerate(zip(genomes, kept_P, strict=True)):
        n, e = genome.n_neurons, len(kept)
        size_PX[p] = n, e
        for k, name in enumerate(("tau_m", "tau_s", "tau_a")):
            time_constants_XPN[k, p, :n] = getattr(genome, name)
        for k, name in ((BIAS, "bias"), (THRESHOLD, "threshold"), (BETA, "beta"), (PERIOD, "refractory")):
            plain_PKN[p, k, :n] = getattr(genome, name)
        kept = kept[np.argsort(genome.target[kept], kind="stable")]
        source, weight = genome.source[kept], genome.weight[kept]
        by_source = np.argsort(source, kind="stable")[np.count_nonzero(source < n_afferents) :]
        edge_PJE[p, SOURCE, :e] = source
        edge_PJE[p, TARGET, :e] = genome.target[kept]
        edge_PJE[p, DELAY, :e] = genome.delay[kept]
        edge_PJE[p, BY_SOURCE, : len(by_source)] = by_source
        incoming_PN[p] = _begins(edge_PJE[p, TARGET, :e], N)
        outgoing_PN[p] = _begins(source[by_source] - n_afferents, N)
        sign_PE[p, :e] = np.where(weight < 0, -1, 1)
        strength_PE[p, :e] = np.abs(weight)
        number_PE[p, :e] = kept
    learns_P1 = np.array([[genome.rule.learns] for genome in genomes])
    w_max_P1 = np.array([[genome.rule.w_max] for genome in genomes])
    strength_PE = np.where(learns_P1, np.minimum(strength_PE, w_max_P1), strength_PE)
    excitatory_PE = np.where(sign_PE > 0, strength_PE, 0.0)
    np.add.at(plain_PKN[:, INCOMING], (np.arange(n_rows)[:, None], edge_PJE[:, TARGET]), excitatory_PE)
    _to_steps(plain_PKN, edge_PJE, sign_PE, step_ms)
    tau_m, tau_s, tau_a = torch.from_numpy(time_constants_XPN).double()
    neuron_PKN = torch.from_numpy(plain_PKN)
    for k, propagator in zip((P22, P21, P20, P11), exact_propagators(tau_m, tau_s, step_ms), strict=True):
        neuron_PKN[:, k] = propagator
    neuron_PKN[:, RHO] = torch.exp(-step_ms / tau_a)
    rules = {genome.rule: rule_coefficients(genome.rule, step_ms, plastic=plastic) for genome in genomes}
    parameters = NetworkParameters(
        neuron_PKN=neuron_PKN.to(dtype),
        edge_PJE=torch.from_numpy(edge_PJE),
        incoming_PN=torch.from_numpy(incoming_PN),
        outgoing_PN=torch.from_numpy(outgoing_PN),
        sign_PE=torch.from_numpy(sign_PE).to(dtype),
        strength_PE=torch.from_numpy(strength_PE).to(dtype),
        rule_PR=torch.tensor([rules[genome.rule] for genome in genomes], dtype=dtype),
        size_PX=torch.from_numpy(size_PX),
    )
    return parameters, number_PE


def _to_steps(plain_PKN: np.ndarray, edge_PJE: np.ndarray, sign_PE: np.ndarray, step_ms: float) -> None:
    """Refractory periods and delays from ms to whole steps, in place."""
    plain_PKN[:, PERIOD] = np.rint(plain_PKN[:, PERIOD] / step_ms)
    delay_PE = np.maximum(np.rint(edge_PJE[:, DELAY] / step_ms), 1)
    if delay_PE.max() > LONGEST_DELAY:
        raise ValueError(
            f"Network: a delay of {edge_PJE[:, DELAY].max()} ms is {delay_PE.max():.0f} steps of {step_ms:g} ms; "
            f"at most {LONGEST_DELAY} steps are kept"
        )
    edge_PJE[:, DELAY] = np.where(sign_PE != 0, delay_PE, 0)
