"""Synapses that change, in the engine: against their equations spike by spike, and alike on any partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lsm
import numpy as np
import pytest
from lsm.dopamine import DopamineLevel, DopamineSTDP, dopamine_constants, dopamine_step, eligible, settled
from lsm.short_term import ShortTerm, short_term_spike
from lsm.stdp import STDP, depressed, potentiated

STEP = 0.1
RULES = [
    STDP(rate=0.02, alpha=1.1, tau_plus=15.0, tau_minus=25.0, w_max=1.0),
    STDP(rate=0.01, alpha=1.0, mu_plus=0.4, mu_minus=0.4, w_max=1.0),
    DopamineSTDP(
        A_plus=2e-3, A_minus=3e-3, tau_c=60.0, tau_n=30.0, baseline=2.0, w_max=1.0, dopamine="I", dopamine_delay=2.0
    ),
]
SHORT = ShortTerm(U=0.5, tau_rec=300.0, tau_fac=50.0)
MODELS = [None, SHORT, *RULES]


def balanced(synapse: Any, *, other: Any = None, precision: Any = "float64", **build: Any) -> lsm.Simulation:
    """A small balanced network whose excitatory synapses are of a kind."""
    cell = lsm.LIF(tau_m=20.0, threshold=20.0, refractory=2.0, synapse="delta")
    network = lsm.Network(seed=5, step=STEP)
    e, i = network.population("E", 200, cell), network.population("I", 50, cell)
    network.connect(e, e, lsm.FixedIndegree(20), weight=0.6, delay=1.5, synapse=synapse)
    network.connect(e, i, lsm.FixedIndegree(20), weight=lsm.Normal(0.6, 0.1), delay=lsm.Uniform(0.5, 3.0))
    network.connect(i, [e, i], lsm.FixedIndegree(5), weight=-3.0, delay=1.0, synapse=other)
    network.drive([e, i], lsm.Poisson(rate=10_000.0, weight=0.15))
    return network.build(precision=precision, **build)


def changing(simulation: lsm.Simulation) -> list[np.ndarray]:
    """What synapses have become."""
    if len(simulation.learning.table_LX):
        return list(simulation.weights(simulation.network.projections[0]))
    return [simulation.short_term.u, simulation.short_term.x]


def assert_alike(one: lsm.Simulation, other: lsm.Simulation, duration: float) -> None:
    """The same spikes and the same synapses after a run."""
    a, b = one.run(duration), other.run(duration)
    assert len(a) > 3 * duration
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.times, b.times)
    assert one.events == other.events
    for x, y in zip(changing(one), changing(other), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("synapse", MODELS, ids=repr)
def test_spikes_and_weights_do_not_depend_on_partitions_and_threads(synapse: Any) -> None:
    assert_alike(balanced(synapse, partitions=1, threads=1), balanced(synapse, partitions=8, threads=2), 150.0)


@pytest.mark.parametrize("synapse", MODELS[1:], ids=repr)
def test_the_compiled_synapses_are_the_plain_ones_to_the_last_bit(synapse: Any) -> None:
    fast, plain = (balanced(synapse, device=device, partitions=2) for device in ("cpu", "reference"))
    assert_alike(fast, plain, 35.0)


@pytest.mark.parametrize("synapse", RULES, ids=repr)
def test_so_they_are_in_float32_and_beside_synapses_of_other_kinds(synapse: Any) -> None:
    fast, plain = (
        balanced(synapse, other=SHORT, precision="float32", device=device, partitions=2)
        for device in ("cpu", "reference")
    )
    assert_alike(fast, plain, 35.0)
    assert changing(fast)[0].dtype == np.float32


@pytest.mark.parametrize("synapse", RULES, ids=repr)
def test_weights_move_and_stay_within_their_bounds(synapse: STDP | DopamineSTDP) -> None:
    simulation = balanced(synapse)
    simulation.run(300.0)
    weights, _, _ = simulation.weights(simulation.network.projections[0])
    assert weights.std() > 0.01
    assert weights.min() >= synapse.bounds[0]
    assert weights.max() <= synapse.bounds[1]


def test_a_target_receives_what_the_equations_say() -> None:
    """The membrane of a target without leak is the sum of the factors u x of the spikes so far."""
    weight, delay = 3.0, 2.0
    rng = np.random.default_rng(0)
    steps = np.sort(rng.choice(8000, 60, replace=False)) + 1
    network = lsm.Network(seed=0, step=STEP)
    source = network.inputs("source", 1)
    target = network.population("target", 1, lsm.LIF(tau_m=1e12, threshold=1e9))
    network.connect(source, target, lsm.FixedIndegree(1), weight=weight, delay=delay, synapse=SHORT)
    simulation = network.build(precision="float64")
    expected, u, x, last = 0.0, np.zeros(1), np.ones(1), -np.inf
    now = 0
    for step in steps.tolist():
        gap = (step - last) * STEP
        u, x = short_term_spike(
            u, x, U=0.5, recovery=np.array(np.exp(-gap / 300.0)), facilitation=np.array(np.exp(-gap / 50.0))
        )
        expected, last = expected + weight * float((u * x)[0]), step
        simulation.run((step - now) * STEP, inputs={"source": ([(step - now) * STEP], [0])}, record=False)
        now = step
        assert simulation.short_term.u == pytest.approx(u, rel=1e-12)
        assert simulation.short_term.x == pytest.approx(x, rel=1e-12)
    simulation.run(delay, record=False)
    # a spike's part is rounded to a 2^20th of the weight
    assert simulation.neurons.state[0] == pytest.approx(expected, abs=len(steps) * weight * 2.0**-20)


def learned(
    rule: STDP | DopamineSTDP, delay: int, pre: Sequence[int], post: Sequence[int], pool: Sequence[int], until: int
) -> float:
    """Weight of one synapse after its spikes, from 0.5, event by event; times are steps at which spikes are fired."""
    at_pre, at_post = {s + delay for s in pre}, {s + 2 * delay for s in post}
    w, c, k_plus, k_minus, last_plus, last_minus = np.array([0.5]), np.zeros(1), 0.0, 0.0, -np.inf, -np.inf
    level = DopamineLevel()
    constants = dopamine_constants(rule, STEP) if isinstance(rule, DopamineSTDP) else None
    released = set()
    if isinstance(rule, DopamineSTDP):
        released = {s + delay + round(rule.dopamine_delay / STEP) for s in pool}
    for step in range(1, until + 1):
        plus = np.array([k_plus * np.exp(-(step - last_plus) * STEP / rule.tau_plus)])
        minus = np.array([k_minus * np.exp(-(step - last_minus) * STEP / rule.tau_minus)])
        if isinstance(rule, DopamineSTDP):
            assert constants is not None
            if level.age == constants.length:
                w, c = settled(w, c, level.integral, rule), c * constants.left[-1]
                level.integral, level.age = 0.0, 0
            dopamine_step(level, constants)
            level.n += constants.release * (step in released)
            if step in at_post:
                _, w, c = eligible(w, c, rule.A_plus * plus, level, constants, rule)
            if step in at_pre:
                _, w, c = eligible(w, c, -rule.A_minus * minus, level, constants, rule)
        else:
            w = potentiated(w, plus, rule) if step in at_post else w
            w = depressed(w, minus, rule) if step in at_pre else w
        if step in at_pre:
            k_plus, last_plus = float(plus[0]) + 1, step
        if step in at_post:
            k_minus, last_minus = float(minus[0]) + 1, step
    return float(settled(w, c, level.integral, rule)[0]) if isinstance(rule, DopamineSTDP) else float(w[0])


PAIRED = [
    RULES[0],
    RULES[1],
    DopamineSTDP(A_plus=0.5, tau_c=60.0, tau_n=30.0, baseline=1e-3, w_max=1.0, dopamine="pool"),
]


@pytest.mark.parametrize("rule", PAIRED, ids=repr)
def test_weights_follow_the_equations_spike_by_spike(rule: STDP | DopamineSTDP) -> None:
    """Two sources and two targets that fire at given times; the engine against the plain loop above."""
    rng = np.random.default_rng(3)
    until, delay = 3000, 12
    trains = {
        name: [np.sort(rng.choice(np.arange(40, until - 40), 25, replace=False)) for _ in range(2)]
        for name in ("pre", "force", "pool")
    }
    network = lsm.Network(seed=0, step=STEP)
    sources, forced, _ = (network.inputs(name, 2) for name in trains)
    targets = network.population("post", 2, lsm.LIF(tau_m=0.1, threshold=10.0, refractory=0.0))
    # both targets have both sources: with an in-degree of 64 every pair is drawn
    network.connect(sources, targets, lsm.FixedIndegree(64), weight=0.5, delay=delay * STEP, synapse=rule)
    network.connect(forced, targets, lsm.FixedIndegree(64), weight=1e3, delay=STEP)
    simulation = network.build(precision="float64")
    inputs = {
        name: (np.concatenate(parts) * STEP, np.repeat([0, 1], [len(part) for part in parts]))
        for name, parts in trains.items()
    }
    spikes = simulation.run(until * STEP, inputs=inputs)
    weights, pre_S, post_S = simulation.weights(network.projections[0])
    times, ids = spikes.spikes("post")
    pool = np.concatenate(trains["pool"]).tolist()
    for target in range(2):
        fired = np.rint(times[ids == target] / STEP).astype(int).tolist()
        assert len(fired) >= 25
        for source in range(2):
            kept = weights[(pre_S == source) & (post_S == target)]
            assert len(kept)
            expected = learned(rule, delay, trains["pre"][source].tolist(), fired, pool, until)
            assert kept == pytest.approx(expected, rel=1e-9)


def test_a_reward_releases_dopamine_as_spikes_do() -> None:
    rule = DopamineSTDP(w_max=1.0)
    one, two = balanced(rule), balanced(rule)
    one.run(50.0, reward=3.0)
    two.reward(3.0)
    two.run(50.0)
    np.testing.assert_array_equal(changing(one)[0], changing(two)[0])
    assert one.learning.level_LPX[0, 0, 0] == pytest.approx(3.0 / 200.0 * np.exp(-50.0 / 200.0))
    with pytest.raises(ValueError, match="DopamineSTDP"):
        balanced(SHORT).reward(1.0)


def test_what_cannot_learn_is_named() -> None:
    network = lsm.Network()
    cells = network.population("E", 4, lsm.LIF())
    with pytest.raises(ValueError, match="one delay for all"):
        network.connect(cells, cells, lsm.FixedIndegree(1), weight=1.0, delay=lsm.Uniform(1.0, 2.0), synapse=RULES[0])
    with pytest.raises(ValueError, match="weights must lie from 0 to 1"):
        network.connect(cells, cells, lsm.FixedIndegree(1), weight=2.0, delay=1.0, synapse=RULES[0])
    with pytest.raises(ValueError, match="no population 'I'"):
        network.connect(cells, cells, lsm.FixedIndegree(1), weight=0.5, delay=1.0, synapse=RULES[2])
    with pytest.raises(TypeError, match="must be ShortTerm, STDP or DopamineSTDP"):
        network.connect(cells, cells, lsm.FixedIndegree(1), weight=0.5, delay=1.0, synapse="static")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no synapses that learn"):
        balanced(SHORT).weights(balanced(SHORT).network.projections[0])
