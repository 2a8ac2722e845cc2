"""numba kernel for CPU tensors: all steps of a network, one network after the other, so that its state stays at hand.

The kernel releases the interpreter lock and networks are shared out over plain threads, as many as torch uses. It does
what `reference` does, in the same order, one edge at a time, and touches no padding.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges; others as in `network_state` and
`network_parameters`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from ddp_utils import row_threads
from torch import Tensor

from evosnn import network_parameters as parameter
from evosnn import network_state as variable
from evosnn.afferents import GOLDEN, MULTIPLIERS
from evosnn.kernels.plan import Drive
from evosnn.network_parameters import COEFFICIENT, SLOW_STEPS, NetworkParameters
from evosnn.network_state import NetworkState

with warnings.catch_warnings():
    # What numba says about its own dependencies must not fail a program that turns warnings into errors.
    warnings.simplefilter("ignore")
    import numba

_U = np.uint64
_A, _B, _GOLDEN = _U(MULTIPLIERS[0]), _U(MULTIPLIERS[1]), _U(GOLDEN)
_S30, _S27, _S31, _S40 = _U(30), _U(27), _U(31), _U(40)
_STEPS_WORTH_A_THREAD = 1 << 11

_MEMBRANE, _CURRENT, _ADAPTATION, _OFFSET = variable.MEMBRANE, variable.CURRENT, variable.ADAPTATION, variable.OFFSET
_RATE, _POST_FAST, _POST_SLOW = variable.RATE, variable.POST_FAST, variable.POST_SLOW
_STRENGTH, _PRE_FAST, _PRE_SLOW, _ELIGIBILITY = range(4)
_DOPAMINE, _REWARD_MEAN = variable.DOPAMINE, variable.REWARD_MEAN
_P22, _P21, _P20, _P11 = parameter.P22, parameter.P21, parameter.P20, parameter.P11
_BIAS, _THRESHOLD, _BETA, _RHO, _INCOMING = (
    *(parameter.BIAS, parameter.THRESHOLD, parameter.BETA, parameter.RHO, parameter.INCOMING),
)
_SOURCE, _TARGET, _SHIFT = parameter.SOURCE, parameter.TARGET, parameter.SHIFT
_A2_PLUS, _A3_PLUS = COEFFICIENT["a2_plus"], COEFFICIENT["a3_plus"]
_A2_MINUS, _A3_MINUS = COEFFICIENT["a2_minus"], COEFFICIENT["a3_minus"]
_DECAY_PLUS, _DECAY_MINUS = COEFFICIENT["decay_plus"], COEFFICIENT["decay_minus"]
_DECAY_X, _DECAY_Y = COEFFICIENT["decay_x"], COEFFICIENT["decay_y"]
_DIRECT, _REWARD = COEFFICIENT["direct"], COEFFICIENT["reward"]
_DECAY_C, _DECAY_N = COEFFICIENT["decay_c"], COEFFICIENT["decay_n"]
_WITH_DOPAMINE, _WITH_BASELINE = COEFFICIENT["with_dopamine"], COEFFICIENT["with_baseline"]
_PER_REWARD, _BASELINE, _CENTRE = COEFFICIENT["per_reward"], COEFFICIENT["baseline"], COEFFICIENT["centre"]
_SCALING, _TARGET_HZ, _DECAY_RATE = COEFFICIENT["scaling"], COEFFICIENT["target_hz"], COEFFICIENT["decay_rate"]
_INTRINSIC, _EXPECTED = COEFFICIENT["intrinsic"], COEFFICIENT["expected"]
_NORMALISE, _W_MAX, _SOFTNESS = COEFFICIENT["normalise"], COEFFICIENT["w_max"], COEFFICIENT["softness"]
_STDP_ON, _SLOW_ON = COEFFICIENT["stdp_on"], COEFFICIENT["slow_on"]


def jit(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter lock, with a cache on disk where there is a folder for it."""
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return numba.njit(nogil=True, error_model="numpy")(function)


@jit
def _draw(z):
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


@jit
def _slow_rules(p, n_neurons, begin_N, neuron_PKN, sign_PE, rule_PR, neuron_PFN, synapse_PGE):
    """Synaptic scaling, then normalisation, of the excitatory synapses of each neuron."""
    scaling, target_hz, normalise = rule_PR[p, _SCALING], rule_PR[p, _TARGET_HZ], rule_PR[p, _NORMALISE]
    w_max = rule_PR[p, _W_MAX]
    zero, one = w_max - w_max, w_max / w_max
    for i in range(n_neurons):
        if scaling > zero:
            factor = math.exp(scaling * ((target_hz - neuron_PFN[p, _RATE, i]) / target_hz))
            for e in range(begin_N[i], begin_N[i + 1]):
                if sign_PE[p, e] > zero:
                    synapse_PGE[p, _STRENGTH, e] = min(synapse_PGE[p, _STRENGTH, e] * factor, w_max)
        if normalise > zero:
            total = zero
            for e in range(begin_N[i], begin_N[i + 1]):
                if sign_PE[p, e] > zero:
                    total += synapse_PGE[p, _STRENGTH, e]
            if total > zero:
                factor = one + normalise * (neuron_PKN[p, _INCOMING, i] / total - one)
                for e in range(begin_N[i], begin_N[i + 1]):
                    if sign_PE[p, e] > zero:
                        synapse_PGE[p, _STRENGTH, e] = min(synapse_PGE[p, _STRENGTH, e] * factor, w_max)


