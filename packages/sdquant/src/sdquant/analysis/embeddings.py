"""Errors of distances and inner products against bits, for binary embeddings and what they are measured against.

Shapes: N vectors, D dimensions, M measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor

from sdquant.binary_embedding import BinaryEmbedding
from sdquant.bits import pack_bits
from sdquant.codes import Codes
from sdquant.condensation import Condensation
from sdquant.one_bit import greedy
from sdquant.random_measurement import RandomMeasurement, Transform

_FLOAT_BITS = 32


def jl_report(
    x: Tensor,
    bits: Sequence[int] = (256, 512, 1024, 2048, 4096),
    *,
    oversampling: Sequence[int] = (4, 16, 64),
    transform: Transform = "fast",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measure how well codes of equal numbers of bits keep the distances and inner products of directions.

    The methods, all without training, on rows of x scaled to unit length:

    - "order 1", "order 2", "order 3": `BinaryEmbedding` with W bits a block, for each W of oversampling;
    - "greedy": the same measurements and blocks (the window of order 1) with a memoryless quantizer, whose bits are
      taken as sqrt(2 / pi) y plus noise: what the orders owe to noise shaping;
    - "sign random projection": the same memoryless bits, read as angles (order 0);
    - "QJL": signs of one vector against the unquantized measurements of the other, with the norm as a float;
    - "Gaussian JL": a dense Gaussian projection to bits / 32 dimensions, kept as float32.

    Args:
        x: finite vectors that are not zero, float32 or float64, (N, D), N >= 2. All N^2 pairs are compared: pass a
            sample of some thousand.
        bits: numbers of bits M, multiples of 32.
        oversampling: bits a block W; those that do not divide M are left out at that M.
        transform: random matrix of all methods but Gaussian JL.
        seed: key of the random matrices.

    Returns:
        A row for each method, M and W: "method", "bits", "oversampling" (None where there are no blocks), "bytes"
        (of a vector as it is stored: block sums, signs, floats), "distance_error" (mean of |estimate / distance - 1|),
        "distance_bias" (mean of estimate / distance - 1), "inner_product_error" (root mean square) and
        "inner_product_bias" (mean). Pairs at distance 0 do not count for distances.

    Raises:
        TypeError: x is not float32 or float64.
        ValueError: x is not (N, D) with N >= 2, has a row that is zero or not finite, or fewer than two different
            rows; bits are no positive multiples of 32; oversampling is below 1.

    References:
        Zhang, Saab (2021), arXiv 2010.00712; Charikar (2002), STOC; Zandieh, Daliri, Han (2024), arXiv 2406.03482,
        definition 3.1 (QJL).
    """
    unit_ND = _directions(x)
    if any(m < _FLOAT_BITS or m % _FLOAT_BITS for m in bits):
        raise ValueError(f"jl_report: bits must be positive multiples of {_FLOAT_BITS}, got {tuple(bits)}")
    if any(window < 1 for window in oversampling):
        raise ValueError(f"jl_report: oversampling must be at least 1, got {tuple(oversampling)}")
    truth = _Truth.of(unit_ND)
    rows = []
    for m in bits:
        y_NM = RandomMeasurement(unit_ND.shape[1], m, transform, seed)(unit_ND)
        for window in oversampling:
            if m % window == 0:
                estimates = {"greedy": _greedy(y_NM, m // window)} | {
                    f"order {order}": _shaped(unit_ND, m, order, m // window, transform, seed) for order in (1, 2, 3)
                }
                rows += [truth.row(name, m, window, estimate) for name, estimate in estimates.items()]
        signs = _shaped(unit_ND, m, 0, m, transform, seed)
        rows.append(truth.row("sign random projection", m, None, signs))
        rows.append(truth.row("QJL", m, None, _qjl(y_NM)))
        rows.append(truth.row("Gaussian JL", m, None, _gaussian_jl(unit_ND, m, seed)))
    return rows


@dataclass(frozen=True)
class _Estimate:
    distance_NN: Tensor
    inner_NN: Tensor
    n_bytes: int


@dataclass(frozen=True)
class _Truth:
    distance_NN: Tensor
    inner_NN: Tensor
    apart_NN: Tensor  # pairs at a distance
    others_NN: Tensor  # pairs of two rows

    @staticmethod
    def of(unit_ND: Tensor) -> _Truth:
        distance_NN = torch.cdist(unit_ND, unit_ND, compute_mode="donot_use_mm_for_euclid_dist")
        others_NN = ~torch.eye(len(unit_ND), dtype=torch.bool, device=unit_ND.device)
        apart_NN = others_NN & (distance_NN > 0)
        if not bool(apart_NN.any()):
            raise ValueError("jl_report: x must have two rows of different directions")
        return _Truth(distance_NN, unit_ND @ unit_ND.T, apart_NN, others_NN)

    def row(self, method: str, bits: int, oversampling: int | None, estimate: _Estimate) -> dict[str, Any]:
        ratio = (estimate.distance_NN / self.distance_NN)[self.apart_NN] - 1
        error = (estimate.inner_NN - self.inner_NN)[self.others_NN]
        return {
            "method": method,
            "bits": bits,
            "oversampling": oversampling,
            "bytes": estimate.n_bytes,
            "distance_error": float(ratio.abs().mean()),
            "distance_bias": float(ratio.mean()),
            "inner_product_error": float(error.square().mean().sqrt()),
            "inner_product_bias": float(error.mean()),
        }


def _directions(x: Tensor) -> Tensor:
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"jl_report: x must be float32 or float64, got {x.dtype}")
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"jl_report: x must have shape (n, d) with n at least 2, got {tuple(x.shape)}")
    norm_N1 = torch.linalg.vector_norm(x.detach(), dim=1, keepdim=True, dtype=torch.float64)
    if not bool((torch.isfinite(norm_N1) & (norm_N1 > 0)).all()):
        raise ValueError("jl_report: every row of x must be finite and not zero")
    return x.detach().double() / norm_N1


