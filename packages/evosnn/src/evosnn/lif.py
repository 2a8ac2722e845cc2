"""Leaky integrate-and-fire neurons with exponential synaptic currents, integrated exactly over a step.

    tau_m V' = -V + R I + R I_ext,    tau_s I' = -I + sum of weighted spikes,    R = 1, rest and reset at 0

Axes: P individuals, N neurons.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Propagators(NamedTuple):
    """What an exact step multiplies with, each of the shape of the time constants.

    Attributes:
        p22: what is left of the membrane, exp(-h / tau_m).
        p21: membrane per unit of synaptic current.
        p20: membrane per unit of constant current, 1 - p22.
        p11: what is left of the synaptic current, exp(-h / tau_s).
    """

    p22: Tensor
    p21: Tensor
    p20: Tensor
    p11: Tensor


def exact_propagators(tau_m: Tensor, tau_s: Tensor, step_ms: float) -> Propagators:
    """Integrate membrane and synaptic current exactly over one step.

        p22 = exp(-h / tau_m),  p11 = exp(-h / tau_s)
        p21 = tau_s / (tau_m - tau_s) (exp(-h / tau_m) - exp(-h / tau_s)),  h / tau_m exp(-h / tau_m) for tau_m = tau_s

    Args:
        tau_m: membrane time constants in ms, > 0, any shape.
        tau_s: synaptic time constants in ms, > 0, same shape.
        step_ms: h, > 0.

    Returns:
        The propagators, float64. p21 is smooth where tau_m comes near tau_s.

    References:
        Rotter, Diesmann (1999), Exact digital simulation of time-invariant linear systems, Biological Cybernetics 81.
    """
    tau_m, tau_s = tau_m.double(), tau_s.double()
    p22, p11 = torch.exp(-step_ms / tau_m), torch.exp(-step_ms / tau_s)
    p21 = membrane_per_current(tau_m, tau_s, step_ms, torch)
    return Propagators(p22, p21, -torch.expm1(-step_ms / tau_m), p11)


def membrane_per_current(tau_m: Any, tau_s: Any, step_ms: float, xp: ModuleType) -> Any:
    """What a unit of synaptic current adds to the membrane in one step, p21 of `exact_propagators`.

    Args:
        tau_m: membrane time constants in ms, > 0, float64, any shape.
        tau_s: synaptic time constants in ms, > 0, same shape.
        step_ms: h, > 0.
        xp: numpy or torch, whichever they are of.
    """
    x = step_ms * (1 / tau_s - 1 / tau_m)
    mean = xp.where(x == 0, 1.0, -xp.expm1(-x) / xp.where(x == 0, 1.0, x))
    return step_ms / tau_m * xp.exp(-step_ms / tau_m) * mean


def lif_step(
    membrane_PN: Tensor,
    current_PN: Tensor,
    refractory_PN: Tensor,
    *,
    arrivals_PN: Tensor,
    external_PN: Tensor,
    threshold_PN: Tensor,
    period_PN: Tensor,
    propagators: Propagators,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bring neurons one step on.

        V <- p22 V + p21 I + p20 I_ext,   I <- p11 I + arrivals,   a spike where V >= threshold, then V <- 0

    A neuron that has spiked stays at 0 for its refractory period; its current goes on.

    Args:
        membrane_PN: V.
        current_PN: I.
        refractory_PN: steps that are still refractory, int32.
        arrivals_PN: weighted spikes that arrive in this step; they reach V in the next.
        external_PN: constant current I_ext.
        threshold_PN: the threshold of this step.
        period_PN: steps without a spike after a spike, int32.
        propagators: of `exact_propagators`, in the type of the membrane.

    Returns:
        Spikes, bool (P, N), and the new V, I and refractory steps.
    """
    free_PN = refractory_PN <= 0
    new_PN = propagators.p22 * membrane_PN + propagators.p21 * current_PN + propagators.p20 * external_PN
    spikes_PN = free_PN & (new_PN >= threshold_PN)
    membrane_PN = torch.where(free_PN & ~spikes_PN, new_PN, 0.0)
    current_PN = propagators.p11 * current_PN + arrivals_PN
    refractory_PN = torch.where(spikes_PN, period_PN, (refractory_PN - 1).clamp(min=0))
    return spikes_PN, membrane_PN, current_PN, refractory_PN
