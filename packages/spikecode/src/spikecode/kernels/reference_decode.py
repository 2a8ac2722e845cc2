"""Plain-torch loops of the decoders, on any device.

Shapes: R rows, W neurons of a window, Z entries of a tuning table, G values of a grid.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

import torch
from torch import Tensor

from spikecode.decoders.likelihood import Likelihood
from spikecode.kernels.lattice import Lattice

_BLOCK = 1 << 22  # neurons handled at once, about 100 bytes each


def _on(likelihood: Likelihood, device: torch.device) -> Likelihood:
    tables = {f.name: getattr(likelihood, f.name).to(device) for f in fields(likelihood) if f.name.endswith("_Z")}
    return replace(likelihood, **tables)


def centre_of_mass(values_RW: Tensor, first_R: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """See `spikecode.kernels.decode.centre_of_mass`."""
    window, box = values_RW.shape[1], lattice.box
    values_RW = values_RW.long()
    w_W = torch.arange(window, device=values_RW.device)
    sums_RE = torch.nn.functional.pad(values_RW, (box, box - 1)).cumsum(1)
    held_RE = sums_RE[:, box:] - sums_RE[:, :-box]  # of the box that ends at each neuron
    best_RE = held_RE == held_RE.amax(1, keepdim=True)
    from_R = best_RE.int().argmax(1)
    # The first run of the best sums, as the flat top of a box has.
    ended_RE = ~best_RE & (torch.arange(best_RE.shape[1], device=w_W.device) > from_R[:, None])
    to_R = torch.where(ended_RE.any(1), ended_RE.int().argmax(1) - 1, best_RE.shape[1] - 1)
    middle_R1 = torch.div(from_R + to_R - box + 1, 2, rounding_mode="floor")[:, None]
    values_RW = values_RW * ((w_W >= middle_R1 - lattice.reach) & (w_W <= middle_R1 + lattice.reach))
    total_R = values_RW.sum(1)
    moment_R = (values_RW * (first_R[:, None] + w_W)).sum(1)
    centre_R = lattice.origin + lattice.spacing * (moment_R.double() / total_R.clamp(min=1))
    return torch.where(total_R > 0, centre_R, 0.5), total_R


def _odds(values_RW: Tensor, entry_RW: Tensor, likelihood: Likelihood) -> Tensor:
    silence_RW = likelihood.silence_Z[entry_RW]
    if likelihood.binomial:
        spike_RW = likelihood.spike_Z[entry_RW]
        return likelihood.prior_odds + values_RW * spike_RW + (likelihood.steps - values_RW) * silence_RW
    away_RW = values_RW - likelihood.mean_Z[entry_RW]
    return likelihood.prior_odds + math.log(likelihood.steps) + silence_RW * away_RW**2


def _within_reach(
    u_R: Tensor, values_RW: Tensor, first_R: Tensor, likelihood: Likelihood, lattice: Lattice
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Distance, entry, statistic and presence of the neurons that can tell about u; silent ones are in no window."""
    entries = len(likelihood.mean_Z) - 1
    reach = entries / lattice.entries * lattice.sigma
    width = min(lattice.neurons, math.floor(2 * reach / lattice.spacing) + 2)
    low_R = torch.ceil((u_R - reach - lattice.origin) / lattice.spacing).long().clamp(0, lattice.neurons - width)
    neuron_RW = low_R[:, None] + torch.arange(width, device=u_R.device)
    z_RW = (u_R[:, None] - lattice.origin - lattice.spacing * neuron_RW) / lattice.sigma
    entry_RW = (z_RW.abs() * lattice.entries + 0.5).long().clamp(max=entries)
    w_RW, window = neuron_RW - first_R[:, None], values_RW.shape[1]
    held_RW = values_RW.gather(1, w_RW.clamp(0, window - 1)) * ((w_RW >= 0) & (w_RW < window))
    return z_RW, entry_RW, held_RW, z_RW.abs() * lattice.entries <= entries


