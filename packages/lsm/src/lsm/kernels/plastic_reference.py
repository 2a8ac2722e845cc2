"""What `lsm.kernels.plastic` does, in numpy and by the functions of `lsm.stdp` and `lsm.dopamine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm.decay_table import DecayTable, decayed
from lsm.kernels import plastic_arrays as field
from lsm.kernels.arrays import NeuronArrays, SpikeArrays
from lsm.kernels.plastic_arrays import PlasticArrays
from lsm.stdp import share_after_depression, share_after_potentiation
from lsm.store import StoreArrays


def step(
    p: int, t: int, neurons: NeuronArrays, stores: StoreArrays, plastic: PlasticArrays, spikes: SpikeArrays,
    arrived_RN: NDArray[np.int32],
) -> int:  # fmt: skip
    """All plastic projections of partition p in step t; give the number of synapses that spikes went through."""
    return sum(
        _Projection(learner, p, t, neurons, stores, plastic, spikes).step(arrived_RN)
        for learner in range(len(plastic.table_LX))
    )


class _Projection:
    """One plastic projection in one partition and step; views into the arrays."""

    def __init__(
        self,
        learner: int,
        p: int,
        t: int,
        neurons: NeuronArrays,
        stores: StoreArrays,
        plastic: PlasticArrays,
        spikes: SpikeArrays,
    ) -> None:
        self.learner, self.p, self.t, self.plastic, self.spikes = learner, p, t, plastic, spikes
        self.table_X, self.constant_K = plastic.table_LX[learner], plastic.constant_LK[learner]
        store = self.table_X[field.STORE]
        pointer, at = stores.pointer_SP[store, p], stores.synapse_SP[store, p]
        pre = plastic.pre_LP[learner, p : p + 2]
        self.pointers = stores.pointers[pointer : pointer + pre[1] - pre[0] + 1]
        self.target_E = stores.learning_targets[at : at + self.pointers[-1]].astype(np.int64)
        self.weight_E = stores.learning_weights[at : at + self.pointers[-1]]
        begin, end = plastic.eligible_LP[learner, p : p + 2]
        self.eligibility_E = plastic.eligibility[begin:end]
        self.gated = bool(self.table_X[field.GATED])
        post = self.table_X[field.POST]
        self.local_shift = neurons.first_PG[p, post] - neurons.local_PG[p, post]
        self.first_post = neurons.first_PG[p, post]
        self.level_X = plastic.level_LPX[learner, p]

    def _spikes(self, age: int, g: int, partitions: range | list[int]) -> NDArray[np.int64]:
        emitted = self.t - age
        if emitted < 0:
            return np.empty(0, np.int64)
        slot = emitted % len(self.spikes.start_WPG)
        parts = []
        for q in partitions:
            begin, end = self.spikes.start_WPG[slot, q, g : g + 2]
            parts.append(self.spikes.id_WPN[slot, q, begin:end].astype(np.int64))
        return np.concatenate(parts)

    def _decays(self, j: int, last: NDArray[np.int64]) -> NDArray[np.floating]:
        begin, n = self.table_X[field.PLUS + 2 * j : field.PLUS + 2 * j + 2]
        table = DecayTable(self.plastic.fine_L2J[self.learner, j], self.plastic.coarse[begin : begin + n])
        return decayed(table, self.t - last)

    def step(self, arrived_RN: NDArray[np.int32]) -> int:
        table_X, plastic, n_partitions = self.table_X, self.plastic, self.spikes.start_WPG.shape[1]
        if self.gated:
            self._release()
        pre = self._spikes(table_X[field.DELAY], table_X[field.PRE], range(n_partitions))
        post = self._spikes(2 * table_X[field.DELAY], table_X[field.POST], [self.p])
        pre_at, post_at = plastic.pre_LP[self.learner, self.p], table_X[field.POST_BEGIN]
        index = plastic.index_LP[self.learner, self.p]
        incoming = plastic.incoming[plastic.incoming_LP[self.learner, self.p] :]
        local = post - self.first_post
        e = _ranges(index + incoming[local].astype(np.int64), index + incoming[local + 1].astype(np.int64))
        source = pre_at + plastic.source[e].astype(np.int64)
        self._change(plastic.place[e], field.UP, plastic.pre_trace[source] * self._decays(0, plastic.pre_last[source]))
        e = _ranges(self.pointers[pre].astype(np.int64), self.pointers[pre + 1].astype(np.int64))
        target = post_at + self.local_shift + self.target_E[e]
        now = self._change(e, field.DOWN, plastic.post_trace[target] * self._decays(1, plastic.post_last[target]))
        units = np.rint(now * self.constant_K[field.PER_UNIT]).astype(np.int32)
        np.add.at(arrived_RN[table_X[field.ROW]], self.target_E[e], units)
        for j, at in ((0, pre_at + pre), (1, post_at + post)):
            trace, last = (plastic.pre_trace, plastic.pre_last) if j == 0 else (plastic.post_trace, plastic.post_last)
            trace[at] = trace[at] * self._decays(j, last[at]) + trace.dtype.type(1)
            last[at] = self.t
        return len(e)

    def _now(self, e: NDArray[np.integer]) -> NDArray[np.floating]:
        number = self.weight_E.dtype.type
        w = self.weight_E[e] + self.eligibility_E[e] * number(self.level_X[field.INTEGRAL])
        return np.minimum(np.maximum(w, self.constant_K[field.LOW]), self.constant_K[field.HIGH])

    def _change(self, e: NDArray[np.integer], way: int, trace: NDArray[np.floating]) -> NDArray[np.floating]:
        """Let the pairs of one kind act on synapses; give their weights now."""
        constant_K, number = self.constant_K, self.weight_E.dtype.type
        if self.gated:
            now = self._now(e)
            left = self.table_X[field.LEFT] + self.plastic.age_LP[self.learner, self.p]
            change = constant_K[way] * trace * number(self.plastic.growth[left])
            c0 = self.eligibility_E[e] + (change if way == field.UP else -change)
            self.eligibility_E[e] = c0
            self.weight_E[e] = now - c0 * number(self.level_X[field.INTEGRAL])
            return now
        share = self.weight_E[e] / constant_K[field.W_MAX]
        if way == field.UP:
            share = share_after_potentiation(share, trace, constant_K[way], float(constant_K[field.MU_PLUS]))
        else:
            share = share_after_depression(share, trace, constant_K[way], float(constant_K[field.MU_MINUS]))
        self.weight_E[e] = share * constant_K[field.W_MAX]
        return self.weight_E[e]

    def _release(self) -> None:
        plastic, table_X, level_X = self.plastic, self.table_X, self.level_X
        number = self.weight_E.dtype.type
        left, age_P = table_X[field.LEFT], plastic.age_LP[self.learner]
        if age_P[self.p] == table_X[field.INTERVAL]:
            self.weight_E[:] = self._now(np.arange(len(self.weight_E)))
            self.eligibility_E[:] *= number(plastic.left[left + table_X[field.INTERVAL]])
            level_X[field.INTEGRAL], age_P[self.p] = 0.0, 0
        of_step_D = plastic.dopamine_LD[self.learner]
        change = level_X[field.LEVEL] * of_step_D[field.PER_DOPAMINE] - of_step_D[field.PER_BASELINE]
        level_X[field.INTEGRAL] += plastic.left[left + age_P[self.p]] * change
        level_X[field.LEVEL] *= of_step_D[field.DECAY_N]
        age_P[self.p] += 1
        if table_X[field.DOPAMINE] >= 0:
            every = range(self.spikes.start_WPG.shape[1])
            released = len(self._spikes(table_X[field.DOPAMINE_AGE], table_X[field.DOPAMINE], every))
            level_X[field.LEVEL] += released * of_step_D[field.RELEASE]


def _ranges(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """All whole numbers of some ranges, one range after the other."""
    return np.concatenate([np.empty(0, np.int64), *(np.arange(a, b) for a, b in zip(begins, ends, strict=True))])
