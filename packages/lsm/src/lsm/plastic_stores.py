"""What learning synapses need beside their weights: rules, traces, and the way from a target to its synapses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm.decay_table import FINE, decay_table
from lsm.dopamine import DopamineSTDP, dopamine_constants
from lsm.kernels import plastic_arrays as field
from lsm.kernels.plastic_arrays import PlasticArrays
from lsm.kernels.short_term import NEVER
from lsm.layout import Layout
from lsm.network import Network
from lsm.projection import Projection
from lsm.stdp import STDP
from lsm.store import PLASTIC, StoreArrays, StorePlan


def is_plastic(projection: Projection) -> bool:
    """Whether the weights of a projection change."""
    return isinstance(projection.synapse, STDP | DopamineSTDP)


def plastic_reach(projections: list[Projection], step: float) -> int:
    """Age in steps of the oldest spike that a learning synapse looks at."""
    ages = [0]
    for projection in projections:
        if is_plastic(projection):
            delay = round(projection.delay.bounds[0] / step)
            ages.append(2 * delay)
            if isinstance(projection.synapse, DopamineSTDP):
                ages.append(delay + release_steps(projection.synapse, step))
    return max(ages)


def release_steps(rule: DopamineSTDP, step: float) -> int:
    """Delay of the dopamine in steps."""
    return max(1, round(rule.dopamine_delay / step))


def learning_arrays(
    network: Network, layout: Layout, plans: list[StorePlan], stores: StoreArrays, quantum_GR: list[list[float]],
    dtype: np.dtype,
) -> PlasticArrays:  # fmt: skip
    """Rules and traces before any spike.

    Args:
        network: the description.
        layout: its partitions.
        plans: of the stores.
        stores: with their synapses.
        quantum_GR: unit of the weights of each population and receptor.
        dtype: of weights and traces.
    """
    learning = [(s, plan.projections[0]) for s, plan in enumerate(plans) if plan.kind == PLASTIC]
    n, n_partitions = len(learning), layout.n_partitions
    table_LX, constant_LK = np.zeros((n, field.INTEGERS), np.int64), np.zeros((n, field.CONSTANTS), dtype)
    dopamine_LD, fine_L2J = np.zeros((n, field.DOPAMINE_CONSTANTS)), np.zeros((n, 2, FINE), dtype)
    coarse, left, growth = [np.empty(0, dtype)], [np.empty(0)], [np.empty(0)]
    pre_LP, eligible_LP, index_LP = (np.zeros((n, n_partitions + 1), np.int64) for _ in range(3))
    incoming_LP = np.zeros((n, n_partitions), np.int64)
    incoming, index, source = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    of_coarse = of_left = of_pre = of_post = of_eligible = of_incoming = of_index = 0
    for learner, (s, projection) in enumerate(learning):
        rule, pre, post = projection.synapse, projection.pre, projection.post
        gated = isinstance(rule, DopamineSTDP)
        assert gated or isinstance(rule, STDP)
        row = [
            s,
            pre.index,
            post.index,
            round(projection.delay.bounds[0] / network.step),
            projection.receptor,
            int(gated),
        ]
        row.append(of_post)
        for j, tau in enumerate((rule.tau_plus, rule.tau_minus)):
            table = decay_table(tau, network.step, dtype.type)
            fine_L2J[learner, j] = table.fine
            coarse.append(table.coarse)
            row += [of_coarse, len(table.coarse)]
            of_coarse += len(table.coarse)
        if gated:
            constants = dopamine_constants(rule, network.step)
            pool = network.find(rule.dopamine).index if rule.dopamine else -1
            row += [pool, row[field.DELAY] + release_steps(rule, network.step), of_left, constants.length]
            left.append(constants.left)
            growth.append(constants.growth)
            of_left += constants.length + 1
            dopamine_LD[learner] = constants.decay, constants.per_dopamine, constants.per_baseline, constants.release
            changes = [rule.A_plus, rule.A_minus, 0.0, 0.0]
        else:
            row += [-1, 0, of_left, 0]
            changes = [rule.rate, rule.alpha * rule.rate, rule.mu_plus, rule.mu_minus]
        table_LX[learner] = row
        per_unit = 1 / quantum_GR[post.index][projection.receptor]
        constant_LK[learner] = [*changes, *rule.bounds, rule.w_max, per_unit]
        of_post += post.n
        for p in range(n_partitions):
            pre_LP[learner, p], eligible_LP[learner, p], index_LP[learner, p] = of_pre, of_eligible, of_index
            incoming_LP[learner, p] = of_incoming
            begins, order, sources = _by_target(layout, stores, s, p, pre.n, post.index)
            of_pre += pre.n
            of_eligible += len(order) if gated else 0
            of_index += len(order)
            of_incoming += len(begins)
            incoming.append(begins)
            index.append(order)
            source.append(sources)
        pre_LP[learner, -1], eligible_LP[learner, -1], index_LP[learner, -1] = of_pre, of_eligible, of_index
    return PlasticArrays(
        table_LX=table_LX,
        constant_LK=constant_LK,
        dopamine_LD=dopamine_LD,
        fine_L2J=fine_L2J,
        coarse=np.concatenate(coarse),
        left=np.concatenate(left),
        growth=np.concatenate(growth),
        pre_LP=pre_LP,
        pre_trace=np.zeros(of_pre, dtype),
        pre_last=np.full(of_pre, NEVER, np.int64),
        post_trace=np.zeros(of_post, dtype),
        post_last=np.full(of_post, NEVER, np.int64),
        eligible_LP=eligible_LP,
        eligibility=np.zeros(of_eligible, dtype),
        level_LPX=np.zeros((n, n_partitions, field.LEVELS)),
        age_LP=np.zeros((n, n_partitions), np.int64),
        incoming_LP=incoming_LP,
        incoming=np.concatenate(incoming),
        index_LP=index_LP,
        place=np.concatenate(index),
        source=np.concatenate(source),
    )


def _by_target(
    layout: Layout, stores: StoreArrays, s: int, p: int, n_pre: int, post: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Begin of each target's synapses; the synapses in the order of their targets; their sources."""
    begin = stores.pointer_SP[s, p]
    pointers = stores.pointers[begin : begin + n_pre + 1]
    at = stores.synapse_SP[s, p]
    first, end = layout.local_PG[p, post : post + 2]
    targets = stores.learning_targets[at : at + pointers[-1]].astype(np.int64) - first
    order = np.argsort(targets, kind="stable").astype(np.int32)
    begins = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=end - first))]).astype(np.int32)
    return begins, order, np.repeat(np.arange(n_pre, dtype=np.int32), np.diff(pointers))[order]
