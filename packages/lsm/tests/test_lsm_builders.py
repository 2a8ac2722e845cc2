"""Networks of the literature: their published numbers, and what they do."""

import numpy as np
import pytest
from lsm.connections import connections
from lsm.cortical_columns import cortex
from lsm.dc import DC
from lsm.facilitated_memory import cue_spikes, held_item, working_memory
from lsm.maass_column import maass
from lsm.midbrain import add_dopamine, collicular_map
from lsm.network import Network
from lsm.poisson import Poisson
from lsm.potjans_diesmann import FULL_RATES, NEURON, PSP, SIZES, microcircuit, psc_of_psp, synapse_numbers


def test_microcircuit_has_the_published_numbers():
    assert sum(SIZES) == 77_169
    assert synapse_numbers().sum() == 298_880_968
    assert psc_of_psp(PSP, NEURON) == pytest.approx(87.8, abs=0.05)


def input_of(net, scale):
    """Mean and variance rate of each population's input at the full model's rates: external and constant ones too."""
    mean, variance = np.zeros(8), np.zeros(8)
    for p in net.projections:
        events = p.rule.n / p.post.n * FULL_RATES[p.pre.index]
        mean[p.post.index] += NEURON.tau_syn * 1e-3 * events * p.weight.mean
        variance[p.post.index] += events * (p.weight.mean**2 + p.weight.sd**2)
    for population, source in net.drives:
        if isinstance(source, Poisson):
            mean[population.index] += NEURON.tau_syn * 1e-3 * source.rate * source.weight
            variance[population.index] += source.rate * source.weight**2
        else:
            assert isinstance(source, DC)
            mean[population.index] += source.current
    return mean, variance


@pytest.mark.parametrize("drive", ["poisson", "dc"])
def test_smaller_microcircuits_keep_mean_and_variance_of_the_input(drive):
    mean, variance = input_of(microcircuit(drive=drive), 1.0)
    for scale, k_scale in ((0.5, 0.5), (0.1, 0.1), (0.5, 0.1)):
        less_mean, less_variance = input_of(microcircuit(scale, k_scale=k_scale, drive=drive), scale)
        np.testing.assert_allclose(less_mean, mean, atol=2.0)  # of some 350 pA; in-degrees are whole numbers
        np.testing.assert_allclose(less_variance, variance, rtol=0.01)
    both = [input_of(microcircuit(0.3, drive=kind), 0.3)[0] for kind in ("poisson", "dc")]
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)


def test_classic_column_connects_as_often_as_it_says():
    net = maass(1800, seed=1)
    for pair, probability in (("EE", 0.3), ("EI", 0.2), ("IE", 0.4), ("II", 0.1)):
        projection = next(p for p in net.projections if (p.pre.name, p.post.name) == tuple(pair))
        drawn = connections(net, projection)
        sources, targets = projection.pre.positions, projection.post.positions
        assert sources is not None
        assert targets is not None
        apart = np.sqrt(((sources[:, None] - targets) ** 2).sum(-1))
        connected = np.zeros(apart.shape, bool)
        connected[drawn.sources, drawn.targets] = True
        for distance in (1.0, 2.0):
            at = np.isclose(apart, distance)
            expected = probability * np.exp(-((distance / 2) ** 2))
            tolerance = 4 * np.sqrt(expected * (1 - expected) / at.sum())
            assert connected[at].mean() == pytest.approx(expected, abs=tolerance), (pair, distance)
        assert (drawn.weights * (1 if pair[0] == "E" else -1) >= 0).all()


def test_classic_column_answers_its_input_and_falls_silent_or_not_by_its_background():
    sim = maass(135, seed=0).build(threads=1)
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 500, 400))
    driven = sim.run(500.0, {"in": (times, rng.integers(0, 40, 400))}).rates("E")
    sim.reset()
    assert driven > 2 + sim.run(500.0).rates("E")


def run_memory(*, facilitation):
    sim = working_memory(neurons=4000, facilitation=facilitation, step=0.5).build(threads=1)
    recording = sim.run(2250.0, {"cue": cue_spikes(2, start=500.0, step=0.5)})
    stretches = ((100, 500), (500, 850), (1250, 1750), (1750, 2250))
    return [held_item(recording, 5, start=start, end=end)[1] for start, end in stretches]


