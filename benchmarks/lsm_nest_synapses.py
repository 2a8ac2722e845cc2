"""Neurons and synapses of lsm beside NEST under the same given spikes: rasters, factors and weights.

Neurons: 50 of each model, driven by 40 channels of fixed spikes through synapses with weights and delays of their own;
counted are spikes that only one of the two has. Synapses: the weights that NEST's weight recorder sees at every spike
of a source, beside those that lsm delivers.

    uv run --group bench python benchmarks/lsm_nest_synapses.py
"""

from __future__ import annotations

from typing import Any

import lsm
import nest
import numpy as np
from common import arguments, write_results

STEP = 0.1
SHIFT = 1.0  # ms from a generator to its parrot


def fresh() -> None:
    """Forget all of NEST's network."""
    nest.ResetKernel()
    nest.resolution = STEP


def train(rng: np.random.Generator, n: int, duration: float) -> np.ndarray:
    """n spikes on the grid of steps, ms."""
    return np.sort(rng.choice(np.arange(30, round(duration / STEP) - 30), n, replace=False)) * STEP


def parrots(trains: list[np.ndarray]) -> Any:
    """Neurons of NEST that spike at given times."""
    sources = nest.Create("spike_generator", len(trains))
    for source, times in zip(sources, trains, strict=True):
        source.spike_times = list(np.round(times - SHIFT, 1))
    copies = nest.Create("parrot_neuron", len(trains))
    nest.Connect(sources, copies, "one_to_one", {"delay": SHIFT})
    return copies


