"""A network's description turned into the arrays that the kernels read."""

from __future__ import annotations

import numpy as np

from lsm.dc import DC
from lsm.distributions import Constant, draw
from lsm.dopamine import DopamineSTDP
from lsm.explicit import Explicit
from lsm.kernels.arrays import DriveArrays, NeuronArrays
from lsm.kernels.models import INPUT
from lsm.layout import Layout
from lsm.network import Network
from lsm.poisson import GUIDE_BITS, Poisson, count_guide, count_limits
from lsm.projection import Projection
from lsm.quantum import quantum
from lsm.stdp import STDP
from lsm.streams import key, word

MOST_ROUNDING = 0.05  # of a constant weight


def receptor_of(receptors: tuple[str, ...], weight: float) -> int:
    """Row of the accumulator that a weight goes to."""
    return int(len(receptors) == 2 and weight < 0)


def quanta(network: Network) -> list[list[float]]:
    """Unit of the weights of each population and receptor."""
    units = []
    for population in network.populations:
        rows = []
        for row in range(len(population.receptors)):
            constants, reach, total, fine = [], 0.0, 0.0, False
            for projection in network.projections:
                if projection.post is population and projection.receptor == row:
                    largest = max(map(abs, projection.weight.bounds))
                    fine |= projection.synapse is not None
                    if isinstance(projection.synapse, STDP | DopamineSTDP):
                        largest = max(map(abs, projection.synapse.bounds))
                        constants.append(largest)
                    elif isinstance(projection.weight, Constant):
                        constants.append(projection.weight.value)
                    else:
                        reach = max(reach, largest)
                    total += _most_arriving(projection, network.seed) * largest
            for target, source in network.drives:
                if target is not population or not isinstance(source, Poisson):
                    continue
                if receptor_of(population.receptors, source.weight) == row:
                    constants.append(source.weight)
                    mean = source.rate * network.step / 1000
                    total += (mean + 9 * mean**0.5 + 20) * abs(source.weight)
            rows.append(quantum(constants, reach, total, fine=fine))
            _check_rounding(population.name, constants, rows[-1])
        units.append(rows)
    return units


def _most_arriving(projection: Projection, seed: int) -> float:
    """Synapses of one target that may be reached in one step, with room for what chance adds."""
    pair = projection.pair(seed)
    if isinstance(projection.rule, Explicit):
        return projection.rule.most_indegree(pair)
    return 4 * projection.rule.expected(pair) / pair.n_post + 100


def _check_rounding(population: str, constants: list[float], unit: float) -> None:
    """Raise ValueError where a weight is so small beside the others that it would be lost."""
    for weight in constants:
        if abs(round(weight / unit) * unit - weight) > MOST_ROUNDING * abs(weight):
            raise ValueError(
                f"build: a weight of {weight:g} to {population!r} is too small beside its others, whose common unit is "
                f"{unit:.3g}; it cannot be kept to {MOST_ROUNDING:.0%}"
            )


def neuron_arrays(network: Network, layout: Layout, quantum_GR: list[list[float]], dtype: np.dtype) -> NeuronArrays:
    """Neurons at time 0."""
    populations = network.populations
    variables = [len(population.model.variables) if population.model else 0 for population in populations]
    sizes = np.array(layout.sizes, np.int64)
    state_G = np.concatenate([[0], np.cumsum(sizes * variables)])
    clocked = [n if population.model else 0 for n, population in zip(layout.sizes, populations, strict=True)]
    clock_G = np.concatenate([[0], np.cumsum(np.array(clocked, np.int64))])
    state = np.zeros(state_G[-1], dtype)
    constants = []
    for g, population in enumerate(populations):
        if population.model is None:
            constants.append([])
            continue
        inputs = [source for target, source in network.drives if target is population and isinstance(source, DC)]
        current, voltage = sum(dc.current for dc in inputs), sum(dc.voltage for dc in inputs)
        constants.append(population.model.parameters(network.step, quantum_GR[g], current, voltage))
        keys = word(key(network.seed, "membrane", g), np.arange(population.n, dtype=np.uint64))
        state[state_G[g] : state_G[g] + population.n] = draw(population.model.start, keys)
    constant_GK = np.zeros((len(populations), max(map(len, constants))), dtype)
    for g, row in enumerate(constants):
        constant_GK[g, : len(row)] = row
    models = [population.model.code if population.model else INPUT for population in populations]
    return NeuronArrays(
        layout.first_PG, layout.local_PG, np.array(models, np.int64), constant_GK, state_G, state, clock_G,
        np.zeros(clock_G[-1], np.int16),
    )  # fmt: skip


def drive_arrays(network: Network, quantum_GR: list[list[float]]) -> DriveArrays:
    """Poisson drives with their tables."""
    rows, keys = [], []
    guides, limits = [np.empty((0, 1 << GUIDE_BITS), np.uint16)], [np.empty(0, np.uint64)]
    begin = 0
    for index, (population, source) in enumerate(network.drives):
        if isinstance(source, Poisson):
            row = receptor_of(population.receptors, source.weight)
            weight = round(source.weight / quantum_GR[population.index][row])
            least, own_limits = count_limits(source.rate * network.step / 1000)
            rows.append((population.index, row, weight, least, begin, begin + len(own_limits)))
            keys.append(key(network.seed, "drive", index))
            guides.append(count_guide(own_limits)[None])
            limits.append(own_limits)
            begin += len(own_limits)
    table_DF = np.array(rows, np.int64).reshape(-1, 6)
    return DriveArrays(table_DF, np.array(keys, np.uint64), np.concatenate(guides), np.concatenate(limits))
