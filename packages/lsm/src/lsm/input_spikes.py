"""Spikes that the user gives to input populations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from lsm.kernels.arrays import InputArrays
from lsm.network import Network

_ROUNDING = 1e-6  # of a step


def input_arrays(network: Network, inputs: Mapping[str, tuple[ArrayLike, ArrayLike]], n_steps: int) -> InputArrays:
    """Sort input spikes by population and step.

    Args:
        network: its populations.
        inputs: name to (times in ms since the beginning of the run, channels).
        n_steps: of the run.

    Returns:
        What the kernels read.

    Raises:
        ValueError: a name is no input population, times and channels differ in number, or lie outside.
    """
    start_GT = np.zeros((len(network.populations), n_steps + 1), np.int64)
    ids, begin = [np.empty(0, np.int32)], 0
    given = {network.find(name).name: spikes for name, spikes in inputs.items()}
    for population in network.populations:
        start_GT[population.index] = begin
        if population.name not in given:
            continue
        if population.model is not None:
            raise ValueError(
                f"run: {population.name!r} holds neurons, inputs are for populations made by Network.inputs"
            )
        times, channels = (np.asarray(part).reshape(-1) for part in given[population.name])
        times = times.astype(np.float64)
        if len(times) != len(channels):
            raise ValueError(f"run: inputs of {population.name!r} have {len(times)} times, {len(channels)} channels")
        if not len(times):
            continue
        if not (np.issubdtype(channels.dtype, np.integer) and channels.min() >= 0 and channels.max() < population.n):
            raise ValueError(f"run: channels of {population.name!r} must be whole numbers from 0 to {population.n - 1}")
        steps = np.maximum(np.ceil(times / network.step - _ROUNDING), 1) - 1
        if not (np.isfinite(times).all() and times.min() >= 0 and steps.max() < n_steps):
            end = n_steps * network.step
            raise ValueError(f"run: times of {population.name!r} must lie from 0 to {end:g} ms of this run")
        codes = np.unique(steps.astype(np.int64) * population.n + channels)
        start_GT[population.index] = begin + np.searchsorted(codes, np.arange(n_steps + 1) * population.n)
        ids.append((codes % population.n).astype(np.int32))
        begin += len(codes)
    return InputArrays(start_GT, np.concatenate(ids))