def test_memory_holds_an_item_over_a_delay_by_facilitation_alone():
    before, cued, first, second = run_memory(facilitation=True)
    others = [0, 1, 3, 4]
    assert before.max() < 2.0
    assert cued[2] > 10
    for delay in (first, second):  # 0.4 to 1.4 s after the cue
        assert delay[2] > 3.0
        assert delay[2] > 4 * delay[others].max()
    _, cued, first, second = run_memory(facilitation=False)
    assert cued[2] > 8
    for delay in (first, second):
        assert delay[2] < 1.5
        assert delay[2] < 2 * delay[others].max()


def test_collicular_map_is_logarithmic_and_symmetric():
    np.testing.assert_allclose(collicular_map(0.0, 0.3), [0.0, 0.0], atol=1e-12)
    far = collicular_map(np.array([1000.0, 2000.0]), 0.0)
    assert far[1, 0] - far[0, 0] == pytest.approx(1.4 * np.log(2), rel=1e-2)
    up, down = collicular_map(10.0, 0.7), collicular_map(10.0, -0.7)
    np.testing.assert_allclose(up, down * [1, -1])
    assert collicular_map(1e9, np.pi / 2)[1] == pytest.approx(1.8 * np.pi / 2)


def test_dopamine_tells_reward_from_expected_reward():
    net = Network(seed=0, step=1.0)
    add_dopamine(net)
    sim = net.build(threads=1)
    burst = (np.full(10, 200.0), np.arange(10))
    counts = {}
    for name, inputs in {
        "nothing": {}, "surprise": {"reward": burst}, "as expected": {"reward": burst, "expectation": burst},
        "missing": {"expectation": burst},
    }.items():  # fmt: skip
        sim.reset()
        times, _ = sim.run(300.0, inputs).spikes("DA")
        counts[name] = ((times > 200) & (times <= 240)).sum()
    assert counts["surprise"] > counts["nothing"] + 60  # most of the 100 neurons
    assert abs(counts["as expected"] - counts["nothing"]) < 20
    assert counts["missing"] <= counts["nothing"]


def test_cortex_hands_on_from_column_to_column_and_to_what_it_is_connected_with():
    net = cortex(4, 2000, channels=40, midbrain=True, working_memory=True, seed=0)
    places = net.find("23E").positions
    assert places is not None
    sim = net.build(threads=1)
    rng = np.random.default_rng(0)
    loud = np.sort(rng.uniform(0, 30, 400))  # 30 ms of noise on the middle channels
    recording = sim.run(300.0, {"in": (loud, rng.integers(10, 30, 400))})
    times, ids = recording.spikes("23E")
    columns = places[ids, 0].astype(int)
    onsets = [np.quantile(times[columns == column], 0.1) for column in range(4)]
    assert (np.diff(onsets) > 10).all()  # at least the delay between columns
    assert np.mean(np.abs(places[ids[columns == 3], 1] - 0.5) < 0.35) > 0.9  # the map is kept
    for name in ("5E", "6E", "SCe"):
        assert recording.counts[name] > 0, name
    assert {"wm.item0", "wm.inhibitory", "DA"} <= set(recording.sizes)
    into = [p for p in net.projections if p.pre.name in ("23E", "5E") and p.post.name.startswith("wm.item")]
    back = [p for p in net.projections if p.pre.name.startswith("wm.item") and p.post.name == "23E"]
    assert len(into) == 10
    assert len(back) == 5


def test_bad_builders_are_named():
    for build, message in [
        (lambda: microcircuit(0.0), "scale"),
        (lambda: microcircuit(drive="noise"), "drive"),  # pyright: ignore[reportArgumentType]
        (lambda: maass(3), "9 neurons"),
        (lambda: working_memory(11), "1 to 10 items"),
        (lambda: cortex(0), "columns"),
        (lambda: cortex(2, layers=("4", "7")), "layers"),
        (lambda: collicular_map(-1.0, 0.0), "eccentricity"),
    ]:
        with pytest.raises(ValueError, match=message):
            build()
