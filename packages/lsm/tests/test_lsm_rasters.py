"""Spikes of a network against an independent simulation, and for any partitions and threads."""

from __future__ import annotations

import math
from typing import Any

import lsm
import numpy as np
import pytest
from lsm.connections import connections

STEP = 0.1
SPREAD = {"constant": (lambda w: w, 1.5), "spread": (lambda w: lsm.Normal(w, abs(w) / 10), lsm.Normal(1.5, 0.75))}


def two_populations(synapse: Any, kind: str, *, poisson: bool = False, seed: int = 3) -> lsm.Network:
    """Excitation, inhibition and inputs; weights strong enough that spikes depend on each other."""
    network = lsm.Network(seed=seed, step=STEP)
    unit, (weight, delay) = 0.5 if synapse == "delta" else 60.0, SPREAD[kind]
    initial = lsm.Normal(0.0, 5.0)
    e = network.population("e", 150, lsm.LIF(synapse=synapse, threshold=15.0, tau_syn_in=1.0, initial=initial))
    i = network.population("i", 50, lsm.LIF(synapse=synapse, threshold=15.0, refractory=1.0, initial=initial))
    channels = network.inputs("channels", 40)
    network.connect([e, channels], [e, i], lsm.FixedIndegree(15), weight=weight(unit), delay=delay)
    network.connect(i, [e, i], lsm.PairwiseBernoulli(0.2), weight=weight(-2 * unit), delay=0.8)
    network.drive([e, i], lsm.DC(voltage=13.0))
    if poisson:
        network.drive([e, i], lsm.Poisson(3000.0, unit))
        network.drive(i, lsm.Poisson(500.0, -unit / 3))
    return network


