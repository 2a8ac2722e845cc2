"""One square millimetre of early sensory cortex: the microcircuit of Potjans and Diesmann.

Legend: P populations in the order of POPULATIONS; matrices are [target, source].
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from lsm.dc import DC
from lsm.distributions import Normal
from lsm.fixed_total_number import FixedTotalNumber
from lsm.lif import LIF
from lsm.network import Network
from lsm.poisson import Poisson

POPULATIONS = ("23E", "23I", "4E", "4I", "5E", "5I", "6E", "6I")
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
EXTERNAL_INDEGREES = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
PROBABILITIES = (
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)
FULL_RATES = (0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829)
"""Mean rates of the full model in Hz, which the compensation of a smaller one takes for granted."""

BACKGROUND_RATE, PSP, INHIBITION, WEIGHT_SPREAD = 8.0, 0.15, -4.0, 0.1
NEURON = LIF(
    tau_m=10.0, threshold=-50.0, reset=-65.0, rest=-65.0, refractory=2.0, synapse="exponential", tau_syn=0.5,
    capacitance=250.0, initial=Normal(-58.0, 10.0),
)  # fmt: skip


def psc_of_psp(psp: float, neuron: LIF) -> float:
    """Amplitude in pA of the exponential current whose response peaks at a voltage.

    The response to w exp(-t / tau_s) is w tau_s tau_m / (C (tau_m - tau_s)) (exp(-t / tau_m) - exp(-t / tau_s)),
    greatest at t = ln(tau_m / tau_s) tau_m tau_s / (tau_m - tau_s).

    Args:
        psp: mV.
        neuron: with exponential synapses, tau_m unlike tau_syn.
    """
    tau_m, tau_s = neuron.tau_m, neuron.tau_syn
    peak = math.log(tau_m / tau_s) * tau_m * tau_s / (tau_m - tau_s)
    response = tau_s * tau_m / (neuron.capacitance * (tau_m - tau_s))
    return psp / (response * (math.exp(-peak / tau_m) - math.exp(-peak / tau_s)))


def synapse_numbers() -> np.ndarray:
    """Synapses of each projection at full size, int64 (P, P).

        K = round(ln(1 - p) / ln(1 - 1 / (N_pre N_post)))

    drawn with replacement, so that a pair is connected at least once with probability p.
    """
    pairs_PP = np.outer(SIZES, SIZES).astype(np.float64)
    # the published numbers come from this expression as it stands; log1p gives two synapses more
    return np.round(np.log(1 - np.array(PROBABILITIES)) / np.log(1 - 1 / pairs_PP)).astype(np.int64)


def microcircuit(
    scale: float = 1.0,
    *,
    k_scale: float | None = None,
    drive: Literal["poisson", "dc"] = "poisson",
    seed: int = 0,
    step: float = 0.1,
) -> Network:
    """Four layers of excitatory and inhibitory neurons: 77,169 neurons, 298,880,968 synapses at full size.

    A smaller one keeps mean and variance of each neuron's input at the full model's rates: in-degrees fall by k_scale,
    weights grow by 1 / sqrt(k_scale), and a constant current of

        tau_syn (1 - sqrt(k_scale)) (sum over sources K w rate + K_ext w_ext rate_ext)

    with the full model's in-degrees and weights makes up for the mean.

    Args:
        scale: share of the neurons, in (0, 1].
        k_scale: share of the in-degree, in (0, 1]; `scale` by default.
        drive: "poisson" (8 Hz from each external synapse) or "dc" (its mean).
        seed: of all that is drawn.
        step: ms.

    Returns:
        The network, populations "23E" to "6I", without recorded or given spikes.

    Raises:
        ValueError: an argument out of its range.

    References:
        Potjans, Diesmann (2014), The cell-type specific cortical microcircuit, Cerebral Cortex 24(3), tables 4 and 5.
        van Albada, Helias, Diesmann (2015), Scalability of asynchronous networks, PLOS Comput. Biol. 11(9).
    """
    k_scale = scale if k_scale is None else k_scale
    if not 0 < scale <= 1 or not 0 < k_scale <= 1:
        raise ValueError(f"microcircuit: scale and k_scale must lie in (0, 1], got {scale} and {k_scale}")
    if drive not in ("poisson", "dc"):
        raise ValueError(f"microcircuit: drive must be 'poisson' or 'dc', got {drive!r}")
    net = Network(seed=seed, step=step)
    sizes_P = [max(1, round(n * scale)) for n in SIZES]
    numbers_PP = synapse_numbers()
    weights_PP = full_weights()
    external = psc_of_psp(PSP, NEURON)
    root = math.sqrt(k_scale)
    populations = [net.population(name, n, NEURON) for name, n in zip(POPULATIONS, sizes_P, strict=True)]
    for t, target in enumerate(populations):
        for s, source in enumerate(populations):
            number = round(numbers_PP[t, s] / SIZES[t] * k_scale * sizes_P[t])
            if not number:
                continue
            weight, excitatory = weights_PP[t, s] / root, s % 2 == 0
            bounds = {"low": 0.0} if excitatory else {"high": 0.0}
            mean_delay = 1.5 if excitatory else 0.75
            net.connect(
                source, target, FixedTotalNumber(number),
                weight=Normal(weight, WEIGHT_SPREAD * abs(weight), **bounds),
                delay=Normal(mean_delay, mean_delay / 2, low=step),
            )  # fmt: skip
        indegree = EXTERNAL_INDEGREES[t]
        current = NEURON.tau_syn * 1e-3 * (1 - root) * float(numbers_PP[t] / SIZES[t] * weights_PP[t] @ FULL_RATES)
        mean_external = NEURON.tau_syn * 1e-3 * BACKGROUND_RATE * indegree * external
        if drive == "poisson":
            net.drive(target, Poisson(rate=BACKGROUND_RATE * indegree * k_scale, weight=external / root))
            current += (1 - root) * mean_external
        else:
            current += mean_external
        if current:
            net.drive(target, DC(current=current))
    return net


def full_weights() -> np.ndarray:
    """Mean weights at full size in pA, (P, P): 87.8, doubled from 4E to 23E, -4 times that from inhibitory sources."""
    excitatory = psc_of_psp(PSP, NEURON)
    weights_PP = np.tile(np.where(np.arange(8) % 2 == 0, excitatory, INHIBITION * excitatory), (8, 1))
    weights_PP[POPULATIONS.index("23E"), POPULATIONS.index("4E")] *= 2
    return weights_PP
