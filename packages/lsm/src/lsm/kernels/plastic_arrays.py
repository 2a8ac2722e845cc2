"""What the kernels of learning synapses read and write.

Axes: L plastic projections, P partitions, X whole numbers, K constants, D constants of dopamine, J steps of a table.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STORE, PRE, POST, DELAY, ROW, GATED, POST_BEGIN, PLUS, N_PLUS, MINUS, N_MINUS = range(11)
DOPAMINE, DOPAMINE_AGE, LEFT, INTERVAL, INTEGERS = 11, 12, 13, 14, 15
UP, DOWN, MU_PLUS, MU_MINUS, LOW, HIGH, W_MAX, PER_UNIT, CONSTANTS = range(9)
DECAY_N, PER_DOPAMINE, PER_BASELINE, RELEASE, DOPAMINE_CONSTANTS = range(5)
LEVEL, INTEGRAL, LEVELS = range(3)


class PlasticArrays(NamedTuple):
    """Rules, traces, eligibilities and the way from a target to its synapses.

    Args:
        table_LX: store; source and target population; delay; receptor row; whether dopamine gates; begin of the target
            traces; begin and length of the coarse tables of both traces; population that releases dopamine or -1; age
            of its spikes at release; begin and length of the tables of an interval; int64.
        constant_LK: what a pair changes up and down, exponents, bounds, w_max, units per weight; of the weights' type.
        dopamine_LD: decay of the dopamine and what a step integrates, see `DopamineConstants`; float64.
        fine_L2J: fine tables of the traces of sources and targets.
        coarse: their coarse tables.
        left: tables exp(-k h / tau_c), float64.
        growth: tables exp(k h / tau_c), float64.
        pre_LP: begin of the source traces of a partition, which each partition keeps for itself; int64.
        pre_trace: K+ at the last spike that has reached the synapses.
        pre_last: its step, int64.
        post_trace: K- at the last spike that has reached the synapses.
        post_last: its step, int64.
        eligible_LP: begin of the eligibilities of a partition, int64.
        eligibility: as of the beginning of the interval.
        level_LPX: dopamine and its integral since the beginning of the interval, float64.
        age_LP: steps since then, int64.
        incoming_LP: begin of the pointers to a partition's targets, int64.
        incoming: begin of the synapses of each local target, counted from the first of the partition, int32.
        index_LP: begin of a partition's `index` and `source`, int64.
        index: synapses in the order of their targets, counted in the order of the store, int32.
        source: their sources, int32.
    """

    table_LX: NDArray[np.int64]
    constant_LK: NDArray[np.floating]
    dopamine_LD: NDArray[np.float64]
    fine_L2J: NDArray[np.floating]
    coarse: NDArray[np.floating]
    left: NDArray[np.float64]
    growth: NDArray[np.float64]
    pre_LP: NDArray[np.int64]
    pre_trace: NDArray[np.floating]
    pre_last: NDArray[np.int64]
    post_trace: NDArray[np.floating]
    post_last: NDArray[np.int64]
    eligible_LP: NDArray[np.int64]
    eligibility: NDArray[np.floating]
    level_LPX: NDArray[np.float64]
    age_LP: NDArray[np.int64]
    incoming_LP: NDArray[np.int64]
    incoming: NDArray[np.int32]
    index_LP: NDArray[np.int64]
    place: NDArray[np.int32]
    source: NDArray[np.int32]