def some_inputs(duration: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    n = round(duration * 2)
    return {"channels": (rng.uniform(0.0, duration, n), rng.integers(0, 40, n))}


def straightforward(sim: lsm.Simulation, inputs: dict, duration: float) -> list[tuple[int, int]]:
    """Every synapse by itself, in float64 and physical units: (step, global id) of each spike from the start on."""
    network, start = sim.network, [sim.state(name)["membrane"] for name in ("e", "i")]
    populations = network.populations
    n_steps, n_neurons = round(duration / STEP), network.n_neurons
    arrive_ex, arrive_in = np.zeros((2, n_steps + 100, n_neurons))
    outgoing = [[] for _ in range(n_neurons)]
    for projection in network.projections:
        first = projection.pre.first, projection.post.first
        unit = sim.quantum_GR[projection.post.index][projection.receptor]
        for source, target, weight, delay in zip(*connections(network, projection), strict=True):
            outgoing[first[0] + source].append((first[1] + target, round(weight / unit) * unit, round(delay / STEP)))
    given = {(math.ceil(t / STEP - 1e-6), populations[2].first + c) for t, c in zip(*inputs["channels"], strict=True)}
    voltage, current_ex, current_in = np.concatenate([*start, np.zeros(40)]), *np.zeros((2, n_neurons))
    left, spikes = np.zeros(n_neurons, int), []
    for t in range(1, n_steps + 1):
        for population in populations:
            for k in range(population.first, population.first + population.n):
                model: Any = population.model
                if model is None:
                    fires = (t, k) in given
                else:
                    decay = math.exp(-STEP / model.tau_m)
                    free = left[k] == 0
                    if model.synapse == "delta":
                        moved = voltage[k] * decay + (1 - decay) * 13.0 + arrive_ex[t, k] + arrive_in[t, k]
                    else:
                        moved = voltage[k] * decay + (1 - decay) * 13.0
                        for current, tau, arriving in (
                            (current_ex, model.tau_syn, arrive_ex),
                            (current_in, model.tau_syn_in or model.tau_syn, arrive_in),
                        ):
                            d = math.exp(-STEP / tau)
                            moved += (
                                current[k] / model.capacitance * tau * model.tau_m / (model.tau_m - tau) * (decay - d)
                            )
                            current[k] = current[k] * d + arriving[t, k]
                    voltage[k] = moved if free else voltage[k]
                    left[k] = max(0, left[k] - 1)
                    fires = voltage[k] >= model.threshold
                    if fires:
                        voltage[k], left[k] = model.reset, round(model.refractory / STEP)
                if fires:
                    spikes.append((t, k))
                    for target, weight, delay in outgoing[k]:
                        (arrive_ex if weight > 0 else arrive_in)[t + delay, target] += weight
    return spikes


def bits(recording: lsm.Recording) -> tuple[bytes, bytes]:
    return recording.times.tobytes(), recording.ids.tobytes()


@pytest.mark.parametrize("kind", SPREAD)
@pytest.mark.parametrize("synapse", ["delta", "exponential"])
def test_equals_a_straightforward_simulation(synapse: str, kind: str) -> None:
    """Under fixed input the raster is that of the equations; longer than the spike history, which wraps around."""
    inputs = some_inputs(60.0)
    sim = two_populations(synapse, kind).build(precision="float64", threads=1)
    expected = straightforward(sim, inputs, 60.0)
    recording = sim.run(60.0, inputs)
    got = list(zip(np.rint(recording.times / STEP).astype(int), recording.ids, strict=True))
    assert len(expected) > 120
    assert got == expected


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", SPREAD)
@pytest.mark.parametrize("synapse", ["delta", "exponential"])
def test_equal_bits_for_any_partitions_threads_and_reference(synapse: Any, kind: str, precision: Any) -> None:
    """Spikes and states do not depend on who computes what, nor on compiled or plain code."""
    inputs = some_inputs(25.0)
    results = set()
    for device, threads, partitions in [
        ("cpu", 1, 1),
        ("cpu", 2, 2),
        ("cpu", 2, 64),
        ("cpu", 3, 4),
        ("reference", 1, 2),
    ]:
        network = two_populations(synapse, kind, poisson=True)
        sim = network.build(device, precision=precision, threads=threads, partitions=partitions)
        recording = sim.run(25.0, inputs)
        assert len(recording) > 120
        results.add((*bits(recording), sim.neurons.state.tobytes(), sim.events))
    assert len(results) == 1


def test_runs_join() -> None:
    """Running in pieces is running once, with spikes in flight at the seams; a history of any length."""
    inputs = some_inputs(30.0)
    whole = two_populations("delta", "spread", poisson=True).build(threads=1).run(70.0, inputs)
    sim = two_populations("delta", "spread", poisson=True).build(threads=1)
    parts = [sim.run(30.0, inputs), sim.run(0.3), sim.run(0.0), sim.run(39.7)]
    assert np.concatenate([part.ids for part in parts]).tobytes() == whole.ids.tobytes()
    np.testing.assert_allclose(np.concatenate([part.times for part in parts]), whole.times, rtol=1e-12)
    assert {name: sum(part.counts[name] for part in parts) for name in whole.counts} == whole.counts


def test_recorded_inputs_are_given_back() -> None:
    """A recording's times can be given as inputs again; channels spike at most once a step."""
    sim = two_populations("delta", "constant").build(threads=1)
    first = sim.run(20.0, some_inputs(20.0))
    sim.reset()
    assert bits(sim.run(20.0, {"channels": first.spikes("channels")})) == bits(first)


def test_reset_starts_again() -> None:
    """After reset the same spikes; at another time other noise."""
    sim = two_populations("exponential", "spread", poisson=True).build(threads=2)
    first = sim.run(30.0)
    sim.reset()
    assert bits(sim.run(30.0)) == bits(first)
    sim.reset(time=100.0)
    assert sim.run(30.0).ids.tobytes() != first.ids.tobytes()


def test_recording_counts_and_selection() -> None:
    """Counts are of all spikes; those listed are the ones asked for, sorted by time and id."""
    sim = two_populations("delta", "constant", poisson=True).build(threads=1)
    everything = sim.run(30.0)
    sim.reset()
    some = sim.run(30.0, record=["i"])
    assert some.counts == everything.counts
    for got, expected in zip(some.spikes("i"), everything.spikes("i"), strict=True):
        assert np.array_equal(got, expected)
    assert len(some) == some.counts["i"] == np.count_nonzero((some.ids >= 150) & (some.ids < 200))
    assert everything.rates("e") == pytest.approx(everything.counts["e"] / 150 / 0.03)
    order = np.lexsort((everything.ids, everything.times))
    assert np.array_equal(order, np.arange(len(order)))


def test_events_are_the_synapses_that_spikes_went_through() -> None:
    """Every spike goes through all synapses of its source once."""
    network = two_populations("delta", "spread", poisson=True)
    sim = network.build(threads=2)
    recording = sim.run(30.0)
    sim.run(50.0, record=False)
    outdegree = np.zeros(network.n_neurons, int)
    for projection in network.projections:
        np.add.at(outdegree, projection.pre.first + sim.connections(projection).sources, 1)
    sim.reset()
    sim.events = 0
    again = sim.run(30.0)
    assert bits(again) == bits(recording)
    settled = again.ids[again.times < 30.0 - STEP * sim.longest_delay]
    assert outdegree[settled].sum() <= sim.events <= outdegree[again.ids].sum()
