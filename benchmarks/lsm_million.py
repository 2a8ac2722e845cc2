"""A liquid of a million neurons and a billion synapses: built, driven by a task, a readout trained on every neuron.

    uv run --group bench python benchmarks/lsm_million.py [--small] [--only "10k neurons"]

Streams of jittered templates (40 channels at 20 Hz): which template is heard, which was heard before it, and whether
they differ. The readout is a ridge regression on the filtered spikes of all neurons that are driven; its penalty is
chosen on the training streams. Controls: the filtered input, random static features of it, and the same neurons
without recurrent synapses. A part is one size; every size has the same task, in-degree and readout.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the scripts have their packages' names: do not find them first

import time
from typing import Any

import lsm
import numpy as np
from lsm.controls import expanded, input_states
from lsm.intervals import paired_difference
from lsm.liquid import LiquidStateMachine, as_rows
from lsm.task_templates import TemplateStreams, template_streams

from benchmarks.common import parsed_parts, parser_of, write_results
from benchmarks.lsm_comparison import validated
from benchmarks.lsm_workers import Memory

STEP, TAU, CHANNELS, SEGMENT = 0.5, 30.0, 40, 150.0  # ms, ms, spike trains, ms
TASKS = ("now", "delayed", "exclusive_or")
FEATURES = 4000
SIZES = {"10k neurons": 10_000, "100k neurons": 100_000, "1M neurons": 1_000_000}
States = tuple[np.ndarray, np.ndarray]  # of training and test streams, float32, (streams, instants, neurons)


def liquid(neurons: int, indegree: int, *, recurrent: bool = True, seed: int = 0) -> lsm.Network:
    """Adapting excitatory and a fifth of inhibitory cells, `indegree` partners each, that the input alone drives."""
    net = lsm.Network(seed=seed, step=STEP)
    common = {"tau_m": 20.0, "threshold": 20.0, "reset": 10.0, "refractory": 2.0, "synapse": "delta"}
    e = net.population("E", neurons - neurons // 5, lsm.AdaptiveLIF(beta=4.0, tau_a=300.0, **common))
    i = net.population("I", neurons // 5, lsm.LIF(**common))
    channels = net.inputs("in", CHANNELS)
    net.connect(channels, [e, i], lsm.FixedIndegree(6), weight=9.0, delay=1.0)
    if recurrent:
        unit = 100.0 / indegree
        net.connect(e, [e, i], lsm.FixedIndegree(indegree - indegree // 5), weight=unit, delay=1.5)
        net.connect(i, [e, i], lsm.FixedIndegree(indegree // 5), weight=-5.0 * unit, delay=1.0)
    return net


def rights(
    train: TemplateStreams, test: TemplateStreams, states: tuple[np.ndarray, np.ndarray]
) -> dict[str, np.ndarray]:
    """Which answers are right on the test streams, (streams, 3) a task; the first segment has none before it."""
    a_BF, b_BF = (as_rows(part[:, 1:], True) for part in states)
    found = {}
    for task in TASKS:
        y, z = (getattr(streams, task)()[:, 1:] for streams in (train, test))
        found[task] = validated(a_BF, y.ravel(), b_BF).reshape(z.shape) == z
    return found


def accuracies(right: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Accuracy of each method and task, and the liquid's advantage with its interval over streams."""
    found: dict[str, Any] = {}
    for name, tasks in right.items():
        found[name] = {}
        for task, right_BG in tasks.items():
            own = found[name][task] = {"accuracy": float(right_BG.mean()), "answers": right_BG.size}
            if name != "liquid":
                better = paired_difference(right["liquid"][task].mean(1), right_BG.mean(1))
                own["liquid_better_by"] = {"mean": better.difference, "interval": better.interval}
    return found


def measured(neurons: int, indegree: int, streams: int, threads: int) -> dict[str, Any]:
    """Build, drive, train and test one size."""
    train, test = (template_streams(streams, segment=SEGMENT, part=part) for part in ("train", "test"))
    memory, start = Memory(), time.perf_counter()
    machine = LiquidStateMachine(liquid(neurons, indegree), tau=TAU, instants=4, threads=threads)
    simulation = machine.simulation
    row: dict[str, Any] = {"neurons": neurons, "indegree": indegree, "synapses": simulation.synapses}
    row |= {"build_s": time.perf_counter() - start, "bytes_per_synapse": simulation.bytes_per_synapse}
    print(row, flush=True)
    simulation.run(STEP)  # compiled before it is timed
    start, events = time.perf_counter(), simulation.events
    states = machine.states(train.spikes, train.duration), machine.states(test.spikes, test.duration)
    row["run_s"] = time.perf_counter() - start
    row["simulated_s"] = 2 * streams * train.duration / 1000
    row["real_time_factor"] = row["run_s"] / row["simulated_s"]
    row["events_per_s"] = (simulation.events - events) / row["run_s"]
    row["rate_hz"] = float(np.mean([part.mean(dtype=np.float64) for part in states]) / TAU * 1000)
    del machine, simulation
    start = time.perf_counter()
    right = {"liquid": rights(train, test, states)}
    row["readout_s"], row["peak_bytes"] = time.perf_counter() - start, memory.peak()
    del states
    row["accuracy"] = accuracies(right | controls(neurons, train, test, threads))
    row["streams"] = {"train": streams, "test": streams}
    return row


def controls(neurons: int, train: TemplateStreams, test: TemplateStreams, threads: int) -> dict[str, Any]:
    """The same task without the liquid, and with one that has lost what makes it recurrent."""
    inputs = tuple(input_states(s.spikes, s.duration, CHANNELS, instants=4, tau=TAU) for s in (train, test))
    right = {
        "input": rights(train, test, (inputs[0], inputs[1])),
        "expanded": rights(train, test, (expanded(inputs[0], FEATURES), expanded(inputs[1], FEATURES))),
    }
    alone = LiquidStateMachine(liquid(neurons, 1, recurrent=False), tau=TAU, instants=4, threads=threads)
    states = alone.states(train.spikes, train.duration), alone.states(test.spikes, test.duration)
    return right | {"unconnected": rights(train, test, states)}


def main() -> None:
    """Run the sizes that are asked for and write the figures after each."""
    options, wanted, figures = parsed_parts(parser_of(__doc__ or ""), "lsm_million", SIZES)
    for name in wanted:
        start = time.perf_counter()
        neurons, indegree, streams = (SIZES[name] // 100, 50, 10) if options.small else (SIZES[name], 1000, 40)
        row = measured(neurons, indegree, streams, options.threads)
        figures[name] = {**row, "seconds": round(time.perf_counter() - start, 1)}
        print(name, figures[name], flush=True)
        write_results("lsm_million", figures, options)


if __name__ == "__main__":
    main()
