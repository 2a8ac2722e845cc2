"""Our side of `benchmarks/lsm.py`: the same networks, in a process of their own. Run by lsm.py."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, one of which has the package's name

import lsm

from benchmarks.lsm_workers import Memory, interval_cv, serve

Facts = dict[str, Any]


def brunel(neurons: int, indegree: int, seed: int, *, by_source: bool = False) -> lsm.Network:
    """Four E cells to an I cell, four fifths of the synapses from E; g = 5, twice the rate at threshold.

    `by_source` draws as many synapses from each neuron, which can be drawn again at every spike.
    """
    net = lsm.Network(seed=seed, step=0.1)
    model = lsm.LIF(tau_m=20.0, threshold=20.0, refractory=2.0, synapse="delta")
    e = net.population("E", neurons - neurons // 5, model)
    i = net.population("I", neurons // 5, model)
    for source, k, weight in ((e, indegree - indegree // 5, 0.1), (i, indegree // 5, -0.5)):
        for target in (e, i):
            rule = lsm.FixedOutdegree(round(k * target.n / source.n)) if by_source else lsm.FixedIndegree(k)
            net.connect(source, target, rule, weight=weight, delay=1.5)
    net.drive([e, i], lsm.Poisson(rate=20_000.0, weight=0.1))
    return net


class Simulation:
    """A network of ours, and how much of it is watched."""

    sim: lsm.Simulation
    memory: Memory
    watched: int

    def build(
        self, model: str, threads: int, watched: int, seed: int = 1, procedural: bool = False, **sizes: Any
    ) -> Facts:
        """Build; a small network of the same kind before it, so that nothing is compiled in what is measured."""
        describe: Callable[..., lsm.Network] = brunel if model == "brunel" else lsm.microcircuit
        little = {"scale": 0.01} if model == "microcircuit" else {**sizes, "neurons": 1000, "indegree": 100}
        way = {"threads": threads, "procedural": procedural}
        describe(seed=seed, **little).build(**way).run(2.0)
        self.memory, start = Memory(), time.perf_counter()
        self.sim = describe(seed=seed, **sizes).build(**way)
        self.sim.run(1.0)
        self.watched = watched
        facts = {"neurons": self.sim.n_neurons, "synapses": self.sim.synapses, "build_s": time.perf_counter() - start}
        own = {"bytes_per_synapse": self.sim.bytes_per_synapse, "array_bytes": self.sim.n_bytes}
        return {**facts, **own, "peak_bytes": self.memory.peak()}

    def run(self, ms: float) -> Facts:
        """Go on; spikes, the synaptic events that they are, and the seconds that it took."""
        events, start = self.sim.events, time.perf_counter()
        recording = self.sim.run(ms, record=self.watched > 0)
        seconds = time.perf_counter() - start
        rates = {name: recording.rates(name) for name in recording.sizes}
        cv = {}
        for name in recording.sizes if self.watched else ():
            times, ids = recording.spikes(name)
            cv[name] = interval_cv(times[ids < self.watched], ids[ids < self.watched])
        spikes = sum(recording.counts.values())
        facts = {"ms": ms, "seconds": seconds, "spikes": spikes, "events": self.sim.events - events, "rates": rates}
        return {**facts, "cv": cv, "peak_bytes": self.memory.peak()}


def main() -> None:
    """Answer what `benchmarks/lsm.py` asks."""
    simulation = Simulation()
    serve({"build": simulation.build, "run": simulation.run})


if __name__ == "__main__":
    main()
