"""Neurons and synapses of lsm beside NEST under the same given spikes: rasters, factors and weights.

Neurons: 50 of each model, driven by 40 channels of fixed spikes through synapses with weights and delays of their own;
counted are spikes that only one of the two has. Synapses: the weights that NEST's weight recorder sees at every spike
of a source, beside those that lsm delivers.

    uv run --group bench python benchmarks/lsm_nest_synapses.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the scripts, which have their packages' names

import lsm
import numpy as np

from benchmarks.common import arguments, write_results
from benchmarks.lsm_workers import Worker

STEP = 0.1
Facts = dict[str, Any]
Trains = list[np.ndarray]

MODELS: dict[str, tuple[Any, str, dict[str, float], float]] = {  # ours, NEST's, its parameters, size of the weights
    "exponential": (
        lsm.LIF(tau_m=10.0, threshold=-50.0, reset=-65.0, rest=-65.0, synapse="exponential", tau_syn=0.5),
        "iaf_psc_exp",
        {"tau_m": 10.0, "V_th": -50.0, "V_reset": -65.0, "E_L": -65.0, "V_m": -65.0, "t_ref": 2.0, "C_m": 250.0,
         "tau_syn_ex": 0.5, "tau_syn_in": 0.5},
        900.0,
    ),
    "exponential, two time constants": (
        lsm.LIF(tau_m=20.0, threshold=15.0, refractory=1.0, synapse="exponential", tau_syn=2.0, tau_syn_in=5.0),
        "iaf_psc_exp",
        {"tau_m": 20.0, "V_th": 15.0, "V_reset": 0.0, "E_L": 0.0, "V_m": 0.0, "t_ref": 1.0, "C_m": 250.0,
         "tau_syn_ex": 2.0, "tau_syn_in": 5.0},
        200.0,
    ),
    "delta": (
        lsm.LIF(tau_m=20.0, threshold=20.0, refractory=2.0, synapse="delta"),
        "iaf_psc_delta",
        {"tau_m": 20.0, "V_th": 20.0, "V_reset": 0.0, "E_L": 0.0, "V_m": 0.0, "t_ref": 2.0},
        4.0,
    ),
    "Izhikevich": (lsm.Izhikevich(), "izhikevich", {"V_m": -65.0, "U_m": -13.0}, 6.0),
}  # fmt: skip

RULES: dict[str, tuple[Any, str, Facts]] = {  # ours, NEST's, its settings
    "multiplicative": (
        lsm.STDP(rate=0.02, alpha=1.1, tau_plus=15.0, tau_minus=25.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.02, "alpha": 1.1, "mu_plus": 1.0, "mu_minus": 1.0, "tau_plus": 15.0, "Wmax": 100.0},
    ),
    "additive": (
        lsm.STDP(rate=0.01, alpha=0.9, mu_plus=0.0, mu_minus=0.0, tau_plus=20.0, tau_minus=20.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.01, "alpha": 0.9, "mu_plus": 0.0, "mu_minus": 0.0, "tau_plus": 20.0, "Wmax": 100.0},
    ),
    "power 0.4": (
        lsm.STDP(rate=0.01, alpha=1.0, mu_plus=0.4, mu_minus=0.4, tau_plus=17.0, tau_minus=34.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.01, "alpha": 1.0, "mu_plus": 0.4, "mu_minus": 0.4, "tau_plus": 17.0, "Wmax": 100.0},
    ),
    "dopamine": (
        lsm.DopamineSTDP(
            A_plus=0.2, A_minus=0.24, tau_plus=15.0, tau_c=300.0, tau_n=100.0, baseline=0.005, w_min=-500.0,
            w_max=500.0, dopamine="pool", dopamine_delay=1.3,
        ),
        "stdp_dopamine_synapse",
        {"A_plus": 0.2, "A_minus": 0.24, "tau_plus": 15.0, "tau_c": 300.0, "tau_n": 100.0, "b": 0.005, "Wmin": -500.0,
         "Wmax": 500.0},
    ),
}  # fmt: skip


def train(rng: np.random.Generator, n: int, duration: float) -> np.ndarray:
    """n spikes on the grid of steps, ms."""
    return np.sort(rng.choice(np.arange(30, round(duration / STEP) - 30), n, replace=False)) * STEP


def as_inputs(trains: Trains, *, after: float = -1.0, until: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Times since `after` and channels of the spikes from there on, until a time."""
    times, ids = np.concatenate(trains), np.repeat(np.arange(len(trains)), [len(times) for times in trains])
    inside = (times > after + STEP / 2) & (times < until + STEP / 2)
    return np.round(times[inside] - max(after, 0.0), 1), ids[inside]


