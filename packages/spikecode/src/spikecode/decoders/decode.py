"""From the statistic of each neuron to values, by any of the methods.

Shapes: n tokens, D dimensions, G values of a grid, R = n D rows, W neurons of a window.

Unless told which share of the spikes is lost, the exact likelihood looks: where jitter moves spikes of a neuron that
fires in every bin on one another, the strongest neurons of a token miss spikes, in most dimensions. Dead neurons do not
look like that: their neighbours fire.

| scheme  | ml, bayes                            | centre_of_mass, linear |
|---------|--------------------------------------|------------------------|
| poisson | exact likelihood (none refractory)   | yes                    |
| rate    | quasi-likelihood of the counts       | yes                    |
| latency | quasi-likelihood of the first spikes | no                     |
| phase   | quasi-likelihood of the phases       | yes                    |
| burst   | quasi-likelihood of the counts       | yes                    |
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikecode.decoders.likelihood import Likelihood, make_likelihood
from spikecode.decoders.linear import check_linear, linear_decode
from spikecode.kernels import decode as kernels
from spikecode.kernels.lattice import Lattice
from spikecode.position import OTHER_CODEC
from spikecode.spike_counts import SpikeCounts

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec

METHODS = ("ml", "bayes", "centre_of_mass", "linear")
LOST = 0.001  # what the exact likelihood allows for unless told: a bin that must hold a spike may be empty
LOST_WHERE_MISSED = 0.2  # and for tokens whose strongest neurons miss spikes
_MISSED = 0.02  # share of them that is no chance any more
_GRID = 65
_GRID_VALUES = 1 << 21  # of all rows that are integrated at once, about 80 bytes each
_WIDE = 6.0  # standard errors to each side that the posterior is integrated over


def decode_unit(
    codec: SpikeCodec,
    counts: SpikeCounts,
    method: str,
    *,
    dead: float = 1e-3,
    background: float | None = None,
    lost: float | None = None,
) -> Tensor:
    """Find values in [0, 1], float64, (n, D); see `SpikeCodec.decode`."""
    _check(codec, counts, method)
    if not len(counts):
        return torch.zeros(0, codec.dim, dtype=torch.float64, device=counts.first_nD.device)
    if method == "linear":
        assert codec.weights_N is not None
        return linear_decode(counts, codec.weights_N)
    if method == "centre_of_mass":
        values_RW, first_R = counts.values_nDW.flatten(0, 1), counts.first_nD.reshape(-1)
        start_R, _ = kernels.centre_of_mass(values_RW, first_R, Lattice.of(codec.population))
        return start_R.clamp(0, 1).view_as(counts.first_nD)
    if lost is not None or codec.scheme != "poisson":
        return _by_likelihood(codec, counts, method, dead=dead, background=background, lost=lost or 0.0)
    missed_n = missed_spikes(codec, counts)
    u_nD = torch.empty_like(counts.first_nD, dtype=torch.float64)
    for some_n, share in ((~missed_n, LOST), (missed_n, LOST_WHERE_MISSED)):
        if bool(some_n.any()):
            some = counts if bool(some_n.all()) else _tokens(counts, some_n)
            u_nD[some_n] = _by_likelihood(codec, some, method, dead=dead, background=background, lost=share)
    return u_nD


def missed_spikes(codec: SpikeCodec, counts: SpikeCounts) -> Tensor:
    """Tokens whose strongest neuron fires less than the code says, in half of the dimensions or more, bool, (n,).

    At peaks of half a spike a bin and less, where lost spikes mislead no decoder, none.
    """
    population = codec.population
    if population.peak <= 0.5:
        return torch.zeros(len(counts), dtype=torch.bool, device=counts.first_nD.device)
    z = population.spacing / population.sigma / 2  # no value is farther from its nearest neuron
    least = population.floor + (population.peak - population.floor) * math.exp(-(z**2) / 2)
    strongest_nD = counts.values_nDW.amax(2).sort(1).values
    return strongest_nD[:, codec.dim // 2] < (1 - _MISSED) * least * codec.active_steps


def _tokens(counts: SpikeCounts, some_n: Tensor) -> SpikeCounts:
    parts = (counts.values_nDW[some_n], counts.first_nD[some_n], counts.clipped_n[some_n])
    return replace(counts, values_nDW=parts[0], first_nD=parts[1], clipped_n=parts[2])


def _by_likelihood(
    codec: SpikeCodec, counts: SpikeCounts, method: str, *, dead: float, background: float | None, lost: float
) -> Tensor:
    """Maximum likelihood, or the posterior mean around it, float64, (n, D)."""
    values_RW, first_R = counts.values_nDW.flatten(0, 1), counts.first_nD.reshape(-1)
    lattice = Lattice.of(codec.population)
    start_R, total_R = kernels.centre_of_mass(values_RW, first_R, lattice)
    likelihood = make_likelihood(
        codec.population,
        codec.coding,
        codec.active_steps,
        codec.refractory,
        dead=dead,
        background=background,
        lost=lost,
    )
    u_R, information_R = kernels.fisher_scoring(values_RW, first_R, start_R.clamp(0, 1), likelihood, lattice)
    u_R = torch.where(total_R > 0, u_R, 0.5)
    if method == "bayes":
        known_R = torch.where(total_R > 0, information_R, 0)
        at_once = max(1, _GRID_VALUES // (_GRID * codec.dim))
        u_R = torch.cat(
            [
                _posterior_mean(codec, part, u_nD.reshape(-1), known_nD.reshape(-1), likelihood, lattice).reshape(-1)
                for part, u_nD, known_nD in zip(
                    (counts[i : i + at_once] for i in range(0, len(counts), at_once)),
                    u_R.view_as(counts.first_nD).split(at_once),
                    known_R.view_as(counts.first_nD).split(at_once),
                    strict=True,
                )
            ]
        )
    return u_R.view_as(counts.first_nD)


def _check(codec: SpikeCodec, counts: SpikeCounts, method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"decode: method must be one of {', '.join(METHODS)}, got {method!r}")
    expected, found = (codec.dim, codec.neurons, codec.scheme), (*counts.shape[1:], counts.scheme)
    if expected != found:
        raise ValueError(
            f"decode: counts of (dimensions, neurons, scheme) {found} do not fit a codec of {expected}; decode them "
            "with the codec that made them"
        )
    if counts.codec_id != codec.codec_id:
        raise ValueError(f"decode: {OTHER_CODEC}")
    if method in ("centre_of_mass", "linear"):
        check_linear(f"decode with method={method!r}", codec)
    if method == "bayes" and codec.prior is None:
        raise ValueError("decode: method 'bayes' needs the data's distribution; make it with codec.fit_prior(x)")
    if method == "linear" and codec.weights_N is None:
        raise ValueError("decode: method 'linear' needs weights; make them with codec.fit_linear(x)")


def _posterior_mean(
    codec: SpikeCodec, counts: SpikeCounts, u_R: Tensor, information_R: Tensor, likelihood: Likelihood, lattice: Lattice
) -> Tensor:
    """Integrate prior times likelihood around the maximum; over all of [0, 1] where little is known."""
    assert codec.prior is not None
    half_R = torch.where(information_R > 0, _WIDE / information_R.clamp(min=1e-12).sqrt(), 1.0)
    low_R, high_R = (u_R - half_R).clamp(0, 1), (u_R + half_R).clamp(0, 1)
    step_G = (torch.arange(_GRID, device=u_R.device, dtype=torch.float64) + 0.5) / _GRID
    grid_RG = low_R[:, None] + (high_R - low_R)[:, None] * step_G
    values_RW, first_R = counts.values_nDW.flatten(0, 1), counts.first_nD.reshape(-1)
    log_RG = kernels.grid_likelihood(values_RW, first_R, grid_RG, likelihood, lattice)
    n, dim = counts.first_nD.shape
    log_RG = log_RG + codec.prior.at(grid_RG.view(n, dim, -1)).log().flatten(0, 1)
    return (log_RG.softmax(1) * grid_RG).sum(1).view(n, dim)
