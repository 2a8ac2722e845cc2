"""Vectors from one-bit noise-shaped measurements of a frame.

Shapes: N vectors, D dimensions, M measurements, one bit each, B = ceil(M / 8) bytes.
"""

from __future__ import annotations

import math

import torch
from ddp_utils.seed import keyed_generator
from torch import Tensor, nn

from sdquant.bits import pack_bits, unpack_bits
from sdquant.fast_jl import FastJL
from sdquant.one_bit import greedy, sigma_delta, stability_limit, unshape

_LOADS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
_FIT_ROWS = 4096
_STATE_VARIANCE = 1 / 3  # uniform in [-1, 1]


def rotated_harmonic_frame(dim: int, n_measurements: int, seed: int) -> Tensor:
    """Draw a smooth frame: half-integer harmonics after a random rotation.

        A = F Q,   F_{i,2k} = sqrt(2/D) cos(2 pi (k + 1/2) i / M),   F_{i,2k+1} = sqrt(2/D) sin(2 pi (k + 1/2) i / M)

    Neighbouring measurements are alike, which is what noise shaping needs. For even D rows have norm 1; columns are
    orthogonal, of squared norm M / D (unless M = D is odd); the rotation spreads every vector over all harmonics.

    Args:
        dim: D >= 1.
        n_measurements: M >= D.
        seed: key of the rotation Q.

    Returns:
        A, float64, (M, D).

    Raises:
        ValueError: dim is below 1 or n_measurements below dim.

    References:
        Blum, Lammers, Powell, Yilmaz (2010), Journal of Fourier Analysis and Applications 16(3): smooth frames.
    """
    if dim < 1 or n_measurements < dim:
        raise ValueError(
            f"rotated_harmonic_frame: dim must be at least 1 and n_measurements at least dim, "
            f"got dim={dim}, n_measurements={n_measurements}"
        )
    generator = keyed_generator(seed, "sdquant.rotated_harmonic_frame", 0)
    gaussian_DD = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    rotation_DD, upper_DD = torch.linalg.qr(gaussian_DD)
    rotation_DD = rotation_DD * upper_DD.diagonal().sign()  # makes the rotation uniform (Haar)
    harmonic_D = torch.arange(dim) // 2 + 0.5
    quarter_D = torch.arange(dim) % 2 * 0.25  # a sine is a cosine a quarter of a turn late
    i_M1 = torch.arange(n_measurements, dtype=torch.float64)[:, None]
    angle_MD = 2 * math.pi * (harmonic_D * i_M1 / n_measurements - quarter_D)
    return math.sqrt(2 / dim) * angle_MD.cos() @ rotation_DD


def sobolev_dual(frame_MD: Tensor, order: int, *, ridge: Tensor | None = None) -> Tensor:
    """Give the left inverse of a frame that lets the least shaped noise through.

        y - q = H v, so with B = H^-1 A:   D = (B^T B + ridge)^-1 B^T H^-1

    Without ridge D A = I and, for white v, the decoded error D H v is the least of all left inverses. With
    ridge = (var v / s^2) C^-1, for y = s A x and x of covariance C, s^-1 D q is the linear estimate of least mean
    square error.

    Args:
        frame_MD: A, float64, (M, D), full column rank.
        order: 0 to 3. Order 0 gives the canonical dual, pinv(A).
        ridge: symmetric, positive semi-definite, (D, D); none by default.

    Returns:
        D, float64, (D, M).

    Raises:
        ValueError: order is unknown.

    References:
        Blum, Lammers, Powell, Yilmaz (2010), Journal of Fourier Analysis and Applications 16(3), section 3.
        Krahmer, Saab, Yilmaz (2014), Information and Inference 3(1): random frames.
    """
    shaped_MD = unshape(frame_MD.T, order).T
    # Columns grow apart as M^order: a QR keeps half the digits that B^T B would lose.
    q_MD, r_DD = torch.linalg.qr(shaped_MD)
    if ridge is None:
        dual_DM = torch.linalg.solve_triangular(r_DD, q_MD.T, upper=True)
    else:
        dual_DM = torch.linalg.solve(r_DD.T @ r_DD + ridge, r_DD.T @ q_MD.T)
    return unshape(dual_DM.flip(1), order).flip(1)  # times H^-1 from the right: the same sums, backwards in time


