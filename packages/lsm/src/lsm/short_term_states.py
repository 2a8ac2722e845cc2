"""The state of short-term plasticity of a network: one for each source population and rule."""

from __future__ import annotations

import numpy as np

from lsm.decay_table import FINE, DecayTable, decay_table
from lsm.kernels.arrays import SpikeArrays
from lsm.kernels.short_term import FIELDS, NEVER, ShortTermArrays
from lsm.projection import Projection
from lsm.short_term import ShortTerm


def short_term_states(projections: list[Projection]) -> dict[tuple[int, ShortTerm], int]:
    """Number the states that a network needs: u and x depend on a source's spikes and the rule alone.

    Args:
        projections: of the network.

    Returns:
        Source population and rule to number, in the order of their first projection.
    """
    states: dict[tuple[int, ShortTerm], int] = {}
    for projection in projections:
        if isinstance(projection.synapse, ShortTerm):
            states.setdefault((projection.pre.index, projection.synapse), len(states))
    return states


def short_term_arrays(projections: list[Projection], step: float, spikes: SpikeArrays) -> ShortTermArrays:
    """The states before any spike.

    Args:
        projections: of the network.
        step: ms.
        spikes: the history, whose spikes get a factor each.
    """
    states = short_term_states(projections)
    sizes = {projection.pre.index: projection.pre.n for projection in projections}
    table_FX, fine_F2K = np.zeros((len(states), FIELDS), np.int64), np.zeros((len(states), 2, FINE))
    coarse: list[np.ndarray] = [np.empty(0)]
    begin, of_coarse = 0, 0
    for (source, rule), f in states.items():
        row = [source, begin]
        for j, tau in enumerate((rule.tau_rec, rule.tau_fac)):
            table: DecayTable = decay_table(tau, step)
            fine_F2K[f, j] = table.fine
            coarse.append(table.coarse)
            row += [of_coarse, len(table.coarse)]
            of_coarse += len(table.coarse)
        table_FX[f] = row
        begin += sizes[source]
    n_slots, n_partitions, most = spikes.id_WPN.shape if states else (0, 0, 0)
    return ShortTermArrays(
        table_FX, np.array([rule.U for _, rule in states]), fine_F2K, np.concatenate(coarse), np.zeros(begin),
        np.ones(begin), np.full(begin, NEVER, np.int64),
        np.empty((len(states), n_slots, n_partitions, most), np.float32),
    )  # fmt: skip
