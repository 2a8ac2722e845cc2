"""A network's description turned into the arrays that the kernels read."""

from __future__ import annotations

import numpy as np

from lsm.dc import DC
from lsm.distributions import Constant, draw
from lsm.kernels.arrays import DriveArrays, NeuronArrays
from lsm.kernels.models import INPUT
from lsm.layout import Layout
from lsm.network import Network
from lsm.poisson import Poisson, alias_table, count_probabilities
from lsm.quantum import quantum
from lsm.streams import key, word


def receptor_of(receptors: tuple[str, ...], weight: float) -> int:
    """Row of the accumulator that a weight goes to."""
    return int(len(receptors) == 2 and weight < 0)


def quanta(network: Network) -> list[list[float]]:
    """Unit of the weights of each population and receptor."""
    units = []
    for population in network.populations:
        rows = []
        for row in range(len(population.receptors)):
            constants, reach, total = [], 0.0, 0.0
            for projection in network.projections:
                if projection.post is population and projection.receptor == row:
                    largest = max(map(abs, projection.weight.bounds))
                    if isinstance(projection.weight, Constant):
                        constants.append(projection.weight.value)
                    else:
                        reach = max(reach, largest)
                    indegree = projection.rule.expected(projection.pair(network.seed)) / population.n
                    total += (4 * indegree + 100) * largest
            for target, source in network.drives:
                if target is population and isinstance(source, Poisson):
                    if receptor_of(population.receptors, source.weight) == row:
                        constants.append(source.weight)
                        mean = source.rate * network.step / 1000
                        total += (mean + 7 * mean**0.5 + 20) * abs(source.weight)
            rows.append(quantum(constants, reach, total))
        units.append(rows)
    return units


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
    rows, keys, columns, begin = [], [], [np.empty(0, np.uint64)], 0
    for index, (population, source) in enumerate(network.drives):
        if isinstance(source, Poisson):
            row = receptor_of(population.receptors, source.weight)
            weight = round(source.weight / quantum_GR[population.index][row])
            least, parts = count_probabilities(source.rate * network.step / 1000)
            table = alias_table(parts)
            rows.append((population.index, row, weight, least, len(table).bit_length() - 1, begin))
            keys.append(key(network.seed, "drive", index))
            columns.append(table)
            begin += len(table)
    table_DF = np.array(rows, np.int64).reshape(-1, 6)
    return DriveArrays(table_DF, np.array(keys, np.uint64), np.concatenate(columns))
