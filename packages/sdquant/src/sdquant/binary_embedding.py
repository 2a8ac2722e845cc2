"""Binary embeddings that keep Euclidean distances and inner products, with no training.

Shapes: N vectors, D dimensions, M measurements of one bit each, P blocks, W = M / P bits a block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from sdquant.bits import pack_bits
from sdquant.codes import Codes
from sdquant.condensation import Condensation
from sdquant.one_bit import sigma_delta_states, stability_limit
from sdquant.random_measurement import RandomMeasurement, Transform, into_unit_ball

_DEFAULT_LOAD = 0.8
_CHUNK_ELEMENTS = 1 << 20
_TILE_ROWS = 2048
_STATE_BOUND = 64.0


class BinaryEmbedding(nn.Module):
    """Code vectors in bits whose block sums keep distances and inner products.

        y = s A x,   q = sigma_delta(y, order) in {-1, +1}^M,   z_p = sum_i v_i q_{p W + i}
        d_l2 = norm2(z_x - z_y) / (sqrt(P) norm2(v) s)
        d_l1 = sqrt(pi / 2) norm1(z_x - z_y) / (P norm2(v) s)
        <x, y> = <z_x, z_y> / (P norm2(v)^2 s^2)

    A has entries of variance 1 and v is the `condensation_window`. The error has two parts. That of a projection to P
    dimensions has a standard deviation of d / sqrt(2 P) in a distance. That of the bits falls as W^(1/2 - order): it
    is noise in z, of this share of the signal for a vector as long as the radius (Gaussian A, default load):

        | W   | order 1 | order 2 | order 3 |
        |-----|---------|---------|---------|
        | 4   | 0.56    | 0.78    | 1.06    |
        | 16  | 0.28    | 0.21    | 0.34    |
        | 64  | 0.14    | 0.027   | 0.025   |
        | 256 | 0.070   | 0.0035  | 0.0008  |

    So order 2 pays from W = 16 on and order 3 from W = 64 on. Noises of different vectors are not in step: they leave
    inner products unbiased and lengthen distances to sqrt(d^2 + 2 (share * radius)^2).

    The scale is s = load mu / radius with mu = `stability_limit(order)`: y of a vector as long as the radius has root
    mean square load mu, and a sample is beyond mu with probability erfc(1 / (sqrt(2) load)), 0.21 at the default.
    Such samples are not clipped. They take the state beyond its bound of 1 for a while, and the error stays shaped
    noise. `overload_rate` counts them.

    Order 0 takes the sign of each measurement. Signs tell directions only: angles are pi hamming / M, and distances
    and inner products are those of x and y at unit length, 2 sin(angle / 2) and cos(angle). There is nothing to
    condense, so P = M. Of vectors of one length it has the least error of all orders for the same bytes, unless they
    are close: the relative error of its distances grows as d^(-1/2), that of orders 1 to 3 is the same for all d above
    their noise. And those keep lengths.

    Estimates come from exact integers: a pair's estimate does not depend on the pairs beside it.

    Args:
        dim: D >= 1.
        n_bits: M, a multiple of blocks.
        order: 0 to 3.
        blocks: P >= 1; by default 64, and M for order 0, which takes no other.
        transform: "fast" for A of `FastJL` with a random sign a measurement, or "gaussian" for independent normal
            entries, which the bounds are proved for and which are faster up to some 500 dimensions.
        radius: largest norm2(x) to be coded, > 0; orders 1 to 3 only. By default 1.
        load: root mean square of y over mu for a vector as long as the radius, in (0, 1]; orders 1 to 3 only. By
            default 0.8. Above 1 order 3 loses stability.
        overload: what to do with a vector longer than the radius, orders 1 to 3: "error", or "clip" it to that length.
        seed: key of A.

    Raises:
        ValueError: an argument is out of range, n_bits is no multiple of blocks, or blocks are so long that sums
            would leave the exact integers of float64.

    References:
        Zhang, Saab (2021), arXiv 2010.00712, definition 2.1 and theorem 1.1: d_l1.
        Huynh, Saab (2020), arXiv 1801.08639: d_l2 and fast transforms.
        Charikar (2002), STOC, section 3: angles from signs.

    Departs from:
        The papers keep all samples within mu, at about three times the noise, and take W = r L - r + 1 only.
    """

    def __init__(
        self,
        dim: int,
        n_bits: int,
        order: int = 2,
        blocks: int | None = None,
        *,
        transform: Transform = "fast",
        radius: float | None = None,
        load: float | None = None,
        overload: Literal["error", "clip"] = "error",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.limit = stability_limit(order)  # raises for an unknown order
        if blocks is None:
            blocks = n_bits if order == 0 else 64
        if overload not in ("error", "clip"):
            raise ValueError(f"BinaryEmbedding: overload must be 'error' or 'clip', got {overload!r}")
        if order == 0 and (radius is not None or load is not None):
            raise ValueError(
                f"BinaryEmbedding: order 0 codes directions and takes no scale, got radius={radius}, load={load}"
            )
        self.dim, self.n_bits, self.order, self.blocks, self.seed = dim, n_bits, order, blocks, seed
        self.transform, self.overload = transform, overload
        self.radius = 1.0 if radius is None else float(radius)
        self.load = _DEFAULT_LOAD if load is None else float(load)
        if not 0 < self.radius < math.inf:
            raise ValueError(f"BinaryEmbedding: radius must be positive and finite, got {radius}")
        if not 0 < self.load <= 1:
            raise ValueError(f"BinaryEmbedding: load must be in (0, 1], got {load}")
        self.condensation = Condensation(order, n_bits, blocks)
        self.measurement = RandomMeasurement(dim, n_bits, transform, seed)

    @property
    def scale(self) -> float:
        """s; 1 for order 0, whose signs do not depend on it."""
        return self.load * self.limit / self.radius if self.order else 1.0

    @property
    def bytes_per_vector(self) -> dict[str, int]:
        """Bytes of one vector in each form: "bits" of `encode`, "packed" of `pack`, "tensor" of `condense`."""
        return self.condensation.bytes_per_vector

    def encode(self, x: Tensor) -> Codes:
        """Code vectors.

        Args:
            x: finite vectors, float32 or float64, (N, D), of length up to the radius; not zero for order 0.

        Returns:
            N codes of M bits.

        Raises:
            TypeError: x is not float32 or float64.
            ValueError: x is not (N, D), not finite, longer than the radius under overload="error", zero for order 0,
                or drives the quantizer out of its stable range, as a vector in line with a row of A may.
        """
        packed: list[Tensor] = []
        for y_RM in self._measured("encode", x):
            q_RM, v_RM = sigma_delta_states(y_RM, self.order, overload="allow")
            lost = torch.nonzero(~(v_RM.abs().amax(1) <= _STATE_BOUND))  # a state that overflowed is not a number
            if self.order and len(lost):
                row = sum(map(len, packed)) + int(lost[0])
                raise ValueError(
                    f"BinaryEmbedding.encode: row {row} of x drives order {self.order} out of its stable range at "
                    f"load={self.load:.3g}; pass another seed, a smaller load or a lower order"
                )
            packed.append(pack_bits(q_RM))
        return Codes(torch.cat(packed), self.n_bits)

    def overload_rate(self, x: Tensor) -> float:
        """Give the share of samples beyond mu, in [0, 1]; 0 for order 0, which has no mu.

        Args:
            x: as for `encode`, with the same errors but for the stability.
        """
        beyond = sum(int((y_RM.abs() > self.limit).sum()) for y_RM in self._measured("overload_rate", x))
        return beyond / max(1, len(x) * self.n_bits) if self.order else 0.0

    def condense(self, codes: Codes) -> Tensor:
        """Reduce codes to the block sums z, which hold all that the estimates need.

        Args:
            codes: what `encode` gave.

        Returns:
            z, (N, P), int16, or int32 where the sum of v is above 32,767.

        Raises:
            TypeError: codes is not Codes.
            ValueError: codes is of another number of bits.
        """
        return self.condensation(codes)

    def pack(self, condensed: Tensor) -> Tensor:
        """Store condensed codes at the bits that they need, at most ceil(r log2 W) + 1 each.

        Args:
            condensed: what `condense` gave, (N, P).

        Returns:
            uint8, (N, `bytes_per_vector`["packed"]).

        Raises:
            TypeError: condensed is not of a signed integer dtype.
            ValueError: condensed is not (N, P) or holds a value that no block sums to.
        """
        return self.condensation.pack(condensed)

    def unpack(self, packed: Tensor) -> Tensor:
        """Read back what `pack` stored: z as `condense` gives it.

        Raises:
            TypeError: packed is not uint8.
            ValueError: the width is wrong, or a value is beyond what a block sums to.
        """
        return self.condensation.unpack(packed)

    def distance(self, a: Codes | Tensor, b: Codes | Tensor, *, norm: Literal["l2", "l1"] = "l2") -> Tensor:
        """Estimate norm2(x - y) for every pair.

        Memory beyond the result is bounded; take slices of a where the result itself is too large.

        Args:
            a: N_a codes, or what `condense` gave of them.
            b: N_b, likewise.
            norm: which estimate, d_l2 or d_l1. Both estimate the Euclidean distance; d_l2 has the smaller spread.

        Returns:
            Distances, float32, (N_a, N_b).

        Raises:
            TypeError: a or b is neither Codes nor an integer tensor.
            ValueError: norm is unknown, or "l1" for order 0; a or b is of another embedding.
        """
        if norm not in ("l2", "l1"):
            raise ValueError(f"BinaryEmbedding.distance: norm must be 'l2' or 'l1', got {norm!r}")
        if norm == "l2":
            return self._pairs(a, b, self._l2)
        if self.order == 0:
            raise ValueError("BinaryEmbedding.distance: order 0 has the one estimate norm='l2', got norm='l1'")
        return self._pairs(a, b, self._l1)

    def inner_product(self, a: Codes | Tensor, b: Codes | Tensor) -> Tensor:
        """Estimate <x, y> for every pair.

        Args:
            a: as for `distance`, with the same errors.
            b: likewise.

        Returns:
            Inner products, float32, (N_a, N_b).
        """
        return self._pairs(a, b, self._inner)

    def extra_repr(self) -> str:
        scale = f", radius={self.radius:.6g}, load={self.load:.3g}, overload={self.overload!r}" if self.order else ""
        return (
            f"dim={self.dim}, n_bits={self.n_bits}, order={self.order}, blocks={self.blocks}, "
            f"transform={self.transform!r}{scale}, seed={self.seed}"
        )

    def _measured(self, verb: str, x: Tensor) -> Iterator[Tensor]:
        """Check x, then give y of a bounded number of rows at a time."""
        if x.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"BinaryEmbedding.{verb}: x must be float32 or float64, got {x.dtype}")
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"BinaryEmbedding.{verb}: x must have shape (n, {self.dim}), got {tuple(x.shape)}")
        norm_N = torch.linalg.vector_norm(x.detach(), dim=1, dtype=torch.float64)
        if not bool(torch.isfinite(norm_N).all()):
            raise ValueError(
                f"BinaryEmbedding.{verb}: x must be finite, found a NaN, an infinity or an overflow of norm2(x)"
            )
        if self.order == 0 and not bool((norm_N > 0).all()):
            raise ValueError(f"BinaryEmbedding.{verb}: order 0 codes directions: no row of x may be zero")
        longest = float(norm_N.max()) if len(x) else 0.0
        # Rows of float32 that were brought to length 1 pass a radius of 1.
        if self.order and self.overload == "error" and longest > self.radius * (1 + 1e-6):
            raise ValueError(
                f"BinaryEmbedding.{verb}: x must have norms up to radius={self.radius:.6g}, found {longest:.6g}; "
                "pass a larger radius, or overload='clip' to shorten such rows"
            )
        radius = self.radius if self.order else None
        for x_RD in x.detach().split(max(1, _CHUNK_ELEMENTS // self.n_bits)):
            yield self.measurement(into_unit_ball(x_RD, radius)).mul_(self.scale * self.radius)

    def _condensed(self, codes: Codes | Tensor) -> Tensor:
        return self.condensation.check(codes) if isinstance(codes, Tensor) else self.condensation(codes)

    def _pairs(self, a: Codes | Tensor, b: Codes | Tensor, estimate: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        a_NP = self._condensed(a)
        b_NP = a_NP if b is a else self._condensed(b)
        out = torch.empty(len(a_NP), len(b_NP), dtype=torch.float32, device=a_NP.device)
        for i in range(0, len(a_NP), _TILE_ROWS):
            a_RP = a_NP[i : i + _TILE_ROWS].double()
            for j in range(0, len(b_NP), _TILE_ROWS):
                out[i : i + _TILE_ROWS, j : j + _TILE_ROWS] = estimate(a_RP, b_NP[j : j + _TILE_ROWS].double())
        return out

    def _inner(self, a_NP: Tensor, b_NP: Tensor) -> Tensor:
        if self.order == 0:
            return torch.sin(a_NP @ b_NP.T * (math.pi / 2 / self.n_bits))  # cos(pi hamming / M)
        return a_NP @ b_NP.T / (self.condensation.energy * self.scale**2)

    def _l2(self, a_NP: Tensor, b_NP: Tensor) -> Tensor:
        if self.order == 0:
            return (2 - 2 * self._inner(a_NP, b_NP)).sqrt()
        square_NN = (a_NP @ b_NP.T).mul_(-2).add_(a_NP.square().sum(1)[:, None]).add_(b_NP.square().sum(1))
        return square_NN.sqrt_().div_(math.sqrt(self.condensation.energy) * self.scale)

    def _l1(self, a_NP: Tensor, b_NP: Tensor) -> Tensor:
        gain = math.sqrt(math.pi / 2 / self.blocks / self.condensation.energy) / self.scale
        return torch.cdist(a_NP, b_NP, p=1) * gain
