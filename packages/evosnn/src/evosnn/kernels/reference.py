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
from evosnn.network_state import NetworkState
from evosnn.pair_stdp import decayed_trace
from evosnn.reward_stdp import centred_reward, reward_stdp_change
from evosnn.synaptic_scaling import rate_trace, scale_weights
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
    change_PE = triplet_stdp_change(
        pre_PE,
        post_PN.gather(1, target_PE),
        state.pre_fast_PE,
        state.pre_slow_PE,
        state.post_fast_PN.gather(1, target_PE),
        state.post_slow_PN.gather(1, target_PE),
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
    synapse, neuron = state.synapse_PGE, state.neuron_PFN
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
        variable.POST_FAST: decayed_trace(state.post_fast_PN, post_PN, rule("decay_minus")),
        variable.POST_SLOW: decayed_trace(state.post_slow_PN, post_PN, rule("decay_y")),
    }
    for kind, value_PN in updates_PN.items():
        neuron[:, kind] = torch.where(on_P1, value_PN, neuron[:, kind])
    state.modulation_PM[:, variable.DOPAMINE] *= torch.where(modulated_P1, rule("decay_n"), 1.0)[:, 0]


def _slow_rules(parameters: NetworkParameters, state: NetworkState, target_PE: Tensor) -> None:
    """Synaptic scaling, then normalisation, where it is time."""
    rule = parameters.coefficient
    now_P1 = (state.time_P[:, None] % SLOW_STEPS == 0) & (rule("slow_on") > 0)
    excitatory_PE = parameters.sign_PE > 0
    n_neurons = state.membrane_PN.shape[1]
    strength_PE = state.strength_PE
    factor_PN = torch.exp(rule("scaling") * ((rule("target_hz") - state.rate_PN) / rule("target_hz")))
    scaled_PE = scale_weights(strength_PE, factor_PN.gather(1, target_PE), excitatory_PE, rule("w_max"))
    strength_PE = torch.where(now_P1 & (rule("scaling") > 0), scaled_PE, strength_PE)
    sum_PN = incoming_sum(strength_PE, target_PE, excitatory_PE, n_neurons)
    factor_PN = normalization_factor(sum_PN, parameters.neurons(parameter.INCOMING), rule("normalise"))
    scaled_PE = scale_weights(strength_PE, factor_PN.gather(1, target_PE), excitatory_PE, rule("w_max"))
    state.synapse_PGE[:, variable.STRENGTH] = torch.where(now_P1 & (rule("normalise") > 0), scaled_PE, strength_PE)


def _step(parameters: NetworkParameters, state: NetworkState, drive: Drive) -> Tensor:
    """One step of all rows, in place: spikes, bool (P, N)."""
    rule, neurons = parameters.coefficient, parameters.neurons
    dtype = state.neuron_PFN.dtype
    source_PE, target_PE, shift_PE = parameters.edge_PJE.long().unbind(1)
    n_neurons = state.membrane_PN.shape[1]
    real_PN = torch.arange(n_neurons, device=source_PE.device) < parameters.size_PX[:, :1]

    fired_PC, phase_PC = draw_afferents(
        drive.drive_PC, state.phase_PC, drive.stream_P, state.time_P, _MODE_NAMES[drive.mode]
    )
    arrived_PE = (state.history_PS.gather(1, source_PE) >> shift_PE) & 1
    pre_PE = arrived_PE.to(dtype) * parameters.sign_PE.abs()
    arrivals_PN = torch.zeros_like(state.membrane_PN)
    arrivals_PN.scatter_add_(1, target_PE, pre_PE * parameters.sign_PE * state.strength_PE)
    external_PN = neurons(parameter.BIAS)
    if drive.external_PN is not None:
        external_PN = external_PN + drive.external_PN
    spikes_PN, membrane_PN, current_PN, refractory_PN = lif_step(
        state.membrane_PN,
        state.current_PN,
        state.refractory_PN,
        arrivals_PN=arrivals_PN,
        external_PN=external_PN,
        threshold_PN=effective_threshold(
            neurons(parameter.THRESHOLD), neurons(parameter.BETA), state.adaptation_PN, state.offset_PN
        ),
        period_PN=parameters.period_PN,
        propagators=Propagators(*(neurons(k) for k in (parameter.P22, parameter.P21, parameter.P20, parameter.P11))),
    )
    spikes_PN = spikes_PN & real_PN
    post_PN = spikes_PN.to(dtype)
    state.neuron_PFN[:, variable.MEMBRANE] = membrane_PN * real_PN
    state.neuron_PFN[:, variable.CURRENT] = current_PN
    state.refractory_PN.copy_(refractory_PN * real_PN)
    state.neuron_PFN[:, variable.ADAPTATION] = adapt(state.adaptation_PN, post_PN, neurons(parameter.RHO))
    state.phase_PC.copy_(phase_PC)

    _stdp(parameters, state, pre_PE, post_PN, target_PE)
    moved_PN = intrinsic_change(state.offset_PN, post_PN, rule("intrinsic"), rule("expected"))
    state.neuron_PFN[:, variable.OFFSET] = torch.where(real_PN, moved_PN, state.offset_PN)
    rate_PN = rate_trace(state.rate_PN, post_PN, decay=rule("decay_rate"), step_ms=1000 / drive.rate_scale)
    kept_PN = real_PN & (rule("scaling") > 0)
    state.neuron_PFN[:, variable.RATE] = torch.where(kept_PN, rate_PN, state.rate_PN)
    state.time_P += 1
    _slow_rules(parameters, state, target_PE)
    spikes_PS = torch.cat([fired_PC, spikes_PN], 1)
    state.history_PS.copy_((state.history_PS << 1) | spikes_PS.long())
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
