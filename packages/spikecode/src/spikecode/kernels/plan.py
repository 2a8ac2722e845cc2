"""What a kernel needs to know to make the spikes of one row, a row being one value: a token in one dimension.

Shapes: R rows, W neurons of a window, K words of a train, Z entries of a tuning table.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """What is common to all rows.

    Args:
        drive_Z: drive at each distance, in units of 2^-32, int64, (Z,).
        spacing: parts of an entry between neighbouring neurons.
        fraction_bits: a part is 2^-fraction_bits of an entry.
        window: W.
        kind: the coding scheme, as `Scheme.kind`.
        gap, cycles, period: as `Scheme.parameters`.
        active: bins that the scheme fills.
        steps: T; active + 1 where the train has a pause that marks its shift, else active.
    """

    drive_Z: Tensor
    spacing: int
    fraction_bits: int
    window: int
    kind: int
    gap: int
    cycles: int
    period: int
    active: int
    steps: int

    @property
    def words(self) -> int:
        """K: 64-bit words of a train."""
        return (self.steps + 63) // 64


@dataclass(frozen=True)
class Rows:
    """What differs from row to row.

    Args:
        start_R: start of the random stream, int64, (R,).
        step_R: its odd step, int64, (R,).
        place_R: the value on the lattice, in parts, int64, (R,).
        first_R: first neuron of the window, int32, (R,).
        shift_R: bins that the train is turned by, int32, (R,); 0 where there is no position.
    """

    start_R: Tensor
    step_R: Tensor
    place_R: Tensor
    first_R: Tensor
    shift_R: Tensor
