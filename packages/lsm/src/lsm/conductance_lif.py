"""Leaky integrate-and-fire neurons with synaptic conductances."""

from __future__ import annotations

import math

import numpy as np


def conductance_constants(
    *, step: float, tau_m: float, capacitance: float, tau_syn_ex: float, tau_syn_in: float
) -> tuple[float, ...]:
    """What `conductance_step` multiplies with.

    Args:
        step: h in ms.
        tau_m: membrane time constant without synaptic conductance, ms.
        capacitance: C in pF; the leak is C / tau_m in nS.
        tau_syn_ex: of the excitatory conductance, ms.
        tau_syn_in: of the inhibitory conductance, ms.

    Returns:
        C / h, half the leak, and for each conductance exp(-h / tau) and half its mean over a step, per value at the
        beginning.
    """
    decays = math.exp(-step / tau_syn_ex), math.exp(-step / tau_syn_in)
    means = (-tau * math.expm1(-step / tau) / step for tau in (tau_syn_ex, tau_syn_in))
    half_ex, half_in = (mean / 2 for mean in means)
    return capacitance / step, capacitance / tau_m / 2, decays[0], half_ex, decays[1], half_in


def conductance_step(
    membrane: np.ndarray,
    g_ex: np.ndarray,
    g_in: np.ndarray,
    *,
    arrivals_ex: np.ndarray,
    arrivals_in: np.ndarray,
    current: np.ndarray | float,
    reversal_ex: float,
    reversal_in: float,
    constants: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bring free membranes and conductances one step on.

        C V' = -g_L V + g_ex (E_ex - V) + g_in (E_in - V) + I,    g' = -g / tau + arriving weights

    with V from rest. Conductances are exact; the membrane takes the mean conductance of the step by the implicit
    midpoint rule, which is stable for any step, of second order, and needs no `exp`: every kernel gets the same bits.

    Args:
        membrane: V from rest in mV, float32 or float64.
        g_ex: excitatory conductance in nS.
        g_in: inhibitory conductance in nS, >= 0.
        arrivals_ex: weights that arrive in this step, nS; the membrane feels them from the next step on.
        arrivals_in: the same of inhibitory synapses, >= 0.
        current: I in pA.
        reversal_ex: E_ex from rest, mV.
        reversal_in: E_in from rest, mV.
        constants: of `conductance_constants`, in the type of the membrane.

    Returns:
        The new V, g_ex and g_in.
    """
    per_step, half_leak, decay_ex, half_ex, decay_in, half_in = constants
    mean_ex, mean_in = half_ex * g_ex, half_in * g_in
    half = half_leak + mean_ex + mean_in
    pull = (mean_ex * reversal_ex + mean_in * reversal_in) * membrane.dtype.type(2) + current
    membrane = ((per_step - half) * membrane + pull) / (per_step + half)
    return membrane, decay_ex * g_ex + arrivals_ex, decay_in * g_in + arrivals_in