def as_inputs(trains: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Times and channels."""
    return np.concatenate(trains), np.repeat(np.arange(len(trains)), [len(times) for times in trains])


# neurons --------------------------------------------------------------------------------------------------------------

MODELS: dict[str, tuple[Any, str, dict[str, float], float]] = {
    "iaf_psc_exp": (
        lsm.LIF(tau_m=10.0, threshold=-50.0, reset=-65.0, rest=-65.0, synapse="exponential", tau_syn=0.5),
        "iaf_psc_exp",
        {"tau_m": 10.0, "V_th": -50.0, "V_reset": -65.0, "E_L": -65.0, "V_m": -65.0, "t_ref": 2.0, "C_m": 250.0,
         "tau_syn_ex": 0.5, "tau_syn_in": 0.5},
        900.0,
    ),
    "iaf_psc_exp, two time constants": (
        lsm.LIF(tau_m=20.0, threshold=15.0, refractory=1.0, synapse="exponential", tau_syn=2.0, tau_syn_in=5.0),
        "iaf_psc_exp",
        {"tau_m": 20.0, "V_th": 15.0, "V_reset": 0.0, "E_L": 0.0, "V_m": 0.0, "t_ref": 1.0, "C_m": 250.0,
         "tau_syn_ex": 2.0, "tau_syn_in": 5.0},
        200.0,
    ),
    "iaf_psc_delta": (
        lsm.LIF(tau_m=20.0, threshold=20.0, refractory=2.0, synapse="delta"),
        "iaf_psc_delta",
        {"tau_m": 20.0, "V_th": 20.0, "V_reset": 0.0, "E_L": 0.0, "V_m": 0.0, "t_ref": 2.0},
        4.0,
    ),
    "izhikevich": (lsm.Izhikevich(), "izhikevich", {"V_m": -65.0, "U_m": -13.0}, 6.0),
}  # fmt: skip


def rasters(name: str, *, duration: float, rate: float, seed: int = 0) -> dict[str, Any]:
    """The same input to the same neurons; spikes that differ."""
    ours, theirs, parameters, weight = MODELS[name]
    rng = np.random.default_rng(seed)
    n_channels, n_neurons = 40, 50
    trains = [train(rng, rng.poisson(rate * duration / 1000), duration) for _ in range(n_channels)]
    pairs = rng.random((n_channels, n_neurons)) < 0.5
    channel_S, neuron_S = np.nonzero(pairs)
    inhibitory_S = channel_S >= 30
    sizes_S = weight * rng.uniform(0.5, 1.5, len(channel_S)) * np.where(inhibitory_S, -1.0, 1.0)
    delay_S = rng.integers(1, 40, len(channel_S)) * STEP
    network = lsm.Network(seed=0, step=STEP)
    channels = [network.inputs(kind, n) for kind, n in (("excitatory", 30), ("inhibitory", 10))]
    neurons = network.population("neurons", n_neurons, ours)
    for population, first, kept_S in zip(channels, (0, 30), (~inhibitory_S, inhibitory_S), strict=True):
        rule = lsm.Explicit(channel_S[kept_S] - first, neuron_S[kept_S])
        network.connect(population, neurons, rule, weight=sizes_S[kept_S], delay=delay_S[kept_S])
    simulation = network.build(precision="float64")
    times, ids = as_inputs(trains)
    given = {"excitatory": (times[ids < 30], ids[ids < 30]), "inhibitory": (times[ids >= 30], ids[ids >= 30] - 30)}
    our_times, our_ids = simulation.run(duration, inputs=given, record=["neurons"]).spikes("neurons")
    fresh()
    sources, cells = parrots(trains), nest.Create(theirs, n_neurons, params=parameters)
    for i, population in enumerate(channels):
        # the weights that lsm holds: a weight of its own for each synapse has 16 bits
        pre_S, post_S, weight_S, of_delay_S = simulation.connections(network.projections[i])
        for pre, post, held, delay in zip(pre_S, post_S, weight_S, of_delay_S, strict=True):
            spec = {"weight": float(held), "delay": float(np.round(delay, 1))}
            nest.Connect(sources[int(pre) + 30 * i], cells[int(post)], "one_to_one", spec)
        assert population.n in (30, 10)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(duration)
    their_times, their_ids = recorder.events["times"], recorder.events["senders"] - cells[0].global_id
    mine = set(zip(np.rint(our_times / STEP).astype(int).tolist(), our_ids.tolist(), strict=True))
    nests = set(zip(np.rint(their_times / STEP).astype(int).tolist(), their_ids.tolist(), strict=True))
    return {"spikes": len(mine), "spikes_of_nest": len(nests), "differ": len(mine ^ nests)}


# synapses -------------------------------------------------------------------------------------------------------------


def short_term(*, duration: float, spikes: int, seed: int = 1) -> dict[str, Any]:
    """Factors u x at every spike."""
    rng = np.random.default_rng(seed)
    rules = [(0.5, 1100.0, 50.0), (0.05, 125.0, 1200.0), (0.25, 700.0, 20.0), (0.32, 144.0, 60.0), (0.5, 800.0, 0.0)]
    worst = 0.0
    for U, tau_rec, tau_fac in rules:
        times = train(rng, spikes, duration)
        network = lsm.Network(seed=0, step=STEP)
        source = network.inputs("source", 1)
        target = network.population("target", 1, lsm.LIF(threshold=1e9))
        rule = lsm.ShortTerm(U=U, tau_rec=tau_rec, tau_fac=tau_fac)
        network.connect(source, target, lsm.AllToAll(), weight=1.0, delay=1.5, synapse=rule)
        simulation = network.build(precision="float64")
        ours, now = [], 0.0
        for time in times:
            simulation.run(float(np.round(time - now, 1)), inputs={"source": ([time - now], [0])}, record=False)
            ours.append(simulation.short_term.u[0] * simulation.short_term.x[0])
            now = time
        fresh()
        recorder = nest.Create("weight_recorder")
        nest.CopyModel("tsodyks2_synapse", "recorded", {"weight_recorder": recorder})
        spec = {"synapse_model": "recorded", "U": U, "u": U, "x": 1.0, "tau_rec": tau_rec, "tau_fac": tau_fac}
        nest.Connect(parrots([times]), nest.Create("iaf_psc_exp"), syn_spec=spec | {"weight": 1.0, "delay": 1.5})
        nest.Simulate(duration + 10)
        theirs = recorder.events["weights"][np.argsort(recorder.events["times"])]
        worst = max(worst, float(np.max(np.abs(np.array(ours) / theirs - 1))))
    return {"spikes": spikes * len(rules), "worst_relative_difference": worst}


def learning(
    rule: Any, nest_model: str, settings: dict[str, Any], *, duration: float, spikes: int, seed: int
) -> dict[str, Any]:
    """Weights at every spike of 3 sources onto 2 targets that spike at given times."""
    rng = np.random.default_rng(seed)
    n_pre, n_post, delay, start = 3, 2, 1.5, 40.0
    pre, post, pool = ([train(rng, spikes, duration) for _ in range(n)] for n in (n_pre, n_post, 2))
    pool = [np.sort(rng.choice(times, max(2, spikes // 5), replace=False)) for times in pool]
    network = lsm.Network(seed=0, step=STEP)
    sources, forced, _ = (network.inputs(name, n) for name, n in (("pre", n_pre), ("force", n_post), ("pool", 2)))
    cell = lsm.LIF(tau_m=0.2, threshold=1e5, refractory=0.0, synapse="delta")
    targets = network.population("post", n_post, cell)
    network.connect(forced, targets, lsm.OneToOne(), weight=4e5, delay=STEP)
    network.connect(sources, targets, lsm.AllToAll(), weight=start, delay=delay, synapse=rule)
    simulation = network.build(precision="float64")
    begin = {"pre": pre, "force": [times - STEP for times in post], "pool": pool}
    given = {name: as_inputs(trains) for name, trains in begin.items()}
    ours: dict[tuple[int, int, int], float] = {}
    now = 0
    moments = sorted({round(time / STEP) for times in pre for time in times})
    last = round(duration / STEP)
    for moment in moments:
        until = moment + round(delay / STEP)
        if until > last:
            break
        part = {}
        for name, (times, ids) in given.items():
            steps = np.rint(times / STEP).astype(int)
            inside = (steps > now) & (steps <= until)
            part[name] = ((steps[inside] - now) * STEP, ids[inside])
        simulation.run(round((until - now) * STEP, 1), inputs=part, record=False)
        now = until
        weight_S, pre_S, post_S = simulation.weights(network.projections[-1])
        for source in range(n_pre):
            if np.any(np.rint(pre[source] / STEP).astype(int) == moment):
                for s in np.flatnonzero(pre_S == source):
                    ours[moment, source, int(post_S[s])] = float(weight_S[s])
    fresh()
    before, after = parrots(pre), parrots(post)
    after.tau_minus = rule.tau_minus
    recorder = nest.Create("weight_recorder")
    own = {"weight_recorder": recorder, "tau_plus": rule.tau_plus, "receptor_type": 1, **settings}
    if nest_model == "stdp_dopamine_synapse":
        transmitter = nest.Create("volume_transmitter", params={"deliver_interval": 10})
        own["volume_transmitter"] = transmitter
        nest.Connect(parrots(pool), transmitter, syn_spec={"delay": rule.dopamine_delay})
    nest.CopyModel(nest_model, "learns", own)
    nest.Connect(before, after, "all_to_all", {"synapse_model": "learns", "weight": start, "delay": delay})
    nest.Simulate(duration + 20)
    events = recorder.events
    differences = []
    columns = (events[name] for name in ("times", "senders", "targets", "weights"))
    for time, sender, target, weight in zip(*columns, strict=True):
        where = (round(time / STEP), int(sender - before[0].global_id), int(target - after[0].global_id))
        if where in ours:
            differences.append(abs(ours[where] / weight - 1))
    assert len(differences) == len(ours)
    moved = float(np.std(events["weights"]))
    return {"weights": len(ours), "worst_relative_difference": float(max(differences)), "spread_of_weights": moved}


RULES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "stdp, multiplicative": (
        lsm.STDP(rate=0.02, alpha=1.1, tau_plus=15.0, tau_minus=25.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.02, "alpha": 1.1, "mu_plus": 1.0, "mu_minus": 1.0, "Wmax": 100.0},
    ),
    "stdp, additive": (
        lsm.STDP(rate=0.01, alpha=0.9, mu_plus=0.0, mu_minus=0.0, tau_plus=20.0, tau_minus=20.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.01, "alpha": 0.9, "mu_plus": 0.0, "mu_minus": 0.0, "Wmax": 100.0},
    ),
    "stdp, power 0.4": (
        lsm.STDP(rate=0.01, alpha=1.0, mu_plus=0.4, mu_minus=0.4, tau_plus=17.0, tau_minus=34.0, w_max=100.0),
        "stdp_synapse",
        {"lambda": 0.01, "alpha": 1.0, "mu_plus": 0.4, "mu_minus": 0.4, "Wmax": 100.0},
    ),
    "dopamine": (
        lsm.DopamineSTDP(
            A_plus=1.0, A_minus=1.2, tau_c=300.0, tau_n=100.0, baseline=0.005, dopamine="pool", w_max=90.0
        ),
        "stdp_dopamine_synapse",
        {"A_plus": 1.0, "A_minus": 1.2, "tau_c": 300.0, "tau_n": 100.0, "b": 0.005, "Wmin": 0.0, "Wmax": 90.0},
    ),
}


def main() -> None:
    """Compare, print, and write."""
    options = arguments(__doc__ or "")
    nest.set_verbosity("M_ERROR")
    duration = 500.0 if options.small else 2000.0
    figures: dict[str, Any] = {"nest": nest.__version__, "step_ms": STEP, "duration_ms": duration}
    figures["rasters"] = {name: rasters(name, duration=duration, rate=60.0) for name in MODELS}
    figures["short_term"] = short_term(duration=duration, spikes=40 if options.small else 150)
    figures["learning"] = {
        name: learning(*parts, duration=duration, spikes=20 if options.small else 80, seed=3 + i)
        for i, (name, parts) in enumerate(RULES.items())
    }
    for part, rows in figures.items():
        print(part, rows)
    write_results("lsm_nest_synapses", figures, options)


if __name__ == "__main__":
    main()
