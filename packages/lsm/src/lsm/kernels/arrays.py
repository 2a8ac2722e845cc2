"""What the kernels of a run read and write, as named tuples of arrays.

Axes: G populations, P partitions, W steps of the spike history, D drives, K constants of a model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class NeuronArrays(NamedTuple):
    """Neurons: where they are, what they are, their state.

    Args:
        first_PG: first neuron of each population in each partition, end in row P; int64, (P + 1, G).
        local_PG: local id of it, end in column G; int64, (P, G + 1).
        model_G: number of the model, int64.
        constant_GK: constants of the model, in the type of the state.
        state_G: where the state of a population begins, int64; variable r of its neuron i is at state_G + r size + i.
        state: float32 or float64.
        clock_G: where the refractory clocks of a population begin, int64.
        clock: steps that a neuron stays refractory, int16.
    """

    first_PG: NDArray[np.int64]
    local_PG: NDArray[np.int64]
    model_G: NDArray[np.int64]
    constant_GK: NDArray[np.floating]
    state_G: NDArray[np.int64]
    state: NDArray[np.floating]
    clock_G: NDArray[np.int64]
    clock: NDArray[np.int16]


class DriveArrays(NamedTuple):
    """Poisson drives.

    Args:
        table_DF: population, receptor row, weight (units), least count, begin and end of the limits; int64.
        key_D: stream of each drive, uint64.
        guide_D: of `lsm.poisson.count_guide`, uint16, (D, 2048).
        limits: of `lsm.poisson.count_limits`, uint64.
    """

    table_DF: NDArray[np.int64]
    key_D: NDArray[np.uint64]
    guide_D: NDArray[np.uint16]
    limits: NDArray[np.uint64]


class SpikeArrays(NamedTuple):
    """Spikes of the last W steps; step t is at t mod W.

    Args:
        start_WPG: begin of the spikes of each population in the list of a step and partition, end in column G; int32.
        id_WPN: neurons in their population, ascending within each population, int32.
    """

    start_WPG: NDArray[np.int32]
    id_WPN: NDArray[np.int32]


class InputArrays(NamedTuple):
    """Spikes of input populations in the steps of a call.

    Args:
        start_GT: begin of the spikes of each population and step, end in column T; int64, (G, T + 1).
        id_n: channels, ascending within a step, int32.
    """

    start_GT: NDArray[np.int64]
    id_n: NDArray[np.int32]


class WorkArrays(NamedTuple):
    """Room of each thread.

    Args:
        arrived_TRN: sums of weights in units that arrive in the present step; int32, zero between steps.
        fired_TN: whether a neuron fires; uint8, zero from the end of a population to the next multiple of 8.
        turn: counts the threads that reached a barrier, int64, (1,).
        events_T: synapses that spikes went through, int64.
    """

    arrived_TRN: NDArray[np.int32]
    fired_TN: NDArray[np.uint8]
    turn: NDArray[np.int64]
    events_T: NDArray[np.int64]