@jit
def _run_rows(
    neuron_PKN, period_PN, edge_PJE, sign_PE, rule_PR, size_PX, neuron_PFN, synapse_PGE, modulation_PM, refractory_PN,
    history_PS, phase_PC, time_P, drive_PC, stream_P, mode, external_PN, with_external, reward_P, with_reward, active_P,
    rate_scale, counts_PN, first_PN, steps, first, last,
):  # fmt: skip
    n_afferents, most_neurons = drive_PC.shape[1], neuron_PKN.shape[2]
    spiked_N = np.zeros(most_neurons, np.int64)
    begin_N = np.zeros(most_neurons + 1, np.int64)
    fired_C = np.zeros(n_afferents + 1, np.int64)
    arrived_E = np.zeros(edge_PJE.shape[2], np.int64)
    for p in range(first, last):
        if not active_P[p]:
            continue
        n_neurons, n_edges = size_PX[p, 0], size_PX[p, 1]
        e = 0
        for i in range(n_neurons):
            begin_N[i] = e
            while e < n_edges and edge_PJE[p, _TARGET, e] == i:
                e += 1
        begin_N[n_neurons] = n_edges
        w_max = rule_PR[p, _W_MAX]
        zero, one = w_max - w_max, w_max / w_max
        stdp_on, slow_on = rule_PR[p, _STDP_ON] > zero, rule_PR[p, _SLOW_ON] > zero
        a2_plus, a3_plus = rule_PR[p, _A2_PLUS], rule_PR[p, _A3_PLUS]
        a2_minus, a3_minus = rule_PR[p, _A2_MINUS], rule_PR[p, _A3_MINUS]
        decay_plus, decay_minus = rule_PR[p, _DECAY_PLUS], rule_PR[p, _DECAY_MINUS]
        decay_x, decay_y = rule_PR[p, _DECAY_X], rule_PR[p, _DECAY_Y]
        direct, reward_rate, softness = rule_PR[p, _DIRECT], rule_PR[p, _REWARD], rule_PR[p, _SOFTNESS]
        decay_c, decay_n = rule_PR[p, _DECAY_C], rule_PR[p, _DECAY_N]
        intrinsic, expected = rule_PR[p, _INTRINSIC], rule_PR[p, _EXPECTED]
        scaling_on = rule_PR[p, _SCALING] > zero
        decay_rate = rule_PR[p, _DECAY_RATE]
        per_spike = (one - decay_rate) * rate_scale
        modulated = stdp_on and reward_rate != zero
        dopamine = modulation_PM[p, _DOPAMINE]
        if with_reward and modulated:
            centred = reward_P[p] - modulation_PM[p, _REWARD_MEAN]
            modulation_PM[p, _REWARD_MEAN] += rule_PR[p, _CENTRE] * centred
            dopamine += centred * rule_PR[p, _PER_REWARD]
        time = time_P[p]
        for t in range(steps):
            for c in range(n_afferents):
                drive = drive_PC[p, c]
                if mode == 0:
                    phase = phase_PC[p, c] + min(max(drive, zero), one)
                    fired = phase >= one
                    phase_PC[p, c] = phase - one if fired else phase
                elif mode == 1:
                    counter = _U(time * n_afferents + c)
                    random = np.int64(_draw(_U(stream_P[p]) + counter * _GOLDEN) >> _S40)
                    fired = random * 2.0**-24 < drive
                else:
                    fired = drive > zero
                fired_C[c] = fired
            gain = dopamine * rule_PR[p, _WITH_DOPAMINE] - rule_PR[p, _BASELINE] * rule_PR[p, _WITH_BASELINE]
            for i in range(n_neurons):
                arrivals = zero
                for e in range(begin_N[i], begin_N[i + 1]):
                    arrived = (history_PS[p, edge_PJE[p, _SOURCE, e]] >> edge_PJE[p, _SHIFT, e]) & 1
                    arrived_E[e] = arrived
                    if arrived:
                        arrivals += sign_PE[p, e] * synapse_PGE[p, _STRENGTH, e]
                current = neuron_PFN[p, _CURRENT, i]
                external = neuron_PKN[p, _BIAS, i]
                if with_external:
                    external += external_PN[p, i]
                membrane = (
                    neuron_PKN[p, _P22, i] * neuron_PFN[p, _MEMBRANE, i]
                    + neuron_PKN[p, _P21, i] * current
                    + neuron_PKN[p, _P20, i] * external
                )
                neuron_PFN[p, _CURRENT, i] = neuron_PKN[p, _P11, i] * current + arrivals
                adaptation = neuron_PFN[p, _ADAPTATION, i]
                threshold = (
                    neuron_PKN[p, _THRESHOLD, i] + neuron_PKN[p, _BETA, i] * adaptation + neuron_PFN[p, _OFFSET, i]
                )
                refractory = refractory_PN[p, i]
                spiked = refractory <= 0 and membrane >= threshold
                z = one if spiked else zero
                neuron_PFN[p, _MEMBRANE, i] = zero if spiked or refractory > 0 else membrane
                if spiked:
                    refractory_PN[p, i] = period_PN[p, i]
                    counts_PN[p, i] += 1
                    first_PN[p, i] = min(first_PN[p, i], t)
                elif refractory > 0:
                    refractory_PN[p, i] = refractory - 1
                neuron_PFN[p, _ADAPTATION, i] = neuron_PKN[p, _RHO, i] * adaptation + z
                spiked_N[i] = spiked
                if stdp_on:
                    o1, o2 = neuron_PFN[p, _POST_FAST, i], neuron_PFN[p, _POST_SLOW, i]
                    potentiation = a2_plus + a3_plus * o2
                    for e in range(begin_N[i], begin_N[i + 1]):
                        r1, r2 = synapse_PGE[p, _PRE_FAST, e], synapse_PGE[p, _PRE_SLOW, e]
                        pre = one if arrived_E[e] else zero
                        change = z * (r1 * potentiation) - pre * (o1 * (a2_minus + a3_minus * r2))
                        total = direct * change
                        if modulated:
                            eligibility = synapse_PGE[p, _ELIGIBILITY, e] + change
                            synapse_PGE[p, _ELIGIBILITY, e] = eligibility * decay_c
                            total += reward_rate * (eligibility * gain)
                        strength = synapse_PGE[p, _STRENGTH, e]
                        filled = strength / w_max
                        factor = one - softness * (filled if total > zero else one - filled)
                        synapse_PGE[p, _STRENGTH, e] = min(max(strength + total * factor, zero), w_max)
                        synapse_PGE[p, _PRE_FAST, e] = (r1 + pre) * decay_plus
                        synapse_PGE[p, _PRE_SLOW, e] = (r2 + pre) * decay_x
                    neuron_PFN[p, _POST_FAST, i] = (o1 + z) * decay_minus
                    neuron_PFN[p, _POST_SLOW, i] = (o2 + z) * decay_y
                if intrinsic > zero:
                    neuron_PFN[p, _OFFSET, i] += intrinsic * (z - expected)
                if scaling_on:
                    neuron_PFN[p, _RATE, i] = neuron_PFN[p, _RATE, i] * decay_rate + z * per_spike
            dopamine *= decay_n
            time += 1
            if slow_on and time % SLOW_STEPS == 0:
                _slow_rules(p, n_neurons, begin_N, neuron_PKN, sign_PE, rule_PR, neuron_PFN, synapse_PGE)
            for c in range(n_afferents):
                history_PS[p, c] = (history_PS[p, c] << 1) | fired_C[c]
            for i in range(n_neurons):
                history_PS[p, n_afferents + i] = (history_PS[p, n_afferents + i] << 1) | spiked_N[i]
        time_P[p] = time
        if modulated:
            modulation_PM[p, _DOPAMINE] = dopamine