def fisher_scoring(
    values_RW: Tensor, first_R: Tensor, start_R: Tensor, likelihood: Likelihood, lattice: Lattice, iterations: int
) -> tuple[Tensor, Tensor]:
    """See `spikecode.kernels.decode.fisher_scoring`."""
    likelihood = _on(likelihood, values_RW.device)
    at_once = max(1, _BLOCK // values_RW.shape[1])
    parts = [
        _score(values_RW[i : i + at_once], first_R[i : i + at_once], start_R[i : i + at_once], likelihood, lattice,
               iterations)
        for i in range(0, len(values_RW), at_once)
    ]  # fmt: skip
    if not parts:
        return start_R.double(), start_R.double()
    u, information = zip(*parts, strict=True)
    return torch.cat(u), torch.cat(information)


def _score(
    values_RW: Tensor, first_R: Tensor, start_R: Tensor, likelihood: Likelihood, lattice: Lattice, iterations: int
) -> tuple[Tensor, Tensor]:
    u_R = start_R.double()
    information_R = torch.zeros_like(u_R)
    moving_R = torch.ones_like(u_R, dtype=torch.bool)
    for _ in range(iterations):
        z_RW, entry_RW, held_RW, inside_RW = _within_reach(u_R, values_RW, first_R, likelihood, lattice)
        away_RW = held_RW - likelihood.mean_Z[entry_RW]
        trust_RW = _odds(held_RW, entry_RW, likelihood).sigmoid()
        if likelihood.binomial:
            trust_RW = torch.where(2 * held_RW >= likelihood.mean_Z[entry_RW], 1.0, trust_RW)
        gain_RW = likelihood.gain_Z[entry_RW] * trust_RW * inside_RW
        score_R = (torch.where(z_RW >= 0, gain_RW, -gain_RW) * away_RW).sum(1)
        found_R = (gain_RW * likelihood.slope_Z[entry_RW]).sum(1)
        information_R = torch.where(moving_R, found_R, information_R)
        moving_R = moving_R & (found_R > 0)
        step_R = torch.where(moving_R, score_R / found_R.clamp(min=1e-300), 0).clamp(-1, 1)
        u_R = torch.where(moving_R, (u_R + lattice.sigma * step_R).clamp(0, 1), u_R)
        moving_R = moving_R & (step_R.abs() >= 1e-3 / found_R.clamp(min=1e-300).sqrt())
        if not bool(moving_R.any()):
            break
    return u_R, information_R / lattice.sigma**2


def grid_likelihood(
    values_RW: Tensor, first_R: Tensor, grid_RG: Tensor, likelihood: Likelihood, lattice: Lattice
) -> Tensor:
    """See `spikecode.kernels.decode.grid_likelihood`."""
    likelihood = _on(likelihood, values_RW.device)
    neuron_RW = first_R[:, None] + torch.arange(values_RW.shape[1], device=first_R.device)
    columns = []
    for u_R in grid_RG.unbind(1):
        _, entry_RW, held_RW, inside_RW = _within_reach(u_R, values_RW, first_R, likelihood, lattice)
        found_R = (_against_far(held_RW, entry_RW, likelihood) * inside_RW).sum(1)
        # Spikes of neurons that are out of reach of u.
        z_RW = (u_R[:, None] - lattice.origin - lattice.spacing * neuron_RW).abs() / lattice.sigma
        beyond_RW = (z_RW * lattice.entries > len(likelihood.mean_Z) - 1) & (values_RW > 0)
        last_RW = torch.full_like(neuron_RW, len(likelihood.mean_Z) - 1)
        columns.append(found_R + (_against_far(values_RW, last_RW, likelihood) * beyond_RW).sum(1))
    return torch.stack(columns, 1)


def _against_far(values_RW: Tensor, entry_RW: Tensor, likelihood: Likelihood) -> Tensor:
    """Log of 1 + the odds that a neuron is alive, less that of a silent neuron out of reach."""
    far_11 = torch.full_like(entry_RW[:1, :1], len(likelihood.mean_Z) - 1)
    terms = []
    for values, entry in ((values_RW, entry_RW), (torch.zeros_like(values_RW[:1, :1]), far_11)):
        odds = _odds(values, entry, likelihood)
        if not likelihood.binomial:
            odds = odds + 0.5 * torch.log(-2 * likelihood.silence_Z[entry])
        terms.append(torch.nn.functional.softplus(odds, threshold=30))
    return terms[0] - terms[1]
