"""What a neuron model is: its constants and its start; the step itself is a kernel of the same name.

To add a model: a dataclass with this interface in a file of its own, a kernel file with `update` and its numpy
reference, a number in `lsm.kernels.models`, and a branch in `lsm.kernels.cpu.update`.
"""

from __future__ import annotations

from typing import Protocol

from lsm.distributions import Distribution


class Neuron(Protocol):
    """A model with its constants. Voltages inside are relative to rest."""

    @property
    def code(self) -> int:
        """Number of the kernel, see `lsm.kernels.models`."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the floating-point state variables; the first is the membrane."""
        ...

    @property
    def receptors(self) -> tuple[str, ...]:
        """One name, or "excitatory" and "inhibitory": the sign of a projection's weight decides."""
        ...

    @property
    def start(self) -> Distribution:
        """Membrane at the start, relative to rest, mV."""
        ...

    def parameters(self, step: float, quantum_R: list[float], current: float, voltage: float) -> list[float]:
        """Constants that the kernel reads.

        Args:
            step: ms.
            quantum_R: weight of one unit of each receptor's accumulator.
            current: constant input, pA.
            voltage: constant input as the shift of the resting membrane, mV.
        """
        ...
