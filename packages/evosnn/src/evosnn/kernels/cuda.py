"""Triton kernel for CUDA tensors in float32: one program an individual, its state in registers for all steps.

Values move between neurons and synapses as sums over one-hot blocks, which are shared among more warps the larger they
are, so that they stay in registers: 256 edges of 32 neurons and 16 afferents compile to 255 registers and a stack of
4,008 bytes for one warp, and to no stack for eight. What `reference` computes, up to the order of the
sums of arriving currents and the last bits of exp and of divisions.

Axes: P individuals, C afferents, N neurons, S = C + N sources, E edges, all padded to powers of two inside.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from evosnn import network_parameters as parameter
from evosnn import network_state as variable
from evosnn.afferents import GOLDEN, MULTIPLIERS
from evosnn.kernels.cuda_blocks import blocks_of
from evosnn.kernels.plan import Drive
from evosnn.network_parameters import COEFFICIENT, COEFFICIENTS, NetworkParameters
from evosnn.network_state import NetworkState

_jit: Any = triton.jit
OPTIONS = {"enable_fp_fusion": False}

_A, _B, _GOLDEN = tl.constexpr(MULTIPLIERS[0]), tl.constexpr(MULTIPLIERS[1]), tl.constexpr(GOLDEN)
_LAST, _HISTORY = tl.constexpr(variable.LAST_STEP), tl.constexpr(variable.LAST_STEP + 1)
_SLOW_STEPS = tl.constexpr(parameter.SLOW_STEPS)
_F, _G = tl.constexpr(variable.N_NEURON_VARIABLES), tl.constexpr(variable.N_SYNAPSE_VARIABLES)
_M, _R = tl.constexpr(variable.N_MODULATION_VARIABLES), tl.constexpr(len(COEFFICIENTS))
_K, _J = tl.constexpr(parameter.N_NEURON_PARAMETERS), tl.constexpr(parameter.N_EDGE_PARAMETERS)
_MEMBRANE, _CURRENT = tl.constexpr(variable.MEMBRANE), tl.constexpr(variable.CURRENT)
_REFRACTORY, _ADAPTATION = tl.constexpr(variable.REFRACTORY), tl.constexpr(variable.ADAPTATION)
_OFFSET, _RATE = tl.constexpr(variable.OFFSET), tl.constexpr(variable.RATE)
_POST_FAST, _POST_SLOW = tl.constexpr(variable.POST_FAST), tl.constexpr(variable.POST_SLOW)
_STRENGTH, _PRE_FAST = tl.constexpr(variable.STRENGTH), tl.constexpr(variable.PRE_FAST)
_PRE_SLOW, _ELIGIBILITY = tl.constexpr(variable.PRE_SLOW), tl.constexpr(variable.ELIGIBILITY)
_DOPAMINE, _REWARD_MEAN = tl.constexpr(variable.DOPAMINE), tl.constexpr(variable.REWARD_MEAN)
_P22, _P21 = tl.constexpr(parameter.P22), tl.constexpr(parameter.P21)
_P20, _P11 = tl.constexpr(parameter.P20), tl.constexpr(parameter.P11)
_BIAS, _THRESHOLD = tl.constexpr(parameter.BIAS), tl.constexpr(parameter.THRESHOLD)
_BETA, _RHO = tl.constexpr(parameter.BETA), tl.constexpr(parameter.RHO)
_PERIOD, _INCOMING = tl.constexpr(parameter.PERIOD), tl.constexpr(parameter.INCOMING)
_SOURCE, _TARGET = tl.constexpr(parameter.SOURCE), tl.constexpr(parameter.TARGET)
_DELAY = tl.constexpr(parameter.DELAY)
_A2_PLUS, _A3_PLUS = tl.constexpr(COEFFICIENT["a2_plus"]), tl.constexpr(COEFFICIENT["a3_plus"])
_A2_MINUS, _A3_MINUS = tl.constexpr(COEFFICIENT["a2_minus"]), tl.constexpr(COEFFICIENT["a3_minus"])
_DECAY_PLUS, _DECAY_MINUS = tl.constexpr(COEFFICIENT["decay_plus"]), tl.constexpr(COEFFICIENT["decay_minus"])
_DECAY_X, _DECAY_Y = tl.constexpr(COEFFICIENT["decay_x"]), tl.constexpr(COEFFICIENT["decay_y"])
_DIRECT, _REWARD = tl.constexpr(COEFFICIENT["direct"]), tl.constexpr(COEFFICIENT["reward"])
_DECAY_C, _DECAY_N = tl.constexpr(COEFFICIENT["decay_c"]), tl.constexpr(COEFFICIENT["decay_n"])
_WITH_DOPAMINE = tl.constexpr(COEFFICIENT["with_dopamine"])
_WITH_BASELINE = tl.constexpr(COEFFICIENT["with_baseline"])
_PER_REWARD, _BASELINE = tl.constexpr(COEFFICIENT["per_reward"]), tl.constexpr(COEFFICIENT["baseline"])
_CENTRE, _SCALING = tl.constexpr(COEFFICIENT["centre"]), tl.constexpr(COEFFICIENT["scaling"])
_TARGET_HZ, _DECAY_RATE = tl.constexpr(COEFFICIENT["target_hz"]), tl.constexpr(COEFFICIENT["decay_rate"])
_INTRINSIC, _EXPECTED = tl.constexpr(COEFFICIENT["intrinsic"]), tl.constexpr(COEFFICIENT["expected"])
_NORMALISE, _W_MAX = tl.constexpr(COEFFICIENT["normalise"]), tl.constexpr(COEFFICIENT["w_max"])
_SOFTNESS = tl.constexpr(COEFFICIENT["softness"])
_STDP_ON, _SLOW_ON = tl.constexpr(COEFFICIENT["stdp_on"]), tl.constexpr(COEFFICIENT["slow_on"])


def _device_of(x: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the tensor's."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@_jit
def _to_edges(of_EX, x_X):
    """Take for each edge the value of its source or target."""
    return tl.sum(tl.where(of_EX, x_X[None, :], tl.zeros_like(x_X)[None, :]), axis=1)


@_jit
def _to_neurons(of_EN, x_E):
    """Sum the values of the edges into each target."""
    return tl.sum(tl.where(of_EN, x_E[:, None], tl.zeros_like(x_E)[:, None]), axis=0)


@_jit
def _run_kernel(
    neuron_parameter_ptr,
    edge_ptr,
    sign_ptr,
    rule_ptr,
    neuron_ptr,
    synapse_ptr,
    modulation_ptr,
    history_ptr,
    phase_ptr,
    time_ptr,
    drive_ptr,
    stream_ptr,
    external_ptr,
    reward_ptr,
    active_ptr,
    counts_ptr,
    first_ptr,
    rate_scale,
    steps,
    n_afferents,
    n_neurons,
    MODE: tl.constexpr,
    WITH_EXTERNAL: tl.constexpr,
    WITH_REWARD: tl.constexpr,
    NEURONS: tl.constexpr,
    EDGES: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_E: tl.constexpr,
):
    p = tl.program_id(0).to(tl.int64)
    if tl.load(active_ptr + p) != 0:
        c, n, e = tl.arange(0, BLOCK_C), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_E)
        in_c, in_n, in_e, kept_n = c < n_afferents, n < NEURONS, e < EDGES, n < n_neurons
        rule = rule_ptr + p * _R
        stdp_on, slow_on = tl.load(rule + _STDP_ON) > 0, tl.load(rule + _SLOW_ON) > 0
        a2_plus, a3_plus = tl.load(rule + _A2_PLUS), tl.load(rule + _A3_PLUS)
        a2_minus, a3_minus = tl.load(rule + _A2_MINUS), tl.load(rule + _A3_MINUS)
        decay_plus, decay_minus = tl.load(rule + _DECAY_PLUS), tl.load(rule + _DECAY_MINUS)
        decay_x, decay_y = tl.load(rule + _DECAY_X), tl.load(rule + _DECAY_Y)
        direct, reward_rate = tl.load(rule + _DIRECT), tl.load(rule + _REWARD)
        softness, w_max = tl.load(rule + _SOFTNESS), tl.load(rule + _W_MAX)
        decay_c, decay_n = tl.load(rule + _DECAY_C), tl.load(rule + _DECAY_N)
        with_dopamine = tl.load(rule + _WITH_DOPAMINE)
        at_baseline = tl.load(rule + _BASELINE) * tl.load(rule + _WITH_BASELINE)
        scaling, target_hz = tl.load(rule + _SCALING), tl.load(rule + _TARGET_HZ)
        decay_rate, normalise = tl.load(rule + _DECAY_RATE), tl.load(rule + _NORMALISE)
        intrinsic, expected = tl.load(rule + _INTRINSIC), tl.load(rule + _EXPECTED)
        per_spike = (1.0 - decay_rate) * rate_scale
        modulated = stdp_on & (reward_rate != 0)
        dopamine = tl.load(modulation_ptr + p * _M + _DOPAMINE)
        reward_mean = tl.load(modulation_ptr + p * _M + _REWARD_MEAN)
        if WITH_REWARD:  # noqa: SIM102 - known when the kernel is compiled, the other not
            if modulated:
                centred = tl.load(reward_ptr + p) - reward_mean
                reward_mean += tl.load(rule + _CENTRE) * centred
                dopamine += centred * tl.load(rule + _PER_REWARD)

        fixed = neuron_parameter_ptr + p * _K * NEURONS + n
        p22, p21 = tl.load(fixed + _P22 * NEURONS, in_n, 0.0), tl.load(fixed + _P21 * NEURONS, in_n, 0.0)
        p20, p11 = tl.load(fixed + _P20 * NEURONS, in_n, 0.0), tl.load(fixed + _P11 * NEURONS, in_n, 0.0)
        external = tl.load(fixed + _BIAS * NEURONS, in_n, 0.0)
        if WITH_EXTERNAL:
            external += tl.load(external_ptr + p * NEURONS + n, in_n, 0.0)
        base = tl.load(fixed + _THRESHOLD * NEURONS, in_n, float("inf"))
        beta, rho = tl.load(fixed + _BETA * NEURONS, in_n, 0.0), tl.load(fixed + _RHO * NEURONS, in_n, 0.0)
        period = tl.load(fixed + _PERIOD * NEURONS, in_n, 0.0)
        incoming = tl.load(fixed + _INCOMING * NEURONS, in_n, 0.0)
        real = base < float("inf")

        of_neuron = neuron_ptr + p * _F * NEURONS + n
        membrane = tl.load(of_neuron + _MEMBRANE * NEURONS, in_n, 0.0)
        current = tl.load(of_neuron + _CURRENT * NEURONS, in_n, 0.0)
        refractory = tl.load(of_neuron + _REFRACTORY * NEURONS, in_n, 0.0)
        adaptation = tl.load(of_neuron + _ADAPTATION * NEURONS, in_n, 0.0)
        offset = tl.load(of_neuron + _OFFSET * NEURONS, in_n, 0.0)
        rate = tl.load(of_neuron + _RATE * NEURONS, in_n, 0.0)
        o1 = tl.load(of_neuron + _POST_FAST * NEURONS, in_n, 0.0)
        o2 = tl.load(of_neuron + _POST_SLOW * NEURONS, in_n, 0.0)

        of_synapse = synapse_ptr + p * _G * EDGES + e
        strength = tl.load(of_synapse + _STRENGTH * EDGES, in_e, 0.0)
        r1 = tl.load(of_synapse + _PRE_FAST * EDGES, in_e, 0.0)
        r2 = tl.load(of_synapse + _PRE_SLOW * EDGES, in_e, 0.0)
        eligibility = tl.load(of_synapse + _ELIGIBILITY * EDGES, in_e, 0.0)
        sign = tl.load(sign_ptr + p * EDGES + e, in_e, 0.0)
        wiring = edge_ptr + p * _J * EDGES + e
        source = tl.load(wiring + _SOURCE * EDGES, in_e, 0)
        target = tl.load(wiring + _TARGET * EDGES, in_e, 0)
        bit = (0 - tl.load(wiring + _DELAY * EDGES, in_e, 1) + _HISTORY).to(tl.int64)
        from_c = source[:, None] == c[None, :]
        from_n = (source[:, None] - n_afferents) == n[None, :]
        to_n = (target[:, None] == n[None, :]) & (sign != 0)[:, None]
        synapse, excitatory = sign != 0, sign > 0

        n_sources = n_afferents + n_neurons
        history_c = tl.load(history_ptr + p * n_sources + c, in_c, 0)
        history_n = tl.load(history_ptr + p * n_sources + n_afferents + n, kept_n, 0)
        phase = tl.load(phase_ptr + p * n_afferents + c, in_c, 0.0)
        drive = tl.load(drive_ptr + p * n_afferents + c, in_c, 0.0)
        stream = tl.load(stream_ptr + p).to(tl.uint64)
        time = tl.load(time_ptr + p)
        counts = tl.zeros([BLOCK_N], tl.int32)
        first = tl.zeros([BLOCK_N], tl.int32) + steps
        for t in range(steps):
            fired = drive > 0
            if MODE == 0:
                phase += tl.minimum(tl.maximum(drive, 0.0), 1.0)
                fired = phase >= 1.0
                phase -= tl.where(fired, 1.0, 0.0)
            if MODE == 1:
                z64 = stream + (time * n_afferents + c).to(tl.uint64) * _GOLDEN
                z64 = (z64 ^ (z64 >> 30)) * _A
                z64 = (z64 ^ (z64 >> 27)) * _B
                z64 = z64 ^ (z64 >> 31)
                fired = (z64 >> 40).to(tl.int64).to(tl.float32) * (2.0**-24) < drive
            history = _to_edges(from_c, history_c) + _to_edges(from_n, history_n)
            pre = tl.where(synapse, ((history >> bit) & 1).to(tl.float32), 0.0)
            arrivals = _to_neurons(to_n, pre * sign * strength)
            advanced = p22 * membrane + p21 * current + p20 * external
            current = p11 * current + arrivals
            free = refractory <= 0.0
            spiked = free & (advanced >= base + beta * adaptation + offset)
            z = tl.where(spiked, 1.0, 0.0)
            membrane = tl.where(free & (spiked == 0), advanced, 0.0)
            refractory = tl.where(spiked, period, tl.maximum(refractory - 1.0, 0.0))
            adaptation = rho * adaptation + z
            counts += spiked.to(tl.int32)
            first = tl.where(spiked & (first > t), t, first)
            if stdp_on:
                post_part = r1 * (a2_plus + a3_plus * _to_edges(to_n, o2))
                pre_part = _to_edges(to_n, o1) * (a2_minus + a3_minus * r2)
                change = _to_edges(to_n, z) * post_part - pre * pre_part
                total = direct * change
                if modulated:
                    eligibility += change
                    total += reward_rate * (eligibility * (dopamine * with_dopamine - at_baseline))
                    eligibility = eligibility * decay_c
                filled = strength / w_max
                total = total * (1.0 - softness * tl.where(total > 0, filled, 1.0 - filled))
                strength = tl.where(synapse, tl.minimum(tl.maximum(strength + total, 0.0), w_max), 0.0)
                r1, r2 = (r1 + pre) * decay_plus, (r2 + pre) * decay_x
                o1, o2 = (o1 + z) * decay_minus, (o2 + z) * decay_y
            if intrinsic > 0:
                offset = tl.where(real, offset + intrinsic * (z - expected), offset)
            if scaling > 0:
                rate = rate * decay_rate + z * per_spike
            dopamine = dopamine * decay_n
            time += 1
            if slow_on & (time % _SLOW_STEPS == 0):
                if scaling > 0:
                    factor = tl.exp(scaling * ((target_hz - rate) / target_hz))
                    scaled = tl.minimum(strength * _to_edges(to_n, factor), w_max)
                    strength = tl.where(excitatory, scaled, strength)
                if normalise > 0:
                    total_n = _to_neurons(to_n, tl.where(excitatory, strength, 0.0))
                    ratio = incoming / tl.where(total_n > 0, total_n, 1.0)
                    factor = tl.where(total_n > 0, 1.0 + normalise * (ratio - 1.0), 1.0)
                    scaled = tl.minimum(strength * _to_edges(to_n, factor), w_max)
                    strength = tl.where(excitatory, scaled, strength)
            history_c = (history_c >> 1) | (fired.to(tl.int64) << _LAST)
            history_n = (history_n >> 1) | (spiked.to(tl.int64) << _LAST)

        tl.store(of_neuron + _MEMBRANE * NEURONS, membrane, in_n)
        tl.store(of_neuron + _CURRENT * NEURONS, current, in_n)
        tl.store(of_neuron + _REFRACTORY * NEURONS, refractory, in_n)
        tl.store(of_neuron + _ADAPTATION * NEURONS, adaptation, in_n)
        tl.store(of_neuron + _OFFSET * NEURONS, offset, in_n)
        tl.store(of_neuron + _RATE * NEURONS, rate, in_n)
        tl.store(of_neuron + _POST_FAST * NEURONS, o1, in_n)
        tl.store(of_neuron + _POST_SLOW * NEURONS, o2, in_n)
        if stdp_on | slow_on:
            tl.store(of_synapse + _STRENGTH * EDGES, strength, in_e)
            tl.store(of_synapse + _PRE_FAST * EDGES, r1, in_e)
            tl.store(of_synapse + _PRE_SLOW * EDGES, r2, in_e)
            tl.store(of_synapse + _ELIGIBILITY * EDGES, eligibility, in_e)
        if modulated:
            tl.store(modulation_ptr + p * _M + _DOPAMINE, dopamine)
            tl.store(modulation_ptr + p * _M + _REWARD_MEAN, reward_mean)
        tl.store(history_ptr + p * n_sources + c, history_c, in_c)
        tl.store(history_ptr + p * n_sources + n_afferents + n, history_n, kept_n)
        tl.store(phase_ptr + p * n_afferents + c, phase, in_c)
        tl.store(time_ptr + p, time)
        at = p * n_neurons + n
        tl.store(counts_ptr + at, tl.load(counts_ptr + at, kept_n, 0) + counts, kept_n)
        tl.store(first_ptr + at, tl.minimum(tl.load(first_ptr + at, kept_n, 0), first), kept_n)


def run_(parameters: NetworkParameters, state: NetworkState, drive: Drive, counts_PN: Tensor, first_PN: Tensor) -> None:
    """See `evosnn.kernels.run_`."""
    n_rows, n_neurons, n_afferents = len(state), state.n_neurons, state.phase_PC.shape[1]
    neurons, edges = parameters.neuron_PKN.shape[2], parameters.sign_PE.shape[1]
    if n_rows == 0:
        return
    with _device_of(counts_PN):
        _run_kernel[(n_rows,)](
            *(parameters.neuron_PKN, parameters.edge_PJE, parameters.sign_PE, parameters.rule_PR),
            *(state.neuron_PFN, state.synapse_PGE, state.modulation_PM, state.history_PS, state.phase_PC),
            *(state.time_P, drive.drive_PC, drive.stream_P),
            state.neuron_PFN if drive.external_PN is None else drive.external_PN,
            state.neuron_PFN if drive.reward_P is None else drive.reward_P,
            drive.active_P.to(torch.int8),
            *(counts_PN, first_PN, drive.rate_scale, drive.steps, n_afferents, n_neurons),
            MODE=drive.mode,
            WITH_EXTERNAL=drive.external_PN is not None,
            WITH_REWARD=drive.reward_P is not None,
            NEURONS=neurons,
            EDGES=edges,
            **blocks_of(n_afferents, neurons, edges),
            **OPTIONS,
        )
