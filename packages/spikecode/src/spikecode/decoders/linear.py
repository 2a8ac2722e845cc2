"""Least-squares linear decoding.

Shapes: n tokens, D dimensions, N neurons, W neurons of a window, B bins of a histogram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikecode.spike_counts import SpikeCounts

if TYPE_CHECKING:
    from spikecode.codec import SpikeCodec

_BINS = 1024


def linear_weights(codec: SpikeCodec, u_nD: Tensor) -> Tensor:
    """Find the weights that decode best on average over data and spikes.

        minimise E_u [ (sum_k w_k m_k(u) + w_0 - u)^2 + sum_k w_k^2 var_k(u) ]

    with mean m_k and variance of the statistic known from the scheme, so no spikes are drawn. One set serves all
    dimensions: they have the same lattice.

    Args:
        codec: the codec.
        u_nD: data in [0, 1], float64, (n, D).

    Returns:
        Weights, the constant last, float64, (N + 1,).

    Raises:
        ValueError: the scheme's statistic is not linear in the rate.

    References:
        Eliasmith, Anderson (2003), Neural Engineering, section 2.2: optimal linear decoders.
    """
    check_linear("fit_linear", codec)
    share_B = torch.histc(u_nD.float().cpu(), _BINS, 0, 1).double()
    value_B = ((torch.arange(_BINS, dtype=torch.float64) + 0.5) / _BINS)[share_B > 0]
    share_B = share_B[share_B > 0] / share_B.sum()
    population = codec.population
    distance_BN = (value_B[:, None] - population.centres()).abs() / population.sigma
    entries = population.distances()
    entry_BN = (distance_BN * population.entries_per_sigma + 0.5).long().clamp(max=len(entries) - 1)
    moments = codec.coding.moments(population.probabilities(), codec.active_steps, codec.refractory)
    mean_BM = torch.nn.functional.pad(moments.mean_Z[entry_BN], (0, 1), value=1.0)
    gram_MM = (mean_BM * share_B[:, None]).T @ mean_BM
    gram_MM.diagonal()[:-1].add_(share_B @ moments.variance_Z[entry_BN] + 1e-9)
    gram_MM.diagonal()[-1].add_(1e-12)
    return torch.linalg.solve(gram_MM, mean_BM.T @ (share_B * value_B)).to(u_nD.device)


def check_linear(caller: str, codec: SpikeCodec) -> None:
    """Refuse schemes whose statistic is not linear in the rate.

    Raises:
        ValueError: it is not.
    """
    if not codec.coding.linear:
        raise ValueError(
            f"{caller}: scheme {codec.scheme} tells values by spike times that are not linear in the rate; use method "
            "'ml' or 'bayes'"
        )


def linear_decode(counts: SpikeCounts, weights_N: Tensor) -> Tensor:
    """Sum the statistic with weights: u = sum_k w_k s_k + w_0, clipped to [0, 1], float64, (n, D)."""
    window = torch.arange(counts.values_nDW.shape[2], device=weights_N.device)
    decoded = [
        (weights_N[:-1][first_D[:, None].long() + window] * values_DW).sum(1) + weights_N[-1]
        for first_D, values_DW in zip(counts.first_nD, counts.values_nDW, strict=True)
    ]
    return torch.stack(decoded).clamp(0, 1)
