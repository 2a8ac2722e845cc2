"""The affine map that takes each embedding dimension to [0, 1].

Shapes: n tokens, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def check_matrix(caller: str, x_nD: Tensor, dim: int | None = None) -> Tensor:
    """Give vectors of the right type and width as they are, or say what is wrong with them; their values are not read.

    Args:
        caller: whose argument it is, for the message.
        x_nD: what was passed as vectors, (n, D); an array is taken too.
        dim: the width they must have.

    Returns:
        The vectors, detached, floating point, (n, D), n >= 0.

    Raises:
        TypeError: x is no tensor or array of floating-point numbers.
        ValueError: x is not a matrix, has no columns, or another width.
    """
    if not isinstance(x_nD, Tensor):
        try:
            x_nD = torch.as_tensor(x_nD)
        except (TypeError, ValueError, RuntimeError) as error:
            kind = type(x_nD).__name__
            raise TypeError(f"{caller}: x must be a tensor or an array of numbers, got {kind}: {error}") from error
    if not x_nD.is_floating_point():
        raise TypeError(f"{caller}: x must hold floating-point numbers, got {x_nD.dtype}; convert it with x.float()")
    if x_nD.ndim != 2 or x_nD.shape[1] == 0:
        raise ValueError(f"{caller}: x must be a matrix (tokens, dimensions), got shape {tuple(x_nD.shape)}")
    if dim is not None and x_nD.shape[1] != dim:
        raise ValueError(f"{caller}: x has {x_nD.shape[1]} dimensions, the codec was fitted to {dim}")
    return x_nD.detach()


def check_vectors(caller: str, x_nD: Tensor, dim: int | None = None) -> Tensor:
    """Give finite vectors of the right width in float64, or say what is wrong with them.

    Args:
        caller: whose argument it is, for the message.
        x_nD: what was passed as vectors, (n, D).
        dim: the width they must have.

    Returns:
        The vectors, float64, (n, D), n >= 1.

    Raises:
        TypeError: x is no tensor or array of floating-point numbers.
        ValueError: x is not a matrix, has no rows or columns, another width, or a NaN or an infinity.
    """
    x_nD = check_matrix(caller, x_nD, dim)
    if not len(x_nD):
        raise ValueError(f"{caller}: x has no rows; pass at least one vector")
    finite_n = x_nD.isfinite().all(1)
    if not bool(finite_n.all()):
        row = int((~finite_n).nonzero()[0])
        raise ValueError(f"{caller}: row {row} of x has a NaN or an infinity; remove such rows first")
    return x_nD.double()


@dataclass(frozen=True)
class Calibration:
    """The range of each dimension, [low, high], which the lattice of neurons covers as [0, 1].

        u = (x - low) / (high - low)

    A dimension with one value only (low = high) is encoded as u = 1/2 and decodes to that value.

    Args:
        low_D: least value, float64, (D,).
        high_D: largest value, float64, (D,).

    Raises:
        ValueError: the bounds are of different shapes, not finite, beyond float32, or high < low.
    """

    low_D: Tensor
    high_D: Tensor

    def __post_init__(self) -> None:
        if self.low_D.ndim != 1 or self.low_D.shape != self.high_D.shape or not len(self.low_D):
            raise ValueError(
                f"Calibration: low and high must be two vectors of one length, got {tuple(self.low_D.shape)} and "
                f"{tuple(self.high_D.shape)}"
            )
        if not bool((self.low_D.isfinite() & self.high_D.isfinite() & (self.high_D >= self.low_D)).all()):
            raise ValueError("Calibration: low and high must be finite and low <= high in every dimension")
        most = torch.finfo(torch.float32).max
        if bool((torch.maximum(self.low_D.abs(), self.high_D.abs()) > most).any()):
            raise ValueError(f"Calibration: values beyond {most:.3g} cannot be given back in float32; scale x first")

    @classmethod
    def fit(cls, x_nD: Tensor) -> Calibration:
        """Take the range of each dimension from data.

        Args:
            x_nD: vectors, floating point, (n, D), n >= 1.

        Returns:
            The calibration, on the device of x.

        Raises:
            TypeError, ValueError: x is no finite matrix with rows.
        """
        x_nD = check_vectors("Calibration.fit", x_nD)
        low_D, high_D = torch.aminmax(x_nD, dim=0)
        return cls(low_D, high_D)

    @property
    def dim(self) -> int:
        """Number of dimensions D."""
        return len(self.low_D)

    @property
    def width_D(self) -> Tensor:
        """Width of each range in units of x, float64, (D,)."""
        return self.high_D - self.low_D

    def to_unit(self, x_nD: Tensor) -> tuple[Tensor, Tensor]:
        """Map vectors to [0, 1].

        Args:
            x_nD: finite vectors, float64, (n, D).

        Returns:
            Values in [0, 1], float64, (n, D), and how many of each token lay outside and were clipped, int64, (n,).
        """
        outside_nD = (x_nD < self.low_D) | (x_nD > self.high_D)
        width_D = self.width_D
        u_nD = (x_nD - self.low_D) / torch.where(width_D > 0, width_D, 1)
        u_nD = torch.where(width_D > 0, u_nD.clamp(0, 1), 0.5)
        return u_nD, outside_nD.sum(1)

    def from_unit(self, u_nD: Tensor) -> Tensor:
        """Map values in [0, 1] back to the units of x, float32, (n, D)."""
        return (self.low_D + u_nD.double() * self.width_D).float()

    def to(self, device: torch.device | str) -> Calibration:
        """The same calibration on a device."""
        return Calibration(self.low_D.to(device), self.high_D.to(device))