def listed(trains: Trains) -> list[list[float]]:
    """As JSON takes them."""
    return [np.round(times, 1).tolist() for times in trains]


def raster(nest: Worker, name: str, *, duration: float, rate: float = 60.0, seed: int = 0) -> Facts:
    """The same input to the same neurons; spikes that differ."""
    ours, theirs, parameters, size = MODELS[name]
    rng = np.random.default_rng(seed)
    n_neurons, kinds = 50, {"excitatory": range(30), "inhibitory": range(30, 40)}
    trains = [train(rng, rng.poisson(rate * duration / 1000), duration) for _ in range(40)]
    network = lsm.Network(seed=0, step=STEP)
    channels = {kind: network.inputs(kind, len(numbers)) for kind, numbers in kinds.items()}
    neurons = network.population("neurons", n_neurons, ours)
    for kind, numbers in kinds.items():
        source_S, target_S = np.nonzero(rng.random((len(numbers), n_neurons)) < 0.5)
        weight_S = size * rng.uniform(0.5, 1.5, len(source_S)) * (-1 if kind == "inhibitory" else 1)
        delay_S = rng.integers(1, 40, len(source_S)) * STEP
        rule = lsm.Explicit(source_S, target_S)
        network.connect(channels[kind], neurons, rule, weight=weight_S, delay=delay_S)
    simulation = network.build(precision="float64")
    given = {kind: as_inputs([trains[i] for i in numbers]) for kind, numbers in kinds.items()}
    times, ids = simulation.run(duration, inputs=given, record=["neurons"]).spikes("neurons")
    rows = []
    for projection, numbers in zip(network.projections, kinds.values(), strict=True):
        synapses = simulation.connections(projection)
        # NEST gets the weights that lsm holds: those of each synapse are whole numbers of a unit
        unit = simulation.quantum_GR[neurons.index][projection.receptor]
        held_S = np.rint(synapses.weights / unit) * unit
        columns = (synapses.sources + numbers.start, synapses.targets, held_S, synapses.delays)
        rows += list(zip(*(column.tolist() for column in columns), strict=True))
    arguments_of = {"model": theirs, "parameters": parameters, "trains": listed(trains), "synapses": rows}
    said = nest.ask("raster", **arguments_of, n=n_neurons, duration=duration)
    mine = set(zip(np.rint(times / STEP).astype(int).tolist(), ids.tolist(), strict=True))
    nests = set(zip(said["steps"], said["ids"], strict=True))
    return {"spikes": len(mine), "spikes_of_nest": len(nests), "differ": len(mine ^ nests)}


def short_term(nest: Worker, *, duration: float, spikes: int, seed: int = 1) -> Facts:
    """Factors u x at every spike."""
    rng = np.random.default_rng(seed)
    worst = 0.0
    for U, tau_rec, tau_fac in [(0.5, 1100, 50), (0.05, 125, 1200), (0.25, 700, 20), (0.32, 144, 60), (0.5, 800, 0)]:
        times = train(rng, spikes, duration)
        network = lsm.Network(seed=0, step=STEP)
        source = network.inputs("source", 1)
        target = network.population("target", 1, lsm.LIF(threshold=1e9))
        rule = lsm.ShortTerm(U=U, tau_rec=tau_rec, tau_fac=tau_fac)
        network.connect(source, target, lsm.AllToAll(), weight=1.0, delay=1.5, synapse=rule)
        simulation = network.build(precision="float64")
        ours, now = [], 0.0
        for time in times.tolist():
            gap = round(time - now, 1)
            simulation.run(gap, inputs={"source": ([gap], [0])}, record=False)
            ours.append(float(simulation.short_term.u[0] * simulation.short_term.x[0]))
            now = time
        settings = {"U": U, "tau_rec": float(tau_rec), "tau_fac": float(tau_fac)}
        theirs = nest.ask("factors", times=listed([times])[0], settings=settings, duration=duration + 10)["factors"]
        worst = max(worst, float(np.max(np.abs(np.array(ours) / np.array(theirs) - 1))))
    return {"spikes": 5 * spikes, "worst_relative_difference": worst}


