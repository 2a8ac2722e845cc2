"""Brian2's side of `benchmarks/lsm.py`: Brunel's network as compiled C++ with OpenMP. Run by lsm.py.

It runs in an environment of its own, as Brian2 2.9 does not import beside numpy 2.4. A turn is the whole stretch of
time from the beginning, of which the seconds of the steps alone are counted, not those of drawing synapses anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, which have their packages' names

import numpy as np

from benchmarks.lsm_workers import interval_cv, serve

b: Any = import_module("brian2")  # not installed where types are checked
Facts = dict[str, Any]


class Simulation:
    """A network in Brian2, compiled for one stretch of time."""

    def build(
        self, model: str, threads: int, watched: int, stretch: float, neurons: int, indegree: int, seed: int = 1
    ) -> Facts:
        """Describe, generate, compile, and run once under observation of its memory."""
        assert model == "brunel"
        start = time.perf_counter()
        self.folder, self.stretch, self.watched = tempfile.mkdtemp(prefix="brian-"), stretch, watched
        b.set_device("cpp_standalone", build_on_run=False, directory=self.folder)
        b.prefs.devices.cpp_standalone.openmp_threads = threads
        b.defaultclock.dt = 0.1 * b.ms
        b.seed(seed)
        self._brunel(neurons, indegree)
        self.network.run(stretch * b.ms)
        b.device.build(directory=self.folder, compile=True, run=False, debug=False)
        compiled = time.perf_counter() - start
        process = subprocess.Popen([str(Path(self.folder, "main"))], cwd=self.folder, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"the compiled network ended with {status}")
        self.neurons, self.peak = neurons, used.ru_maxrss * 1024
        b.device.run(self.folder, with_output=False, run_args=[])
        synapses = sum(len(part) for part in self.synapses)
        self.degree = synapses / neurons
        facts = {"neurons": neurons, "synapses": synapses, "build_s": compiled, "peak_bytes": self.peak}
        return {**facts, "version": b.__version__}

    def run(self, ms: float) -> Facts:
        """Run the program again; the seconds are those of its steps alone, as it reports them."""
        assert ms == self.stretch
        b.device.run(self.folder, with_output=False, run_args=[])
        seconds = float(Path(self.folder, "results", "last_run_info.txt").read_text().split()[0])
        spikes = {name: int(monitor.num_spikes) for name, monitor in self.counters.items()}
        rates = {name: n / len(self.groups[name]) / ms * 1000 for name, n in spikes.items()}
        cv = {
            name: interval_cv(np.asarray(monitor.t / b.ms), np.asarray(monitor.i))
            for name, monitor in self.watchers.items()
        }
        total = sum(spikes.values())
        facts = {"ms": ms, "seconds": seconds, "spikes": total, "events": total * self.degree, "rates": rates, "cv": cv}
        return {**facts, "peak_bytes": self.peak}

    def _brunel(self, neurons: int, indegree: int) -> None:
        """Partners by probability: in-degrees vary about their mean, as Brian2 has no rule for a fixed number."""
        equation = "dv/dt = -v / (20*ms) : volt (unless refractory)"
        n_e = neurons - neurons // 5
        everyone = b.NeuronGroup(
            neurons, equation, threshold="v >= 20*mV", reset="v = 0*mV", refractory=2 * b.ms, method="exact"
        )
        self.groups = {"E": everyone[:n_e], "I": everyone[n_e:]}
        drive = b.PoissonInput(
            everyone, "v", 2000, 10 * b.Hz, weight=0.1 * b.mV
        )  # of one source 1 spike a step at most
        self.synapses = []
        for name, k, weight in (("E", indegree - indegree // 5, 0.1), ("I", indegree // 5, -0.5)):
            part = b.Synapses(self.groups[name], everyone, on_pre=f"v += {weight}*mV", delay=1.5 * b.ms)
            part.connect(p=k / len(self.groups[name]))
            self.synapses.append(part)
        self.counters = {name: b.SpikeMonitor(group, record=False) for name, group in self.groups.items()}
        some = {name: group[: min(self.watched, len(group))] for name, group in self.groups.items()}
        self.watchers = {name: b.SpikeMonitor(group) for name, group in some.items()}
        self.network = b.Network(everyone, drive, *self.synapses, *self.counters.values(), *self.watchers.values())


def main() -> None:
    """Answer what `benchmarks/lsm.py` asks."""
    simulation = Simulation()
    serve({"build": simulation.build, "run": simulation.run})


if __name__ == "__main__":
    main()
