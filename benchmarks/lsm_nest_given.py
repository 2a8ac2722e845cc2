"""NEST's side of `benchmarks/lsm_nest_synapses.py`: neurons and synapses under given spikes. Run by that script."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, which have their packages' names

import numpy as np

from benchmarks.lsm_workers import serve

nest: Any = import_module("nest")  # it has no types
STEP = 0.1
SHIFT = 1.0  # ms from a generator to its parrot
Facts = dict[str, Any]


def fresh() -> None:
    """Forget all of the network."""
    nest.ResetKernel()
    nest.resolution = STEP


def parrots(trains: list[list[float]]) -> Any:
    """Neurons that spike at given times."""
    sources = nest.Create("spike_generator", len(trains))
    for source, times in zip(sources, trains, strict=True):
        source.spike_times = np.round(np.array(times) - SHIFT, 1).tolist()
    copies = nest.Create("parrot_neuron", len(trains))
    nest.Connect(sources, copies, "one_to_one", {"delay": SHIFT})
    return copies


def raster(
    model: str, parameters: Facts, trains: list[list[float]], synapses: list[list[float]], n: int, duration: float
) -> Facts:
    """Spikes of n neurons; synapses are (source, target, weight, delay)."""
    fresh()
    sources, cells = parrots(trains), nest.Create(model, n, params=parameters)
    for pre, post, weight, delay in synapses:
        spec = {"weight": weight, "delay": round(delay, 1)}
        nest.Connect(sources[int(pre)], cells[int(post)], "one_to_one", spec)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(duration)
    steps = np.rint(recorder.events["times"] / STEP).astype(int)
    return {"steps": steps.tolist(), "ids": (recorder.events["senders"] - cells[0].global_id).tolist()}


def factors(times: list[float], settings: Facts, duration: float) -> Facts:
    """u x of a tsodyks2_synapse at every spike."""
    fresh()
    recorder = nest.Create("weight_recorder")
    nest.CopyModel("tsodyks2_synapse", "recorded", {"weight_recorder": recorder})
    spec = {"synapse_model": "recorded", "weight": 1.0, "delay": 1.5, "u": settings["U"], "x": 1.0, **settings}
    nest.Connect(parrots([times]), nest.Create("iaf_psc_exp"), syn_spec=spec)
    nest.Simulate(duration)
    order = np.argsort(recorder.events["times"])
    return {"factors": recorder.events["weights"][order].tolist()}


def weights(
    model: str, settings: Facts, tau_minus: float, dopamine_delay: float, start: float, delay: float,
    pre: list[list[float]], post: list[list[float]], pool: list[list[float]], duration: float,
) -> Facts:  # fmt: skip
    """What the weight recorder sees: (step, source, target, weight) of every spike of a source."""
    fresh()
    before, after = parrots(pre), parrots(post)
    after.tau_minus = tau_minus
    recorder = nest.Create("weight_recorder")
    # spikes at receptor 1 change nothing in a parrot, but its synapses learn
    own = {"weight_recorder": recorder, "receptor_type": 1, **settings}
    if model == "stdp_dopamine_synapse":
        # No deliveries between the spikes: one comes before the spikes of sources of the slice that it ends are heard,
        # and those then act late by up to a slice.
        own["volume_transmitter"] = nest.Create("volume_transmitter", params={"deliver_interval": round(duration) + 1})
        nest.Connect(parrots(pool), own["volume_transmitter"], syn_spec={"delay": dopamine_delay})
    nest.CopyModel(model, "learns", own)
    nest.Connect(before, after, "all_to_all", {"synapse_model": "learns", "weight": start, "delay": delay})
    nest.Simulate(duration)
    events = recorder.events
    columns = (
        np.rint(events["times"] / STEP).astype(int), events["senders"] - before[0].global_id,
        events["targets"] - after[0].global_id, events["weights"],
    )  # fmt: skip
    return {"seen": list(zip(*(column.tolist() for column in columns), strict=True))}


if __name__ == "__main__":
    nest.verbosity = nest.VerbosityLevel.ERROR
    version = {"version": str(nest.__version__)}
    serve({"version": lambda: version, "raster": raster, "factors": factors, "weights": weights})