def learning(nest: Worker, name: str, *, duration: float, spikes: int, seed: int = 3) -> Facts:
    """Weights at every spike of 3 sources onto 2 targets that spike at given times."""
    rule, model, settings = RULES[name]
    rng = np.random.default_rng(seed)
    delay, start = 1.5, 40.0
    numbers = {"pre": 3, "force": 2, "pool": 2}
    trains = {kind: [train(rng, spikes, duration) for _ in range(n)] for kind, n in numbers.items()}
    trains["pool"] = [times[::5] for times in trains["pool"]]
    network = lsm.Network(seed=0, step=STEP)
    sources, forced, _ = (network.inputs(name, len(parts)) for name, parts in trains.items())
    targets = network.population("post", 2, lsm.LIF(tau_m=0.2, threshold=1e5, refractory=0.0))
    network.connect(forced, targets, lsm.OneToOne(), weight=4e5, delay=STEP)
    network.connect(sources, targets, lsm.AllToAll(), weight=start, delay=delay, synapse=rule)
    simulation = network.build(precision="float64")
    begun = trains | {"force": [times - STEP for times in trains["force"]]}  # a target fires a step after
    ours: dict[tuple[int, int, int], float] = {}
    now = 0.0
    for moment in np.unique(np.round(np.concatenate(trains["pre"]), 1)).tolist():
        until = round(moment + delay, 1)
        given = {name: as_inputs(parts, after=now, until=until) for name, parts in begun.items()}
        simulation.run(round(until - now, 1), inputs=given, record=False)
        now = until
        weight_S, source_S, target_S = simulation.weights(network.projections[-1])
        for weight, source, target in zip(weight_S.tolist(), source_S.tolist(), target_S.tolist(), strict=True):
            if np.isclose(trains["pre"][source], moment).any():
                ours[round(moment / STEP), source, target] = weight
    facts = {"model": model, "settings": settings, "tau_minus": rule.tau_minus, "start": start, "delay": delay}
    facts["dopamine_delay"] = getattr(rule, "dopamine_delay", 1.0)
    parts = {"pre": listed(trains["pre"]), "post": listed(trains["force"]), "pool": listed(trains["pool"])}
    seen = nest.ask("weights", **facts, **parts, duration=duration + 20)["seen"]
    theirs = {(step, source, target): weight for step, source, target, weight in seen}
    assert ours.keys() == theirs.keys()
    held = np.array([[ours[where], weight] for where, weight in theirs.items()])
    worst, spread = float(np.abs(held[:, 0] - held[:, 1]).max() / start), float(held[:, 1].std())
    return {"weights": len(ours), "worst_difference_by_start": worst, "spread_of_weights": spread, "start": start}


def main() -> None:
    """Compare, print, and write."""
    options = arguments(__doc__ or "")
    duration, spikes = (500.0, 25) if options.small else (2000.0, 120)
    with Worker([sys.executable, str(Path(__file__).with_name("lsm_nest_given.py"))], options.threads) as nest:
        figures: Facts = {"nest": nest.ask("version")["version"], "step_ms": STEP, "duration_ms": duration}
        figures["rasters"] = {name: raster(nest, name, duration=duration) for name in MODELS}
        figures["short_term"] = short_term(nest, duration=duration, spikes=spikes)
        figures["learning"] = {name: learning(nest, name, duration=duration, spikes=spikes) for name in RULES}
    for part, rows in figures.items():
        print(part, rows)
    write_results("lsm_nest_synapses", figures, options)


if __name__ == "__main__":
    main()
