"""numba kernel for CPU tensors: all steps of a network, one network after the other, so that its state stays at hand.

What every neuron and synapse does in every step is done eight at a time; what only spikes bring about is done spike by
spike. When a source spikes, the edges that it will reach are marked in the words of the steps in which it arrives.
Results are those of `reference`. The kernel releases the interpreter lock; networks are shared out over plain threads.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges, T steps of a chunk, W words of 64 edges; others
as in `network_state` and `network_parameters`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ddp_utils import row_threads
from torch import Tensor

from evosnn import network_parameters as parameter
from evosnn import network_state as variable
from evosnn.afferents import GOLDEN, MULTIPLIERS
from evosnn.kernels import lanes
from evosnn.kernels.arriving_spikes import HISTORY, afferent_bits, mark_arrivals
from evosnn.kernels.numba_jit import jit
from evosnn.kernels.plan import Drive
from evosnn.network_parameters import COEFFICIENT, SLOW_STEPS, NetworkParameters
from evosnn.network_state import NetworkState

# intrinsics: numba passes the first argument, which type checkers miss
_of_lanes: Any = lanes
above, at_least, both, choose = _of_lanes.above, _of_lanes.at_least, _of_lanes.both, _of_lanes.choose
bits_of, lowest_bit = _of_lanes.bits_of, _of_lanes.lowest_bit
load, store, spread = _of_lanes.load, _of_lanes.store, _of_lanes.spread
LANES = lanes.LANES

_U = np.uint64
_A, _B, _GOLDEN = _U(MULTIPLIERS[0]), _U(MULTIPLIERS[1]), _U(GOLDEN)
_S30, _S27, _S31, _S40 = _U(30), _U(27), _U(31), _U(40)
_STEPS_WORTH_A_THREAD = 1 << 11
_CHUNK = 16  # steps at once: spikes of a chunk are bits in a float32

_MEMBRANE, _CURRENT, _REFRACTORY = variable.MEMBRANE, variable.CURRENT, variable.REFRACTORY
_ADAPTATION, _OFFSET = variable.ADAPTATION, variable.OFFSET
_RATE, _POST_FAST, _POST_SLOW = variable.RATE, variable.POST_FAST, variable.POST_SLOW
_STRENGTH, _PRE_FAST = variable.STRENGTH, variable.PRE_FAST
_PRE_SLOW, _ELIGIBILITY = variable.PRE_SLOW, variable.ELIGIBILITY
_DOPAMINE, _REWARD_MEAN = variable.DOPAMINE, variable.REWARD_MEAN
_P22, _P21, _P20, _P11 = parameter.P22, parameter.P21, parameter.P20, parameter.P11
_BIAS, _THRESHOLD, _BETA, _RHO = parameter.BIAS, parameter.THRESHOLD, parameter.BETA, parameter.RHO
_PERIOD, _INCOMING = parameter.PERIOD, parameter.INCOMING
_SOURCE, _TARGET, _DELAY, _BY_SOURCE = parameter.SOURCE, parameter.TARGET, parameter.DELAY, parameter.BY_SOURCE
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


@jit
def _slow_rules(p, n_neurons, incoming_PN, neuron_PKN, sign_PE, rule_PR, neuron_PFN, synapse_PGE):
    """Synaptic scaling, then normalisation, of the excitatory synapses of each neuron."""
    scaling, target_hz, normalise = rule_PR[p, _SCALING], rule_PR[p, _TARGET_HZ], rule_PR[p, _NORMALISE]
    w_max = rule_PR[p, _W_MAX]
    zero, one = w_max - w_max, w_max / w_max
    for i in range(n_neurons):
        if scaling > zero:
            factor = math.exp(scaling * ((target_hz - neuron_PFN[p, _RATE, i]) / target_hz))
            for e in range(incoming_PN[p, i], incoming_PN[p, i + 1]):
                if sign_PE[p, e] > zero:
                    synapse_PGE[p, _STRENGTH, e] = min(synapse_PGE[p, _STRENGTH, e] * factor, w_max)
        if normalise > zero:
            total = zero
            for e in range(incoming_PN[p, i], incoming_PN[p, i + 1]):
                if sign_PE[p, e] > zero:
                    total += synapse_PGE[p, _STRENGTH, e]
            if total > zero:
                factor = one + normalise * (neuron_PKN[p, _INCOMING, i] / total - one)
                for e in range(incoming_PN[p, i], incoming_PN[p, i + 1]):
                    if sign_PE[p, e] > zero:
                        synapse_PGE[p, _STRENGTH, e] = min(synapse_PGE[p, _STRENGTH, e] * factor, w_max)


@jit
def _run_rows(
    neuron_PKN, edge_PJE, incoming_PN, outgoing_PN, sign_PE, rule_PR, size_PX, neuron_PFN, synapse_PGE, modulation_PM,
    history_PS, phase_PC, time_P, drive_PC, stream_P, mode, external_PN, with_external, reward_P, with_reward, active_P,
    rate_scale, counts_PN, first_PN, total_steps, first, last,
):  # fmt: skip
    n_afferents, most_neurons, most_edges = drive_PC.shape[1], neuron_PKN.shape[2], edge_PJE.shape[2]
    n_words = (most_edges + 63) >> 6
    bits_S = np.zeros(history_PS.shape[1], np.int64)  # those of neurons stay 0: they are marked as they come
    fired_L = np.zeros(LANES, neuron_PFN.dtype)
    words_TW = np.zeros((_CHUNK, n_words), np.int64)
    arrivals_N = np.zeros(most_neurons, neuron_PFN.dtype)
    fired_N = np.zeros(most_neurons, neuron_PFN.dtype)
    pre_E = np.zeros(most_edges, neuron_PFN.dtype)
    change_E = np.zeros(most_edges, neuron_PFN.dtype)
    one = np.ones(1, neuron_PFN.dtype)[0]
    zero = one - one
    zeros, ones, infinities = spread(zero), spread(one), spread(one / zero)
    for p in range(first, last):
        if not active_P[p]:
            continue
        n_neurons, n_edges = size_PX[p, 0], size_PX[p, 1]
        stdp_on, slow_on = rule_PR[p, _STDP_ON] > zero, rule_PR[p, _SLOW_ON] > zero
        a2_plus, a3_plus = rule_PR[p, _A2_PLUS], rule_PR[p, _A3_PLUS]
        a2_minus, a3_minus = rule_PR[p, _A2_MINUS], rule_PR[p, _A3_MINUS]
        decay_plus, decay_minus = spread(rule_PR[p, _DECAY_PLUS]), spread(rule_PR[p, _DECAY_MINUS])
        decay_x, decay_y = spread(rule_PR[p, _DECAY_X]), spread(rule_PR[p, _DECAY_Y])
        direct, reward_rate = spread(rule_PR[p, _DIRECT]), spread(rule_PR[p, _REWARD])
        soft, softness, w_max = rule_PR[p, _SOFTNESS] > zero, spread(rule_PR[p, _SOFTNESS]), spread(rule_PR[p, _W_MAX])
        decay_c, decay_n = spread(rule_PR[p, _DECAY_C]), rule_PR[p, _DECAY_N]
        intrinsic_on, scaling_on = rule_PR[p, _INTRINSIC] > zero, rule_PR[p, _SCALING] > zero
        intrinsic, expected = spread(rule_PR[p, _INTRINSIC]), spread(rule_PR[p, _EXPECTED])
        decay_rate = spread(rule_PR[p, _DECAY_RATE])
        per_spike = spread((one - rule_PR[p, _DECAY_RATE]) * rate_scale)
        modulated = stdp_on and rule_PR[p, _REWARD] != zero
        dopamine = modulation_PM[p, _DOPAMINE]
        if with_reward and modulated:
            centred = reward_P[p] - modulation_PM[p, _REWARD_MEAN]
            modulation_PM[p, _REWARD_MEAN] += rule_PR[p, _CENTRE] * centred
            dopamine += centred * rule_PR[p, _PER_REWARD]
        done, time = 0, time_P[p]
        while done < total_steps:
            steps = min(_CHUNK, total_steps - done)
            afferent_bits(p, drive_PC, phase_PC, _U(stream_P[p]), mode, time, steps, zero, one, fired_L, bits_S)
            mark_arrivals(p, n_edges, edge_PJE, history_PS, bits_S, steps, words_TW)
            this_step = one
            for t in range(steps):
                events = False
                for w in range(n_words):
                    word = words_TW[t, w]
                    while word:
                        e = (w << 6) + lowest_bit(word)
                        word &= word - 1
                        i = edge_PJE[p, _TARGET, e]
                        arrivals_N[i] += sign_PE[p, e] * synapse_PGE[p, _STRENGTH, e]
                        if stdp_on:
                            events = True
                            pre_E[e] = one
                            slow = a2_minus + a3_minus * synapse_PGE[p, _PRE_SLOW, e]
                            change_E[e] = zero - neuron_PFN[p, _POST_FAST, i] * slow
                for begin in range(0, n_neurons, LANES):
                    current = load(neuron_PFN, (p, _CURRENT, begin))
                    external = load(neuron_PKN, (p, _BIAS, begin))
                    if with_external:
                        external = external + load(external_PN, (p, begin))
                    membrane = (
                        load(neuron_PKN, (p, _P22, begin)) * load(neuron_PFN, (p, _MEMBRANE, begin))
                        + load(neuron_PKN, (p, _P21, begin)) * current
                        + load(neuron_PKN, (p, _P20, begin)) * external
                    )
                    arrivals = load(arrivals_N, (begin,))
                    store(neuron_PFN, (p, _CURRENT, begin), load(neuron_PKN, (p, _P11, begin)) * current + arrivals)
                    store(arrivals_N, (begin,), zeros)
                    adaptation = load(neuron_PFN, (p, _ADAPTATION, begin))
                    offset = load(neuron_PFN, (p, _OFFSET, begin))
                    base = load(neuron_PKN, (p, _THRESHOLD, begin))
                    threshold = base + load(neuron_PKN, (p, _BETA, begin)) * adaptation + offset
                    refractory = load(neuron_PFN, (p, _REFRACTORY, begin))
                    free = at_least(zeros, refractory)
                    spiked = both(free, at_least(membrane, threshold))
                    z = choose(spiked, ones, zeros)
                    membrane = choose(spiked, zeros, choose(free, membrane, zeros))
                    store(neuron_PFN, (p, _MEMBRANE, begin), membrane)
                    waiting = choose(free, zeros, refractory - ones)
                    period = load(neuron_PKN, (p, _PERIOD, begin))
                    store(neuron_PFN, (p, _REFRACTORY, begin), choose(spiked, period, waiting))
                    rho = load(neuron_PKN, (p, _RHO, begin))
                    store(neuron_PFN, (p, _ADAPTATION, begin), rho * adaptation + z)
                    store(fired_N, (begin,), load(fired_N, (begin,)) + z * spread(this_step))
                    bits = bits_of(spiked)
                    while bits:
                        i = begin + lowest_bit(bits)
                        bits &= bits - 1
                        for q in range(outgoing_PN[p, i], outgoing_PN[p, i + 1]):
                            e = edge_PJE[p, _BY_SOURCE, q]
                            arrival = t + edge_PJE[p, _DELAY, e]
                            if arrival < steps:
                                words_TW[arrival, e >> 6] |= 1 << (e & 63)
                        if stdp_on:
                            events = True
                            potentiation = a2_plus + a3_plus * neuron_PFN[p, _POST_SLOW, i]
                            for e in range(incoming_PN[p, i], incoming_PN[p, i + 1]):
                                change_E[e] += synapse_PGE[p, _PRE_FAST, e] * potentiation
                    if stdp_on:
                        o1, o2 = load(neuron_PFN, (p, _POST_FAST, begin)), load(neuron_PFN, (p, _POST_SLOW, begin))
                        store(neuron_PFN, (p, _POST_FAST, begin), (o1 + z) * decay_minus)
                        store(neuron_PFN, (p, _POST_SLOW, begin), (o2 + z) * decay_y)
                    if intrinsic_on:
                        moved = choose(at_least(base, infinities), offset, offset + intrinsic * (z - expected))
                        store(neuron_PFN, (p, _OFFSET, begin), moved)
                    if scaling_on:
                        rate = load(neuron_PFN, (p, _RATE, begin))
                        store(neuron_PFN, (p, _RATE, begin), rate * decay_rate + z * per_spike)
                this_step += this_step
                if stdp_on:
                    gain = spread(
                        dopamine * rule_PR[p, _WITH_DOPAMINE] - rule_PR[p, _BASELINE] * rule_PR[p, _WITH_BASELINE]
                    )
                    for begin in range(0, n_edges, LANES):
                        r1, r2 = load(synapse_PGE, (p, _PRE_FAST, begin)), load(synapse_PGE, (p, _PRE_SLOW, begin))
                        if modulated or events:
                            change = load(change_E, (begin,))
                            total = direct * change
                            if modulated:
                                eligibility = load(synapse_PGE, (p, _ELIGIBILITY, begin)) + change
                                store(synapse_PGE, (p, _ELIGIBILITY, begin), eligibility * decay_c)
                                total = total + reward_rate * (eligibility * gain)
                            strength = load(synapse_PGE, (p, _STRENGTH, begin))
                            if soft:
                                filled = strength / w_max
                                total = total * (ones - softness * choose(above(total, zeros), filled, ones - filled))
                            strength = strength + total
                            strength = choose(at_least(strength, zeros), strength, zeros)
                            strength = choose(at_least(strength, w_max), w_max, strength)
                            store(synapse_PGE, (p, _STRENGTH, begin), strength)
                        if events:
                            pre = load(pre_E, (begin,))
                            r1, r2 = r1 + pre, r2 + pre
                            store(pre_E, (begin,), zeros)
                            store(change_E, (begin,), zeros)
                        store(synapse_PGE, (p, _PRE_FAST, begin), r1 * decay_plus)
                        store(synapse_PGE, (p, _PRE_SLOW, begin), r2 * decay_x)
                dopamine *= decay_n
                time += 1
                if slow_on and time % SLOW_STEPS == 0:
                    _slow_rules(p, n_neurons, incoming_PN, neuron_PKN, sign_PE, rule_PR, neuron_PFN, synapse_PGE)
            for c in range(n_afferents):
                history_PS[p, c] = (history_PS[p, c] >> steps) | (bits_S[c] << (HISTORY - steps))
            for i in range(n_neurons):
                bits = np.int64(fired_N[i])
                fired_N[i] = zero
                s = n_afferents + i
                history_PS[p, s] = (history_PS[p, s] >> steps) | (bits << (HISTORY - steps))
                if bits:
                    first_PN[p, i] = min(first_PN[p, i], done + lowest_bit(bits))
                while bits:
                    counts_PN[p, i] += 1
                    bits &= bits - 1
            done += steps
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
    external_PN = state.neuron_PFN[:, 0] if drive.external_PN is None else drive.external_PN
    reward_P = state.dopamine_P if drive.reward_P is None else drive.reward_P
    arguments = (
        *(parameters.neuron_PKN, parameters.edge_PJE, parameters.incoming_PN, parameters.outgoing_PN),
        *(parameters.sign_PE, parameters.rule_PR, parameters.size_PX),
        *(state.neuron_PFN, state.synapse_PGE, state.modulation_PM),
        *(state.history_PS, state.phase_PC, state.time_P, drive.drive_PC, drive.stream_P, drive.mode),
        *(external_PN.contiguous(), drive.external_PN is not None),
        *(reward_P.contiguous(), drive.reward_P is not None, drive.active_P),
        state.neuron_PFN.numpy().dtype.type(drive.rate_scale),
        *(counts_PN, first_PN, drive.steps),
    )
    arrays = tuple(x.numpy() if isinstance(x, Tensor) else x for x in arguments)
    n_rows = len(state)
    row_threads.over_rows(_run_rows, arrays, n_rows, n_rows * drive.steps // _STEPS_WORTH_A_THREAD)