def run_(
    parameters: NetworkParameters,
    state: NetworkState,
    drive: Drive,
    counts_PN: Tensor,
    first_PN: Tensor,
) -> None:
    """See `evosnn.kernels.run_`."""
    external_PN = state.membrane_PN if drive.external_PN is None else drive.external_PN
    reward_P = state.dopamine_P if drive.reward_P is None else drive.reward_P
    arguments = (
        *(parameters.neuron_PKN, parameters.period_PN, parameters.edge_PJE, parameters.sign_PE, parameters.rule_PR),
        *(parameters.size_PX, state.neuron_PFN, state.synapse_PGE, state.modulation_PM, state.refractory_PN),
        *(state.history_PS, state.phase_PC, state.time_P, drive.drive_PC, drive.stream_P, drive.mode),
        *(external_PN.contiguous(), drive.external_PN is not None),
        *(reward_P.contiguous(), drive.reward_P is not None, drive.active_P),
        state.neuron_PFN.new_tensor(drive.rate_scale),
        *(counts_PN, first_PN, drive.steps),
    )
    arrays = tuple(x.numpy() if isinstance(x, Tensor) else x for x in arguments)
    n_rows = len(state)
    row_threads.over_rows(_run_rows, arrays, n_rows, n_rows * drive.steps // _STEPS_WORTH_A_THREAD)