def _from_inner(inner_NN: Tensor, n_bytes: int) -> _Estimate:
    """Distances of unit vectors from their inner products."""
    return _Estimate((2 - 2 * inner_NN).clamp(min=0).sqrt(), inner_NN, n_bytes)


def _from_vectors(z_NP: Tensor, n_bytes: int) -> _Estimate:
    return _Estimate(torch.cdist(z_NP, z_NP), z_NP @ z_NP.T, n_bytes)


def _shaped(unit_ND: Tensor, m: int, order: int, blocks: int, transform: Transform, seed: int) -> _Estimate:
    embedding = BinaryEmbedding(unit_ND.shape[1], m, order, blocks, transform=transform, seed=seed)
    z_NP = embedding.condense(embedding.encode(unit_ND))
    n_bytes = embedding.bytes_per_vector["packed"]
    return _Estimate(embedding.distance(z_NP, z_NP), embedding.inner_product(z_NP, z_NP), n_bytes)


def _greedy(y_NM: Tensor, blocks: int) -> _Estimate:
    condensation = Condensation(1, y_NM.shape[1], blocks)
    z_NP = condensation(Codes(pack_bits(greedy(y_NM)), y_NM.shape[1])).double()
    gain = math.sqrt(math.pi / 2 / condensation.energy)
    return _from_vectors(z_NP * gain, condensation.bytes_per_vector["packed"])


def _qjl(y_NM: Tensor) -> _Estimate:
    m = y_NM.shape[1]
    inner_NN = y_NM @ greedy(y_NM).to(y_NM.dtype).T * (math.sqrt(math.pi / 2) / m)
    return _from_inner(inner_NN, -(-m // 8) + _FLOAT_BITS // 8)


def _gaussian_jl(unit_ND: Tensor, m: int, seed: int) -> _Estimate:
    n_floats = m // _FLOAT_BITS
    generator = keyed_generator(seed, "sdquant.analysis.gaussian_jl", m)
    projection = torch.randn(unit_ND.shape[1], n_floats, generator=generator, dtype=torch.float64)
    projected = unit_ND @ projection.to(unit_ND.device) / math.sqrt(n_floats)
    return _from_vectors(projected.float(), _FLOAT_BITS // 8 * n_floats)