class FrameQuantizer(nn.Module):
    """Code the direction of a vector in any number of bits at least its dimensions, with no training.

        y = s A x / norm2(x),   q = sigma_delta(y, order) with samples beyond mu clipped,   x_hat = D q, at unit norm

    Orders 1 to 3 measure by `rotated_harmonic_frame`, order 0 by `FastJL`, which is the better of the two for a
    memoryless quantizer. D is the `sobolev_dual` with the ridge of the linear estimate of least mean square error. The
    length of x is not coded.

    The scale s lets the root mean square of y be `load` times mu. A scale that never overloads is too careful: the
    rare clipped samples cost less than the noise of a small signal. `fit` picks the load that decodes best. Order 0
    has no scale to choose; its ridge takes the sign of a Gaussian as a gain of sqrt(2/pi) plus noise.

    Args:
        dim: D, dimensions, >= 1.
        n_bits: M, bits a vector, >= dim.
        order: 0 to 3, or None for the order measured best at this n_bits / dim.
        load: root mean square of y over mu, in (0, 1], orders 1 to 3 only. By default 0.4, and 0.3 from 15 bits a
            dimension.
        seed: key of the frame.

    Raises:
        ValueError: n_bits is below dim, or order or load is out of range.

    References:
        Blum, Lammers, Powell, Yilmaz (2010), Journal of Fourier Analysis and Applications 16(3).
        Krahmer, Saab, Yilmaz (2014), Information and Inference 3(1).

    Departs from:
        The papers keep max |y| <= mu and decode without ridge.
    """

    frame_MD: Tensor
    covariance_DD: Tensor
    decoder_MD: Tensor
    load_: Tensor

    def __init__(
        self, dim: int, n_bits: int, order: int | None = None, *, load: float | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if dim < 1 or n_bits < dim:
            raise ValueError(
                f"FrameQuantizer: dim must be at least 1 and n_bits at least dim, got dim={dim}, n_bits={n_bits}"
            )
        self.dim, self.n_bits, self.seed = dim, n_bits, seed
        self.order = _best_order(n_bits / dim) if order is None else order
        self.limit = stability_limit(self.order)
        if self.order == 0 and load is not None:
            raise ValueError(f"FrameQuantizer: load is for orders 1 to 3, got load={load} with order 0")
        if load is None:
            load = 0.4 if n_bits < 15 * dim else 0.3
        if self.order:
            frame_MD = rotated_harmonic_frame(dim, n_bits, seed)
        else:
            frame_MD = FastJL(dim, n_bits, seed).matrix().double() * math.sqrt(n_bits / dim)
        self.register_buffer("frame_MD", frame_MD, persistent=False)  # the seed holds it
        self.register_buffer("covariance_DD", torch.eye(dim, dtype=torch.float64) / dim)
        self.register_buffer("decoder_MD", torch.empty(n_bits, dim))
        self.register_buffer("load_", torch.tensor(load, dtype=torch.float64))
        self._set_load(load)

    @property
    def load(self) -> float:
        """Root mean square of the measurements of isotropic vectors over mu; saved with the module's state."""
        return float(self.load_)

    @property
    def scale(self) -> float:
        """s: a unit vector's measurements are s A x. For order 0 the gain of the sign, which takes any s."""
        if self.order == 0:
            return math.sqrt(2 / math.pi * self.dim)
        return self.load * self.limit * math.sqrt(self.dim)

    def fit(self, x: Tensor) -> FrameQuantizer:
        """Take the covariance of directions from a sample and the load that decodes it best by mean cosine.

        Args:
            x: sample, (N, D), N >= 1; at most 4,096 rows, evenly spaced, try the loads.

        Returns:
            This quantizer, changed. Codes made before must be decoded by the quantizer that made them.

        Raises:
            ValueError: as for `encode`, or x is empty.
        """
        unit_ND = self._directions("fit", x).double()
        if not len(unit_ND):
            raise ValueError("FrameQuantizer.fit: x must have at least one row")
        # One row's worth of the isotropic covariance keeps a small sample's estimate invertible.
        isotropic_DD = torch.eye(self.dim, dtype=torch.float64, device=x.device) / self.dim
        self.covariance_DD = (unit_ND.T @ unit_ND + isotropic_DD) / (len(unit_ND) + 1)
        if not self.order:
            self._set_load(self.load)
            return self
        sample_ND = unit_ND[:: -(-len(unit_ND) // _FIT_ROWS)].float()
        self._set_load(max(_LOADS, key=lambda load: self._mean_cosine(sample_ND, load)))
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Code the directions of vectors.

        Args:
            x: finite non-zero vectors, float32 or float64, (N, D).

        Returns:
            Packed bits, uint8, (N, B), the first bit in the lowest place (numpy.packbits(..., bitorder="little")),
            a set bit is +1.

        Raises:
            ValueError: x is not (N, D), not finite, or has a zero row.
        """
        return pack_bits(self._quantize(self._directions("encode", x)))

    def decode(self, packed_NB: Tensor) -> Tensor:
        """Estimate directions from codes.

        Args:
            packed_NB: what `encode` gave, uint8, (N, B).

        Returns:
            Unit vectors, float32, (N, D).

        Raises:
            TypeError: packed_NB is not uint8.
            ValueError: packed_NB does not have B bytes a row.
        """
        return self._estimate(unpack_bits(packed_NB, self.n_bits))

    def overload_rate(self, x: Tensor) -> float:
        """Give the share of measurements beyond mu, which `encode` clips, in [0, 1]; 0 for order 0, which has no mu.

        Args:
            x: as for `encode`.

        Raises:
            ValueError: as for `encode`.
        """
        measured_NM = self._measure(self._directions("overload_rate", x))
        return float((measured_NM.abs() > self.limit).double().mean()) if self.order and len(x) else 0.0

    def extra_repr(self) -> str:
        load = f", load={self.load:.3g}" if self.order else ""
        return f"dim={self.dim}, n_bits={self.n_bits}, order={self.order}{load}, seed={self.seed}"

    def _directions(self, verb: str, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"FrameQuantizer.{verb}: x must have shape (n, {self.dim}), got {tuple(x.shape)}")
        norm_N1 = x.double().norm(dim=1, keepdim=True)
        if not bool((torch.isfinite(norm_N1) & (norm_N1 > 0)).all()):
            raise ValueError(f"FrameQuantizer.{verb}: every row of x must be finite and not zero")
        return (x / norm_N1).float()

    def _measure(self, unit_ND: Tensor) -> Tensor:
        return unit_ND @ (self.scale * self.frame_MD).float().T

    def _quantize(self, unit_ND: Tensor) -> Tensor:
        measured_NM = self._measure(unit_ND)
        return sigma_delta(measured_NM, self.order, overload="clip") if self.order else greedy(measured_NM)

    def _estimate(self, q_NM: Tensor) -> Tensor:
        return nn.functional.normalize(q_NM.float() @ self.decoder_MD, dim=1)

    def _mean_cosine(self, unit_ND: Tensor, load: float) -> float:
        self._set_load(load)
        return float((self._estimate(self._quantize(unit_ND)) * unit_ND).sum(1).mean())

    def _set_load(self, load: float) -> None:
        if not 0 < load <= 1:
            raise ValueError(f"FrameQuantizer: load must be in (0, 1], got {load}")
        self.load_.fill_(load)
        noise_variance = _STATE_VARIANCE if self.order else 1 - 2 / math.pi
        ridge_DD = torch.linalg.inv(self.covariance_DD) * (noise_variance / self.scale**2)
        dual_DM = sobolev_dual(self.frame_MD, self.order, ridge=ridge_DD)
        self.decoder_MD = dual_DM.T.float().contiguous()


def _best_order(bits_per_dimension: float) -> int:
    """Where the orders cross over, by recall and cosine on 50-d GloVe vectors."""
    crossings = (2, 15, 40)
    return sum(bits_per_dimension >= crossing for crossing in crossings)
