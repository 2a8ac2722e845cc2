"""The same as the kernels in plain torch: the rules' pure functions, one after the other.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from evosnn import network_parameters as parameter
from evosnn import network_state as variable
from evosnn.adaptive_threshold import adapt, effective_threshold
from evosnn.afferents import draw_afferents
from evosnn.incoming_normalization import incoming_sum, normalization_factor
from evosnn.intrinsic_plasticity import intrinsic_change
from evosnn.kernels.plan import MODES, Drive
from evosnn.lif import Propagators, lif_step
from evosnn.network_parameters import SLOW_STEPS, NetworkParameters
from evosnn.network_state import LAST_STEP, NetworkState
from evosnn.pair_stdp import decayed_trace
from evosnn.reward_stdp import centred_reward, reward_stdp_change
from evosnn.synaptic_scaling import rate_trace, scale_weights, scaling_factor
from evosnn.triplet_stdp import triplet_stdp_change
from evosnn.weight_bounds import bounded_change

_MODE_NAMES = {number: name for name, number in MODES.items()}


def _stdp(
    parameters: NetworkParameters, state: NetworkState, pre_PE: Tensor, post_PN: Tensor, target_PE: Tensor
) -> None:
    """STDP, at once and by reward, and the traces that it reads."""
    rule = parameters.coefficient
    on_P1 = rule("stdp_on") > 0
    modulated_P1 = on_P1 & (rule("reward") != 0)
    synapse, neuron = state.synapse_PGE, state.neuron_PFN
    change_PE = triplet_stdp_change(
        pre_PE,
        post_PN.gather(1, target_PE),
        state.pre_fast_PE,
        state.pre_slow_PE,
        neuron[:, variable.POST_FAST].gather(1, target_PE),
        neuron[:, variable.POST_SLOW].gather(1, target_PE),
        a2_plus=rule("a2_plus"),
        a3_plus=rule("a3_plus"),
        a2_minus=rule("a2_minus"),
        a3_minus=rule("a3_minus"),
    )
    eligibility_PE = state.eligibility_PE + change_PE
    by_reward_PE = reward_stdp_change(
        eligibility_PE,
        state.dopamine_P[:, None],
        baseline=rule("baseline"),
        with_dopamine=rule("with_dopamine"),
        with_baseline=rule("with_baseline"),
    )
    total_PE = rule("direct") * change_PE
    total_PE = torch.where(modulated_P1, total_PE + rule("reward") * by_reward_PE, total_PE)
    strength_PE = bounded_change(state.strength_PE, total_PE, rule("w_max"), rule("softness"))
    updates_PE = {
        variable.STRENGTH: strength_PE,
        variable.PRE_FAST: decayed_trace(state.pre_fast_PE, pre_PE, rule("decay_plus")),
        variable.PRE_SLOW: decayed_trace(state.pre_slow_PE, pre_PE, rule("decay_x")),
    }
    inside_PE = on_P1 & (parameters.sign_PE != 0)
    for kind, value_PE in updates_PE.items():
        synapse[:, kind] = torch.where(inside_PE, value_PE, synapse[:, kind])
    synapse[:, variable.ELIGIBILITY] = torch.where(
        modulated_P1 & inside_PE, eligibility_PE * rule("decay_c"), state.eligibility_PE
    )
    updates_PN = {
        variable.POST_FAST: decayed_trace(neuron[:, variable.POST_FAST], post_PN, rule("decay_minus")),
        variable.POST_SLOW: decayed_trace(neuron[:, variable.POST_SLOW], post_PN, rule("decay_y")),
    }
    for kind, value_PN in updates_PN.items():
        neuron[:, kind] = torch.where(on_P1, value_PN, neuron[:, kind])
    state.modulation_PM[:, variable.DOPAMINE] *= torch.where(modulated_P1, rule("decay_n"), 1.0)[:, 0]


def _slow_rules(parameters: NetworkParameters, state: NetworkState, target_PE: Tensor) -> None:
    """Synaptic scaling, then normalisation, where it is time."""
    rule = parameters.coefficient
    now_P1 = (state.time_P[:, None] % SLOW_STEPS == 0) & (rule("slow_on") > 0)
    excitatory_PE = parameters.sign_PE > 0
    rate_PN = state.neuron_PFN[:, variable.RATE]
    strength_PE = state.strength_PE
    factor_PN = scaling_factor(rate_PN, eta=rule("scaling"), target_hz=rule("target_hz"), duration_ms=1.0)
    scaled_PE = scale_weights(strength_PE, factor_PN.gather(1, target_PE), excitatory_PE, rule("w_max"))
    strength_PE = torch.where(now_P1 & (rule("scaling") > 0), scaled_PE, strength_PE)
    sum_PN = incoming_sum(strength_PE, target_PE, excitatory_PE, rate_PN.shape[1])
    factor_PN = normalization_factor(sum_PN, parameters.neurons(parameter.INCOMING), rule("normalise"))
    scaled_PE = scale_weights(strength_PE, factor_PN.gather(1, target_PE), excitatory_PE, rule("w_max"))
    state.synapse_PGE[:, variable.STRENGTH] = torch.where(now_P1 & (rule("normalise") > 0), scaled_PE, strength_PE)


def _step(parameters: NetworkParameters, state: NetworkState, drive: Drive) -> Tensor:
    """One step of all rows, in place: spikes, bool (P, N)."""
    rule, neurons = parameters.coefficient, parameters.neurons
    dtype = state.neuron_PFN.dtype
    source_PE, target_PE, delay_PE, _ = parameters.edge_PJE.long().unbind(1)
    real_PN = neurons(parameter.THRESHOLD).isfinite()
    before = state.neuron_PFN.unbind(1)

    fired_PC, phase_PC = draw_afferents(
        drive.drive_PC, state.phase_PC, drive.stream_P, state.time_P, _MODE_NAMES[drive.mode]
    )
    arrived_PE = (state.history_PS.gather(1, source_PE) >> (LAST_STEP + 1 - delay_PE)) & 1
    pre_PE = arrived_PE.to(dtype) * parameters.sign_PE.abs()
    arrivals_PN = torch.zeros_like(before[variable.MEMBRANE])
    arrivals_PN.scatter_add_(1, target_PE, pre_PE * parameters.sign_PE * state.strength_PE)
    external_PN = neurons(parameter.BIAS)
    if drive.external_PN is not None:
        external_PN = external_PN + drive.external_PN
    spikes_PN, membrane_PN, current_PN, refractory_PN = lif_step(
        before[variable.MEMBRANE],
        before[variable.CURRENT],
        before[variable.REFRACTORY],
        arrivals_PN=arrivals_PN,
        external_PN=external_PN,
        threshold_PN=effective_threshold(
            neurons(parameter.THRESHOLD),
            neurons(parameter.BETA),
            before[variable.ADAPTATION],
            before[variable.OFFSET],
        ),
        period_PN=neurons(parameter.PERIOD),
        propagators=Propagators(*(neurons(k) for k in (parameter.P22, parameter.P21, parameter.P20, parameter.P11))),
    )
    post_PN = spikes_PN.to(dtype)
    _stdp(parameters, state, pre_PE, post_PN, target_PE)
    moved_PN = intrinsic_change(before[variable.OFFSET], post_PN, rule("intrinsic"), rule("expected"))
    rate_PN = rate_trace(before[variable.RATE], post_PN, decay=rule("decay_rate"), step_ms=1000 / drive.rate_scale)
    for kind, value_PN in (
        (variable.MEMBRANE, membrane_PN),
        (variable.CURRENT, current_PN),
        (variable.REFRACTORY, refractory_PN),
        (variable.ADAPTATION, adapt(before[variable.ADAPTATION], post_PN, neurons(parameter.RHO))),
        (variable.OFFSET, torch.where(real_PN, moved_PN, before[variable.OFFSET])),
        (variable.RATE, torch.where(rule("scaling") > 0, rate_PN, before[variable.RATE])),
    ):
        state.neuron_PFN[:, kind] = value_PN
    state.phase_PC.copy_(phase_PC)
    state.time_P += 1
    _slow_rules(parameters, state, target_PE)
    spikes_PN = spikes_PN[:, : state.n_neurons]
    spikes_PS = torch.cat([fired_PC, spikes_PN], 1)
    state.history_PS.copy_((state.history_PS >> 1) | (spikes_PS.long() << LAST_STEP))
    return spikes_PN


def run_(parameters: NetworkParameters, state: NetworkState, drive: Drive, counts_PN: Tensor, first_PN: Tensor) -> None:
    """See `evosnn.kernels.run_`."""
    rows = state.clone()
    rule = parameters.coefficient
    if drive.reward_P is not None:
        modulated_P = ((rule("stdp_on") > 0) & (rule("reward") != 0))[:, 0]
        centred_P, mean_P = centred_reward(drive.reward_P, state.reward_mean_P, rule("centre")[:, 0])
        rows.modulation_PM[:, variable.REWARD_MEAN] = torch.where(modulated_P, mean_P, state.reward_mean_P)
        dopamine_P = state.dopamine_P + centred_P * rule("per_reward")[:, 0]
        rows.modulation_PM[:, variable.DOPAMINE] = torch.where(modulated_P, dopamine_P, state.dopamine_P)
    active_P1 = drive.active_P[:, None]
    for t in range(drive.steps):
        spikes_PN = _step(parameters, rows, drive) & active_P1
        first_PN.copy_(torch.where(spikes_PN & (first_PN > t), t, first_PN))
        counts_PN += spikes_PN
    for item in fields(state):
        new, old = getattr(rows, item.name), getattr(state, item.name)
        old.copy_(torch.where(drive.active_P.view(-1, *[1] * (old.dim() - 1)), new, old))
