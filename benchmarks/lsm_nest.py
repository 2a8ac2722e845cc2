"""NEST's side of `benchmarks/lsm.py`: the same networks, described to NEST from their publications. Run by lsm.py.

References:
    Brunel (2000), Journal of Computational Neuroscience 8: the sparsely connected network.
    Potjans, Diesmann (2014), Cerebral Cortex 24(3), doi:10.1093/cercor/bhs358: the cortical microcircuit.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, which have their packages' names

import numpy as np

from benchmarks.lsm_workers import Memory, interval_cv, serve

nest: Any = import_module("nest")  # it has no types
STEP = 0.1
Facts = dict[str, Any]

NAMES = ("23E", "23I", "4E", "4I", "5E", "5I", "6E", "6I")
NEURONS = np.array([20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948])
EXTERNAL = np.array([1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100])
PROBABILITY = np.array(  # rows are targets
    [
        [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0, 0.0076, 0],
        [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0, 0.0042, 0],
        [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0],
        [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0, 0.1057, 0],
        [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0],
        [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0],
        [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
        [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443],
    ]
)
MEAN_RATES = np.array([0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829])  # Hz, of the full model
TAU_M, TAU_SYN, CAPACITANCE, PSP, RELATIVE, BACKGROUND = 10.0, 0.5, 250.0, 0.15, -4.0, 8.0


class Simulation:
    """A network in NEST, and what the spikes of its populations reach."""

    def __init__(self) -> None:
        self.populations: dict[str, Any] = {}
        self.recorders: dict[str, Any] = {}
        self.watched: dict[str, int] = {}
        self.out_degree: dict[str, float] = {}

    def build(self, model: str, threads: int, watched: int, seed: int = 1, **sizes: Any) -> Facts:
        """Create and connect; the first millisecond is run too, in which NEST sorts its connections.

        Of each population the spikes of the first `watched` neurons are kept.
        """
        nest.ResetKernel()
        nest.set(resolution=STEP, local_num_threads=threads, rng_seed=seed, overwrite_files=True)
        memory, start = Memory(), time.perf_counter()
        {"brunel": self._brunel, "microcircuit": self._microcircuit}[model](**sizes)
        synapses = self._recurrent
        for name, population in self.populations.items():
            self.recorders[name] = nest.Create("spike_recorder")
            self.watched[name] = min(watched, len(population))
            nest.Connect(population[: self.watched[name]], self.recorders[name])
        nest.Prepare()
        nest.Run(1.0)
        self.memory = memory
        neurons = sum(len(population) for population in self.populations.values())
        facts = {"neurons": neurons, "synapses": synapses, "build_s": time.perf_counter() - start}
        return {**facts, "peak_bytes": memory.peak(), "version": nest.__version__}

    def run(self, ms: float) -> Facts:
        """Go on; spikes, the synaptic events that they are, and the seconds that it took."""
        first, start = nest.biological_time, time.perf_counter()
        nest.Run(ms)
        seconds = time.perf_counter() - start
        spikes = int(nest.local_spike_counter)
        found = {name: self._watched(name, first) for name in self.populations}
        rates = {name: len(times) / self.watched[name] / ms * 1000 for name, (times, _) in found.items()}
        # what single populations fire is known of the watched neurons only: shares of the whole are taken from them
        shares = {name: rates[name] * len(population) for name, population in self.populations.items()}
        total = sum(shares.values()) or 1.0
        events = sum(spikes * share / total * self.out_degree[name] for name, share in shares.items())
        cv = {name: interval_cv(times, ids) for name, (times, ids) in found.items()}
        facts = {"ms": ms, "seconds": seconds, "spikes": spikes, "events": events, "rates": rates, "cv": cv}
        return {**facts, "peak_bytes": self.memory.peak()}

    def _watched(self, name: str, first: float) -> tuple[Any, Any]:
        events = self.recorders[name].events
        times, ids = np.asarray(events["times"]), np.asarray(events["senders"])
        return times[times > first], ids[times > first]

    def _brunel(self, neurons: int, indegree: int, synapse: str = "static_synapse") -> None:
        """Four E cells to an I cell, four fifths of the synapses from E; g = 5, twice the rate at threshold."""
        constants = {"tau_m": 20.0, "C_m": 1.0, "V_th": 20.0, "V_reset": 0.0, "E_L": 0.0, "t_ref": 2.0, "V_m": 0.0}
        nest.CopyModel("iaf_psc_delta", "neuron", constants)
        n = {"E": neurons - neurons // 5, "I": neurons // 5}
        k = {"E": indegree - indegree // 5, "I": indegree // 5}
        self.populations = {name: nest.Create("neuron", size) for name, size in n.items()}
        everyone = self.populations["E"] + self.populations["I"]
        generator = nest.Create("poisson_generator", params={"rate": 20_000.0})
        nest.Connect(generator, everyone, syn_spec={"weight": 0.1, "delay": STEP})
        for name, weight in (("E", 0.1), ("I", -0.5)):
            nest.CopyModel(synapse, f"from {name}", {"weight": weight})
            rule = {"rule": "fixed_indegree", "indegree": k[name]}
            nest.Connect(self.populations[name], everyone, rule, {"synapse_model": f"from {name}", "delay": 1.5})
            self.out_degree[name] = k[name] * neurons / n[name]
        self._recurrent = neurons * indegree

    def _microcircuit(self, scale: float, synapse: str = "static_synapse") -> None:
        """Neurons and in-degrees scaled alike; weights by 1 / sqrt(scale), and currents that keep the mean input."""
        n = np.rint(NEURONS * scale).astype(int)
        full = np.rint(np.log(1 - PROBABILITY) / np.log(1 - 1 / np.outer(NEURONS, NEURONS)))
        synapses = np.rint(full * scale * scale).astype(int)
        ratio = TAU_SYN / TAU_M
        peak = ratio ** (1 / (1 - ratio)) - ratio ** (ratio / (1 - ratio))  # of a PSP, per unit of its current
        unit = PSP / (TAU_SYN * TAU_M / CAPACITANCE / (TAU_SYN - TAU_M) * peak)  # pA
        weight = np.where(np.arange(8) % 2 == 0, 1.0, RELATIVE)[None, :].repeat(8, 0) * unit
        weight[0, 2] *= 2  # 4E to 23E
        recurrent = (weight * full / NEURONS[:, None] * MEAN_RATES).sum(1) + unit * EXTERNAL * BACKGROUND
        current = 1e-3 * TAU_SYN * (1 - np.sqrt(scale)) * recurrent
        constants = {"C_m": CAPACITANCE, "tau_m": TAU_M, "tau_syn_ex": TAU_SYN, "tau_syn_in": TAU_SYN, "E_L": -65.0}
        nest.CopyModel("iaf_psc_exp", "neuron", {**constants, "V_reset": -65.0, "V_th": -50.0, "t_ref": 2.0})
        for name, size, extra, k in zip(NAMES, n, current, EXTERNAL, strict=True):
            cells = nest.Create("neuron", int(size), {"I_e": extra, "V_m": nest.random.normal(-58.0, 10.0)})
            generator = nest.Create("poisson_generator", params={"rate": BACKGROUND * k * scale})
            external = {"weight": unit / np.sqrt(scale), "delay": 1.5}
            nest.Connect(generator, cells, syn_spec=external)
            self.populations[name] = cells
        for s, source in enumerate(NAMES):
            delay, spread = (1.5, 0.75) if s % 2 == 0 else (0.75, 0.375)
            for t, target in enumerate(NAMES):
                if not synapses[t, s]:
                    continue
                mean = weight[t, s] / np.sqrt(scale)
                drawn = nest.random.normal(mean, 0.1 * abs(mean))
                sign = {"min": 0.0, "max": np.inf} if mean > 0 else {"min": -np.inf, "max": 0.0}
                spec = {
                    "synapse_model": synapse,
                    "weight": nest.math.redraw(drawn, **sign),
                    "delay": nest.math.redraw(nest.random.normal(delay, spread), min=STEP / 2, max=np.inf),
                }
                rule = {"rule": "fixed_total_number", "N": int(synapses[t, s])}
                nest.Connect(self.populations[source], self.populations[target], rule, spec)
            self.out_degree[source] = float(synapses[:, s].sum() / n[s])
        self._recurrent = int(synapses.sum())


def main() -> None:
    """Answer what `benchmarks/lsm.py` asks."""
    nest.verbosity = nest.VerbosityLevel.ERROR
    simulation = Simulation()
    serve({"build": simulation.build, "run": simulation.run})


if __name__ == "__main__":
    os.environ.setdefault("PYNEST_QUIET", "1")
    main()
