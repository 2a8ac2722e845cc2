"""STDP that waits in an eligibility trace until dopamine comes.

Axes: P individuals, E edges.
"""

from __future__ import annotations

import math

from torch import Tensor


def modulation_integrals(tau_c: float, tau_n: float, step_ms: float) -> tuple[float, float]:
    """Integrals over one step that `reward_stdp_change` needs, in ms.

        integral of exp(-t / tau_c - t / tau_n),   integral of exp(-t / tau_c)

    Args:
        tau_c: time constant of the eligibility in ms, > 0.
        tau_n: time constant of the dopamine in ms, >= 0. With 0 a reward is a pulse of area 1: the first is 1.
        step_ms: h, > 0.
    """
    with_baseline = -math.expm1(-step_ms / tau_c) * tau_c
    if tau_n == 0:
        return 1.0, with_baseline
    rate = 1 / tau_c + 1 / tau_n
    return -math.expm1(-step_ms * rate) / rate, with_baseline


def reward_stdp_change(
    eligibility_PE: Tensor,
    dopamine_P1: Tensor,
    *,
    baseline: Tensor | float,
    with_dopamine: Tensor | float,
    with_baseline: Tensor | float,
) -> Tensor:
    """Change of the weights over one step, integrated exactly.

        w' = c (n - b),  c' = -c / tau_c,  n' = -n / tau_n

    Args:
        eligibility_PE: c at the begin of the step, the STDP of its spikes included.
        dopamine_P1: n at the begin of the step, its reward included, (P, 1).
        baseline: b, broadcast.
        with_dopamine: first of `modulation_integrals`, broadcast.
        with_baseline: second of `modulation_integrals`, broadcast.

    References:
        Izhikevich (2007), Solving the distal reward problem through linkage of STDP and dopamine signaling, Cerebral
        Cortex 17(10).
    """
    return eligibility_PE * (dopamine_P1 * with_dopamine - baseline * with_baseline)


def centred_reward(reward_P: Tensor, mean_P: Tensor, centre_P: Tensor | float) -> tuple[Tensor, Tensor]:
    """Subtract the running mean of the rewards so far.

        reward <- reward - mean,   mean <- mean + centre (reward - mean)

    Args:
        reward_P: the rewards as they came.
        mean_P: running means, 0 at first.
        centre_P: share of the new reward, in [0, 1]; with 0 the mean stays 0 and rewards stay as they are.

    Returns:
        Centred rewards and new means.

    References:
        Fremaux, Sprekeler, Gerstner (2010), Functional requirements for reward-modulated spike-timing-dependent
        plasticity, Journal of Neuroscience 30(40): the mean has to be that of each task.
    """
    centred_P = reward_P - mean_P
    return centred_P, mean_P + centre_P * centred_P
