"""The likelihood of a neuron's statistic, tabulated over the distance of the value from its preferred value.

Shapes: Z entries of a tuning table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spikecode.population import Population
from spikecode.schemes.scheme import Scheme

LAPSE = 1e-4  # probability that a bin is not as the tuning curve says: bounds the weight of one spike


@dataclass(frozen=True)
class Likelihood:
    """Tables of the score and the information of a neuron, and how to doubt it.

        score_k = gain(z_k) (s_k - mean(z_k)),   information_k = gain(z_k) slope(z_k),   gain = slope / variance

    For Bernoulli bins this is the score of the binomial likelihood exactly; for the other schemes it is the
    quasi-likelihood of mean and variance. A neuron that says much less than expected is trusted by the odds that it is
    alive rather than dead, P(dead) = `dead`.

    Args:
        mean_Z: expected statistic, float64, (Z,).
        slope_Z: its derivative by z = (u - c) / sigma, for z >= 0, float64, (Z,).
        gain_Z: slope / variance, float64, (Z,).
        spike_Z, silence_Z: log of the odds of a bin with and without a spike, alive against dead, float64, (Z,). For
            the quasi-likelihood spike is not used, and silence is -1/2 / (variance + 0.1): single spikes in the tails
            are no outliers.
        binomial: whether the exact likelihood of Bernoulli bins applies.
        prior_odds: log of (1 - dead) / dead.
        steps: T.
    """

    mean_Z: Tensor
    slope_Z: Tensor
    gain_Z: Tensor
    spike_Z: Tensor
    silence_Z: Tensor
    binomial: bool
    prior_odds: float
    steps: int


def make_likelihood(
    population: Population,
    scheme: Scheme,
    steps: int,
    refractory: int,
    *,
    dead: float = 1e-3,
    background: float | None = None,
    lost: float = 0.0,
) -> Likelihood:
    """Tabulate the likelihood that the decoders use.

    Args:
        population: the neurons.
        scheme: the coding scheme.
        steps: bins that it fills.
        refractory: bins of the refractory period.
        dead: share of neurons that are taken to be silent, 0 < dead < 1.
        background: rate in Hz of spikes that do not come from the code; the codec's own by default.
        lost: share of the spikes that do not arrive, as by jitter in dense trains, 0 <= lost < 1.

    Returns:
        The tables, on the CPU.

    Raises:
        ValueError: dead, background or lost is out of range, or the scheme has no counts that could lose spikes.
    """
    if not 0 < dead < 1:
        raise ValueError(f"dead must be a share of neurons between 0 and 1, got {dead}")
    if background is not None and not 0 <= background * population.dt <= 500:
        raise ValueError(f"background must be a rate from 0 Hz to half a spike a bin, got {background} Hz")
    if not 0 <= lost < 1:
        raise ValueError(f"lost must be a share of spikes from 0 to below 1, got {lost}")
    if lost and not scheme.counts:
        raise ValueError(f"lost: scheme {scheme.name} decodes spike times, not counts; leave it at 0")
    p_Z = population.probabilities()
    z_Z = population.distances()
    slope_of_p_Z = -z_Z * (p_Z - population.floor)
    slope_of_p_Z[-1] = 0
    floor = max(LAPSE, 0.0 if background is None else background * population.dt / 1000 - population.floor)
    share = (1 - floor - LAPSE) * (1 - lost)
    seen_Z = floor + share * p_Z
    moments = scheme.moments(p_Z, steps, refractory)
    binomial = scheme.name == "poisson" and not refractory
    if binomial:
        mean_Z, slope_Z, variance_Z = steps * seen_Z, steps * share * slope_of_p_Z, steps * seen_Z * (1 - seen_Z)
    elif scheme.counts:
        extra = steps * (floor if background else 0.0)
        mean_Z = (1 - lost) * moments.mean_Z + extra
        slope_Z = (1 - lost) * moments.slope_Z * slope_of_p_Z
        variance_Z = (1 - lost) ** 2 * moments.variance_Z + lost * (1 - lost) * moments.mean_Z + extra
        variance_Z = variance_Z.clamp(min=steps * LAPSE if scheme.name == "poisson" else 0)
    else:
        mean_Z, slope_Z, variance_Z = moments.mean_Z, moments.slope_Z * slope_of_p_Z, moments.variance_Z
    dead_rate = max(floor, population.floor, 1e-3)
    if binomial:
        spike_Z, silence_Z = torch.log(seen_Z / dead_rate), torch.log((1 - seen_Z) / (1 - dead_rate))
    else:
        spike_Z, silence_Z = torch.zeros_like(p_Z), -0.5 / (variance_Z + 0.1)
    odds = math.log((1 - dead) / dead)
    return Likelihood(mean_Z, slope_Z, slope_Z / variance_Z, spike_Z, silence_Z, binomial, odds, steps)
