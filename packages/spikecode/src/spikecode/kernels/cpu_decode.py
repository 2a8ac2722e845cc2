"""numba kernels of the decoders; each agrees with its namesake in `reference_decode` to rounding.

Shapes: R rows, W neurons of a window, Z entries of a tuning table, G values of a grid.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spikecode.decoders.likelihood import Likelihood
from spikecode.kernels.cpu import jit, over_rows
from spikecode.kernels.lattice import Lattice


@jit
def _centre_rows(values_RW, first_R, box, reach, origin, spacing, centre_R, total_R, first, last):
    window = values_RW.shape[1]
    for row in range(first, last):
        held, best, best_from, best_to = 0, 0, 0, 0
        for w in range(window + box - 1):  # boxes that end at w, also those that reach beyond the window
            if w < window:
                held += values_RW[row, w]
            if w >= box:
                held -= values_RW[row, w - box]
            if held > best:
                best, best_from, best_to = held, w, w
            elif held == best and w - 1 == best_to:
                best_to = w
        middle = (best_from + best_to - box + 1) // 2
        total, moment = 0, 0
        for w in range(max(0, middle - reach), min(window, middle + reach + 1)):
            total += values_RW[row, w]
            moment += values_RW[row, w] * (first_R[row] + w)
        total_R[row] = total
        centre_R[row] = 0.5
        if total > 0:
            centre_R[row] = origin + spacing * (moment / total)


def centre_of_mass(values_RW: Tensor, first_R: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """See `spikecode.kernels.decode.centre_of_mass`."""
    centre_R = torch.empty(len(values_RW), dtype=torch.float64)
    total_R = torch.empty(len(values_RW), dtype=torch.int64)
    arguments = (
        values_RW.contiguous().numpy(),
        first_R.contiguous().numpy(),
        *(lattice.box, lattice.reach, lattice.origin, lattice.spacing),
        centre_R.numpy(),
        total_R.numpy(),
    )
    over_rows(_centre_rows, arguments, len(values_RW), values_RW.numel())
    return centre_R, total_R


@jit
def _trust(value, mean, spike, silence, binomial, prior_odds, steps):
    """Probability that a neuron is alive."""
    if binomial:
        if 2 * value >= mean:
            return 1.0
        odds = prior_odds + value * spike + (steps - value) * silence
    else:
        odds = prior_odds + math.log(steps) + silence * (value - mean) ** 2
    if odds > 30:
        return 1.0
    if odds < -30:
        return 0.0
    return 1 / (1 + math.exp(-odds))


@jit
def _score_rows(
    values_RW, first_R, mean_Z, slope_Z, gain_Z, spike_Z, silence_Z, binomial, prior_odds, steps, origin, spacing,
    sigma, entries, neurons, iterations, u_R, information_R, first, last,
):  # fmt: skip
    window = values_RW.shape[1]
    most = len(mean_Z) - 1
    reach = most / entries * sigma
    for row in range(first, last):
        u = u_R[row]
        information = 0.0
        for _ in range(iterations):
            # All neurons within reach, also those that are not in the window: their silence tells as much.
            low = max(0, math.ceil((u - reach - origin) / spacing))
            high = min(neurons, math.floor((u + reach - origin) / spacing) + 1)
            score, information = 0.0, 0.0
            for k in range(low, high):
                z = (u - origin - spacing * k) / sigma
                entry = min(most, int(abs(z) * entries + 0.5))
                w = k - first_R[row]
                value = values_RW[row, w] if 0 <= w < window else 0
                mean = mean_Z[entry]
                trust = _trust(value, mean, spike_Z[entry], silence_Z[entry], binomial, prior_odds, steps)
                gain = trust * gain_Z[entry]
                score += (gain if z >= 0 else -gain) * (value - mean)
                information += gain * slope_Z[entry]
            if information <= 0:
                break
            step = min(1.0, max(-1.0, score / information))
            u = min(1.0, max(0.0, u + sigma * step))
            if abs(step) < 1e-3 / math.sqrt(information):
                break
        u_R[row] = u
        information_R[row] = information / sigma**2


def fisher_scoring(
    values_RW: Tensor, first_R: Tensor, start_R: Tensor, likelihood: Likelihood, lattice: Lattice, iterations: int
) -> tuple[Tensor, Tensor]:
    """See `spikecode.kernels.decode.fisher_scoring`."""
    u_R = start_R.double().clone().contiguous()
    information_R = torch.zeros_like(u_R)
    arguments = (
        values_RW.contiguous().numpy(),
        first_R.contiguous().numpy(),
        *(getattr(likelihood, f"{name}_Z").numpy() for name in ("mean", "slope", "gain", "spike", "silence")),
        *(likelihood.binomial, likelihood.prior_odds, likelihood.steps),
        *(lattice.origin, lattice.spacing, lattice.sigma, float(lattice.entries), lattice.neurons, iterations),
        u_R.numpy(),
        information_R.numpy(),
    )
    over_rows(_score_rows, arguments, len(values_RW), 8 * values_RW.numel())
    return u_R, information_R


@jit
def _log_odds(value, mean, spike, silence, binomial, prior_odds, steps):
    """Log of 1 + the odds that a neuron is alive."""
    if binomial:
        odds = prior_odds + value * spike + (steps - value) * silence
    else:
        odds = prior_odds + math.log(steps) + silence * (value - mean) ** 2 + 0.5 * math.log(-2 * silence)
    return odds if odds > 30 else math.log1p(math.exp(odds))


@jit
def _grid_rows(
    values_RW, first_R, grid_RG, mean_Z, spike_Z, silence_Z, binomial, prior_odds, steps, origin, spacing, sigma,
    entries, neurons, out_RG, first, last,
):  # fmt: skip
    window = values_RW.shape[1]
    most = len(mean_Z) - 1
    reach = most / entries * sigma
    far = _log_odds(0, mean_Z[most], spike_Z[most], silence_Z[most], binomial, prior_odds, steps)
    for row in range(first, last):
        base = first_R[row]
        for g in range(grid_RG.shape[1]):
            u = grid_RG[row, g]
            low = max(0, math.ceil((u - reach - origin) / spacing))
            high = min(neurons, math.floor((u + reach - origin) / spacing) + 1)
            total = 0.0
            for k in range(min(low, base), max(high, base + window)):
                w = k - base
                value = values_RW[row, w] if 0 <= w < window else 0
                if value == 0 and not low <= k < high:
                    continue
                entry = min(most, int(abs(u - origin - spacing * k) / sigma * entries + 0.5))
                total -= far  # against a silent neuron out of reach
                total += _log_odds(value, mean_Z[entry], spike_Z[entry], silence_Z[entry], binomial, prior_odds, steps)
            out_RG[row, g] = total


def grid_likelihood(
    values_RW: Tensor, first_R: Tensor, grid_RG: Tensor, likelihood: Likelihood, lattice: Lattice
) -> Tensor:
    """See `spikecode.kernels.decode.grid_likelihood`."""
    out_RG = torch.empty(grid_RG.shape, dtype=torch.float64)
    arguments = (
        values_RW.contiguous().numpy(),
        first_R.contiguous().numpy(),
        grid_RG.contiguous().numpy(),
        *(getattr(likelihood, f"{name}_Z").numpy() for name in ("mean", "spike", "silence")),
        *(likelihood.binomial, likelihood.prior_odds, likelihood.steps),
        *(lattice.origin, lattice.spacing, lattice.sigma, float(lattice.entries), lattice.neurons),
        out_RG.numpy(),
    )
    over_rows(_grid_rows, arguments, len(values_RW), grid_RG.shape[1] * values_RW.numel())
    return out_RG
