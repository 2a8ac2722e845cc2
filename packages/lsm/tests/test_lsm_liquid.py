"""The liquid as a whole: its states, its controls, and that it pays."""

import numpy as np
import pytest
from lsm.connections import connections
from lsm.controls import expanded, input_states, scrambled
from lsm.cortical_columns import Wiring, cortex
from lsm.exponential_filter import filtered_spikes
from lsm.liquid import LiquidStateMachine, as_rows
from lsm.maass_column import maass
from lsm.ridge import RidgeReadout
from lsm.task_templates import template_streams


def small_cortex(seed=0):
    return cortex(8, 1600, channels=40, wiring=Wiring(afferent=20.0, across=5.0), seed=seed)


def test_states_are_the_filtered_spikes_and_know_no_sample_before():
    streams = template_streams(3, n_segments=2, seed=0)
    liquid = LiquidStateMachine(maass(135, seed=0, step=0.5), tau=25.0, instants=4, of=["I", "E"], threads=1)
    states_BAN = liquid.states(streams.spikes, streams.duration)
    again_BAN = liquid.states(streams.spikes[::-1], streams.duration)[::-1]
    np.testing.assert_array_equal(states_BAN, again_BAN)
    sim = maass(135, seed=0, step=0.5).build(threads=1)
    recording = sim.run(streams.duration, {"in": streams.spikes[1]})
    at = streams.duration * np.arange(1, 5) / 4
    for name, columns in (("I", slice(0, 27)), ("E", slice(27, 135))):
        times, ids = recording.spikes(name)
        expected = filtered_spikes(times, ids, recording.sizes[name], at + 1e-6, tau=25.0)
        np.testing.assert_allclose(states_BAN[1, :, columns], expected, rtol=1e-5)
    assert states_BAN.any()


def test_fit_and_score_are_the_readouts_on_the_states():
    streams = template_streams(30, n_segments=2, seed=0)
    liquid = LiquidStateMachine(maass(135, seed=0, step=1.0), "ridge", instants=2, threads=1)
    liquid.fit(streams.spikes, streams.now(), durations=streams.duration)
    states_BAN = liquid.states(streams.spikes, streams.duration)
    readout = RidgeReadout().fit(as_rows(states_BAN, True), streams.now().ravel())
    assert liquid.score(streams.spikes, streams.now(), durations=streams.duration) == pytest.approx(
        readout.score(as_rows(states_BAN, True), streams.now().ravel())
    )
    answers = liquid.predict(streams.spikes, durations=streams.duration)
    assert answers.shape == (30, 2)
    whole = liquid.fit(streams.spikes, streams.now()[:, 0], durations=streams.duration)
    assert whole.predict(streams.spikes, durations=streams.duration).shape == (30,)


def test_scrambling_keeps_degrees_weights_and_delays():
    net = small_cortex()
    other = scrambled(net, seed=1)
    moved = 0
    for before, after in zip(net.projections, other.projections, strict=True):
        a, b = connections(net, before), connections(other, after)
        for side, n in (("sources", before.pre.n), ("targets", before.post.n)):
            np.testing.assert_array_equal(
                np.bincount(getattr(a, side), minlength=n), np.bincount(getattr(b, side), minlength=n)
            )
        np.testing.assert_allclose(np.sort(a.weights), np.sort(b.weights))
        np.testing.assert_allclose(np.sort(a.delays), np.sort(b.delays))
        moved += (a.targets != b.targets).sum()
    assert moved > 0
    kept = scrambled(net, inputs=False)
    for before, after in zip(net.projections, kept.projections, strict=True):
        assert (before is after) == (before.pre.name == "in")
    louder = scrambled(net, gain=2.0)
    for before, after in zip(net.projections, louder.projections, strict=True):
        grown = before.pre.model is not None and sum(before.weight.bounds) > 0
        ratio = connections(other, after).weights.sum() / connections(net, before).weights.sum()
        assert ratio == pytest.approx(2.0 if grown else 1.0)


def test_a_row_of_columns_remembers_the_last_template_and_its_controls_do_not():
    """Delayed by 100 ms with a filter of 15 ms: what the input leaves is e^-7; the columns hold it."""
    train, test = (template_streams(n, segment=100.0, seed=0, part=p) for n, p in ((80, "train"), (60, "test")))
    options = {"tau": 15.0, "instants": 4}

    def accuracy(train_BAN, test_BAN):
        readout = RidgeReadout(0.3).fit(as_rows(train_BAN[:, 1:], True), train.delayed()[:, 1:].ravel())
        return readout.score(as_rows(test_BAN[:, 1:], True), test.delayed()[:, 1:].ravel())

    def of_network(net):
        liquid = LiquidStateMachine(net, of=["4E", "23E", "5E"], threads=1, **options)
        return accuracy(liquid.states(train.spikes, 400.0), liquid.states(test.spikes, 400.0))

    liquid = of_network(small_cortex())
    inputs = [input_states(streams.spikes, 400.0, 40, **options) for streams in (train, test)]
    assert liquid > 0.9
    assert accuracy(*inputs) < liquid - 0.2
    assert accuracy(*[expanded(states, 1000) for states in inputs]) < liquid - 0.2
    assert of_network(scrambled(small_cortex())) < liquid - 0.2


def test_bad_liquids_are_named():
    net = maass(20)
    for arguments, message in [
        ({"readout": "tree"}, "readout must be one of"),
        ({"tau": 0.0}, "tau > 0"),
        ({"of": ["X"]}, "no population 'X'"),
    ]:
        with pytest.raises(ValueError, match=message):
            LiquidStateMachine(net, **arguments)
    with pytest.raises(ValueError, match="needs durations"):
        LiquidStateMachine(maass(20), threads=1).fit([(np.zeros(0), np.zeros(0, int))], np.array([1]))
