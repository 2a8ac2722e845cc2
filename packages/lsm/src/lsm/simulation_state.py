"""All that changes while a simulation runs, as arrays that do not depend on partitions or processes.

Axes: T steps that are still looked at, G populations, F short-term states, L plastic projections.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lsm.gather_state import gather_neurons
from lsm.kernels import plastic_arrays as field
from lsm.kernels.short_term import SOURCE
from lsm.plastic_weights import canonical_order, gathered_parts

if TYPE_CHECKING:
    from lsm.simulation import Simulation

_MOST_STEPS = 1 << 53  # beyond, times are no longer exact
Arrays = dict[str, NDArray[Any]]


def state_of(simulation: Simulation) -> Arrays:
    """Copy the state.

    Args:
        simulation: at any time between runs; where processes share it, all of them ask.

    Returns:
        Membranes and clocks, spikes in flight with their factors, short-term states, weights and traces; by name.
    """
    gather_neurons(simulation)
    neurons, short_term, learning = simulation.neurons, simulation.short_term, simulation.learning
    arrays: Arrays = {"neurons.state": neurons.state.copy(), "neurons.clock": neurons.clock.copy()}
    arrays |= _spikes_of(simulation)
    for name in ("u", "x", "last"):
        arrays[f"short_term.{name}"] = getattr(short_term, name).copy()
    kept = simulation.ranks.own.start  # a partition of this process; what all keep alike is up to date in it
    for learner, table_X in enumerate(learning.table_LX):
        parts = gathered_parts(simulation, learner)
        order = canonical_order(parts)
        arrays[f"learning.{learner}.weights"] = np.concatenate([part.weights for part in parts])[order]
        if table_X[field.GATED]:
            arrays[f"learning.{learner}.eligibility"] = np.concatenate([part.eligibility for part in parts])[order]
        begin, end = learning.pre_LP[learner, kept : kept + 2]
        arrays[f"learning.{learner}.pre_trace"] = learning.pre_trace[begin:end].copy()
        arrays[f"learning.{learner}.pre_last"] = learning.pre_last[begin:end].copy()
    arrays["learning.post_trace"], arrays["learning.post_last"] = learning.post_trace.copy(), learning.post_last.copy()
    arrays["learning.level"] = learning.level_LPX[:, kept].copy()
    arrays["learning.age"] = learning.age_LP[:, kept].copy()
    return arrays


def set_state(simulation: Simulation, arrays: Arrays, steps_done: int) -> None:
    """Put a simulation of the same network, with any partitions, into a state.

    Args:
        simulation: freshly built.
        arrays: of `state_of`.
        steps_done: steps that led to the state.

    Raises:
        ValueError: the arrays do not fit the network; KeyError where one is missing.
    """
    if not 0 <= steps_done <= _MOST_STEPS:
        raise ValueError(f"{steps_done} steps")
    simulation.steps_done = steps_done
    neurons, short_term, learning = simulation.neurons, simulation.short_term, simulation.learning
    _put(neurons.state, arrays["neurons.state"])
    _put(neurons.clock, arrays["neurons.clock"], least=0)
    for name in ("u", "x"):
        _put(getattr(short_term, name), arrays[f"short_term.{name}"])
    _put(short_term.last, arrays["short_term.last"], most=steps_done - 1)
    _set_spikes(simulation, arrays)
    n_partitions = simulation.layout.n_partitions
    for learner, table_X in enumerate(learning.table_LX):
        parts = gathered_parts(simulation, learner)
        order = canonical_order(parts)
        of_part = np.repeat(np.arange(n_partitions), [len(part.weights) for part in parts])
        for name in ("weights", "eligibility") if table_X[field.GATED] else ("weights",):
            whole = np.empty(len(order), learning.constant_LK.dtype)
            canonical = np.empty_like(whole)
            _put(canonical, arrays[f"learning.{learner}.{name}"])
            whole[order] = canonical
            for p in simulation.ranks.own:
                getattr(parts[p], name)[:] = whole[of_part == p]
        begins = learning.pre_LP[learner]
        for begin, end in pairwise(begins):
            _put(learning.pre_trace[begin:end], arrays[f"learning.{learner}.pre_trace"])
            _put(learning.pre_last[begin:end], arrays[f"learning.{learner}.pre_last"], most=steps_done - 1)
    _put(learning.post_trace, arrays["learning.post_trace"])
    _put(learning.post_last, arrays["learning.post_last"], most=steps_done - 1)
    level_LX, age_L = np.empty_like(learning.level_LPX[:, 0]), np.empty_like(learning.age_LP[:, 0])
    _put(level_LX, arrays["learning.level"])
    _put(age_L, arrays["learning.age"], least=0)
    if (age_L > learning.table_LX[:, field.INTERVAL]).any():
        raise ValueError("an interval of dopamine is longer than it can be")
    learning.level_LPX[:], learning.age_LP[:] = level_LX[:, None], age_L[:, None]


def _spikes_of(simulation: Simulation) -> Arrays:
    spikes, short_term = simulation.spikes, simulation.short_term
    n_slots, n_partitions, _ = spikes.start_WPG.shape
    since = max(0, simulation.steps_done - simulation.history_steps)
    n_populations = len(simulation.layout.sizes)
    count_TG = np.zeros((simulation.steps_done - since, n_populations), np.int32)
    ids: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    factors: list[list[NDArray[np.float32]]] = [[np.empty(0, np.float32)] for _ in short_term.table_FX]
    for row, t in enumerate(range(since, simulation.steps_done)):
        slot = t % n_slots
        for g in range(n_populations):
            for p in range(n_partitions):
                begin, end = spikes.start_WPG[slot, p, g : g + 2]
                count_TG[row, g] += end - begin
                ids.append(spikes.id_WPN[slot, p, begin:end])
                for f in np.flatnonzero(short_term.table_FX[:, SOURCE] == g):
                    factors[f].append(short_term.factor_FWPN[f, slot, p, begin:end])
    arrays: Arrays = {"spikes.counts": count_TG, "spikes.ids": np.concatenate(ids)}
    return arrays | {f"spikes.factors.{f}": np.concatenate(parts) for f, parts in enumerate(factors)}


def _set_spikes(simulation: Simulation, arrays: Arrays) -> None:
    spikes, short_term, layout = simulation.spikes, simulation.short_term, simulation.layout
    n_slots, n_partitions, _ = spikes.start_WPG.shape
    n_steps = min(simulation.steps_done, simulation.history_steps)
    count_TG = np.empty((n_steps, len(layout.sizes)), np.int32)
    _put(count_TG, arrays["spikes.counts"], least=0)
    ids = np.empty(count_TG.sum(dtype=np.int64), np.int32)
    _put(ids, arrays["spikes.ids"], least=0)
    factors: list[NDArray[np.float32]] = []
    for f, source in enumerate(short_term.table_FX[:, SOURCE]):
        factors.append(np.empty(count_TG[:, source].sum(dtype=np.int64), np.float32))
        _put(factors[f], arrays[f"spikes.factors.{f}"])
    at, of_factor = 0, [0] * len(factors)
    for row, t in enumerate(range(simulation.steps_done - n_steps, simulation.steps_done)):
        slot, written = t % n_slots, [0] * n_partitions
        for g, n in enumerate(layout.sizes):
            of_step = ids[at : at + count_TG[row, g]]
            at += len(of_step)
            if len(of_step) and (of_step[-1] >= n or (np.diff(of_step) <= 0).any()):
                raise ValueError("spikes of neurons that are not there")
            bounds = np.searchsorted(of_step, layout.first_PG[:, g])
            for p in range(n_partitions):
                part = of_step[bounds[p] : bounds[p + 1]]
                begin, end = written[p], written[p] + len(part)
                spikes.start_WPG[slot, p, g : g + 2] = begin, end
                spikes.id_WPN[slot, p, begin:end] = part
                written[p] = end
                for f in np.flatnonzero(short_term.table_FX[:, SOURCE] == g):
                    short_term.factor_FWPN[f, slot, p, begin:end] = factors[f][of_factor[f] : of_factor[f] + len(part)]
                    of_factor[f] += len(part)


def _put(into: NDArray[Any], given: NDArray[Any], *, least: int | None = None, most: int | None = None) -> None:
    """Copy what has the same type and shape, is finite, and lies within bounds."""
    if given.dtype != into.dtype or given.shape != into.shape:
        raise ValueError(f"expected {into.dtype} {into.shape}, got {given.dtype} {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("numbers that are not finite")
    if given.size and ((least is not None and given.min() < least) or (most is not None and given.max() > most)):
        raise ValueError("whole numbers out of their range")
    into[...] = given
