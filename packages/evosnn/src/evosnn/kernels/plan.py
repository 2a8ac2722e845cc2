"""What a run is given besides parameters and state, as every kernel takes it.

Axes: P individuals, C afferents, N neurons.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

MODES = {"accumulate": 0, "bernoulli": 1, "spikes": 2}


@dataclass
class Drive:
    """Input of one run.

    Attributes:
        drive_PC: of `AfferentDrive`, contiguous, in the type of the state.
        stream_P: of `AfferentDrive`, int64.
        mode: number of the mode in `MODES`.
        external_PN: constant current into each neuron, padded, or None.
        reward_P: reward that comes in the first step, or None.
        active_P: rows that run, bool.
        steps: number of steps, >= 0.
        rate_scale: Hz of one spike a step, 1000 / h.
    """

    drive_PC: Tensor
    stream_P: Tensor
    mode: int
    external_PN: Tensor | None
    reward_P: Tensor | None
    active_P: Tensor
    steps: int
    rate_scale: float
