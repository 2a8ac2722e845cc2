"""Pictures show the numbers that they are of, with units on their axes."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
# matplotlib types what it draws by its base classes

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from lsm.activity_film import grid_positions, save_activity_film
from lsm.activity_plots import plot_avalanches, plot_spectrum
from lsm.connectivity_plots import plot_connectivity, plot_eigenvalues, plot_weights_and_delays
from lsm.figures import save_figure
from lsm.layout_plots import plot_layout
from lsm.network_graph import neuron_graph, plot_populations, population_graph
from lsm.raster_plots import plot_raster, plot_rate_histogram, plot_rates, plot_rates_over_time, shown_neurons
from PIL import Image

SIZES = {"23E": 300, "23I": 80, "4E": 200, "4I": 50}


@pytest.fixture(scope="module")
def spikes():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 500, 4000).round(1))
    return times, rng.integers(0, sum(SIZES.values()), 4000)


def labels(figure):
    return [text for axis in figure.axes for text in (axis.get_xlabel(), axis.get_ylabel()) if text]


def test_a_raster_has_every_spike_of_a_small_network(spikes, tmp_path):
    times, ids = spikes
    figure = plot_raster(times, ids, SIZES, begin=100, end=300)
    raster, _ = figure.axes
    within = (times > 100) & (times <= 300)
    points = np.concatenate([part.get_offsets() for part in raster.collections])
    assert len(points) == within.sum()
    np.testing.assert_allclose(np.sort(points[:, 0]), times[within])
    np.testing.assert_allclose(np.sort(points[:, 1] - 0.5), np.sort(ids[within]))  # drawn in the order of the ids
    assert f"{within.sum():,} spikes of 630 neurons" in raster.get_title(loc="left")
    assert [text.get_text() for text in raster.get_yticklabels()] == list(SIZES)
    assert raster.get_ylim()[0] > raster.get_ylim()[1]  # the first population is on top
    assert labels(figure) == ["time (ms)", "rate (Hz)"]
    path = save_figure(figure, tmp_path / "raster.png")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    with pytest.raises(ValueError, match="ending in"):
        save_figure(figure, tmp_path / "raster.doc")


def test_a_large_network_is_drawn_by_some_neurons_of_every_population():
    sizes = {"E": 80_000, "few": 60, "I": 20_000}
    shown = shown_neurons(sizes, 2000)
    assert sum(map(len, shown.values())) == pytest.approx(2000, rel=0.05)
    assert len(shown["few"]) == 40
    for name, local in shown.items():
        assert (np.diff(local) > 0).all()
        assert local[-1] < sizes[name]
    figure = plot_raster([1.0, 2.0], [0, 1], sizes)
    assert "neurons drawn" in figure.axes[0].get_title(loc="left")
    assert sum(len(part.get_offsets()) for part in figure.axes[0].collections) == 1  # neuron 1 is not among them


def test_rates_stand_beside_those_of_others():
    ours = {"23E": 1.0, "23I": 3.0}
    figure = plot_rates({"lsm": ours, "NEST": {"23E": 1.1, "23I": 2.9}, "published": {"23E": (0.9, 1.2)}})
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [1.0, 3.0]
    assert [line.get_xdata()[0] for line in axis.lines] == [1.1, 2.9, 0.9]
    with pytest.raises(ValueError, match="4E"):
        plot_rates({"lsm": ours, "NEST": {"4E": 1.0}})


def test_rates_over_time_count_every_spike(spikes):
    times, ids = spikes
    figure = plot_rates_over_time(times, ids, SIZES, end=500, width=10)
    assert [axis.get_ylabel() for axis in figure.axes] == list(SIZES)
    vertices = figure.axes[0].collections[0].get_paths()[0].vertices
    own = ids < 300
    peak = np.histogram(times[own], np.arange(0, 501, 10))[0].max() / 300 / 10 * 1000
    assert vertices[:, 1].max() == pytest.approx(peak)


def test_a_histogram_of_rates_adds_up(spikes):
    _, ids = spikes
    counts = np.bincount(ids, minlength=630)
    (axis,) = plot_rate_histogram(counts, SIZES, 500).axes
    for line, (name, n) in zip(axis.lines, SIZES.items(), strict=True):
        assert line.get_ydata().sum() == pytest.approx(1)
        own = counts[: SIZES["23E"]].mean() / 0.5 if name == "23E" else None
        assert own is None or f"{own:.2f} Hz" in line.get_label()
        assert n
    with pytest.raises(ValueError, match="630"):
        plot_rate_histogram(counts[1:], SIZES, 500)


def test_a_matrix_says_its_numbers():
    matrix_TS = np.array([[0.1, 0.0], [0.25, 0.3]])
    figure = plot_connectivity(matrix_TS, ["E", "I"])
    axis = figure.axes[0]
    assert {(text.get_position(), text.get_text()) for text in axis.texts} == {
        ((0, 0), "0.1"),
        ((0, 1), "0.25"),
        ((1, 1), "0.3"),
    }
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("from", "to")
    with pytest.raises(ValueError, match="shape"):
        plot_connectivity(matrix_TS, ["E"])


def test_weights_and_delays_add_up():
    rng = np.random.default_rng(0)
    weights = {"E": rng.normal(88, 9, 5000), "I": np.full(10, -351.0)}
    delays = {"E": rng.integers(1, 30, 5000) / 10, "I": np.full(10, 0.8)}
    left, right = plot_weights_and_delays(weights, delays).axes
    for axis in (left, right):
        (stairs,) = axis.patches
        assert stairs.get_data().values.sum() == pytest.approx(1)
    values, edges, _ = right.patches[0].get_data()
    counted = np.bincount(np.rint(delays["E"] * 10).astype(int))
    centres = np.rint((edges[:-1] + edges[1:]) * 5).astype(int)
    found = {int(c): v for c, v in zip(centres, values, strict=True) if v}
    assert found == pytest.approx({c: n / 5000 for c, n in enumerate(counted) if n})


def test_eigenvalues_lie_in_the_circle():
    (axis,) = plot_eigenvalues(np.diag([0.5, -2.0])).axes
    assert sorted(axis.collections[0].get_offsets()[:, 0]) == [-2.0, 0.5]
    assert "spectral radius 2" in axis.lines[0].get_label()
    np.testing.assert_allclose(np.hypot(*axis.lines[0].get_data()), 2.0)


def test_a_layout_has_every_neuron():
    rng = np.random.default_rng(0)
    positions_N3 = rng.uniform(size=(630, 3))
    figure = plot_layout(positions_N3, SIZES, edges_E2=rng.integers(0, 630, (20, 2)), unit="mm")
    (axis,) = figure.axes
    assert sum(len(part._offsets3d[0]) for part in axis.collections if hasattr(part, "_offsets3d")) == 630
    assert axis.get_zlabel() == "z (mm)"
    with pytest.raises(ValueError, match="beyond 0 to 629"):
        plot_layout(positions_N3, SIZES, edges_E2=np.array([[0, 630]]))
    with pytest.raises(ValueError, match="positions"):
        plot_layout(positions_N3[:5], SIZES)


def test_the_spectrum_of_poisson_neurons_is_flat_at_its_line():
    rng = np.random.default_rng(1)
    n, rate, seconds = 200, 20.0, 40
    times = rng.uniform(0, seconds * 1000, rng.poisson(n * rate * seconds))
    ids = rng.integers(0, n, len(times))
    (axis,) = plot_spectrum(times, ids, {"E": n}, end=seconds * 1000).axes
    power, line = axis.lines[0].get_ydata(), axis.lines[1].get_ydata()[0]
    assert line == pytest.approx(2 * rate / n, rel=0.02)
    assert power.mean() == pytest.approx(line, rel=0.05)
    with pytest.raises(ValueError, match="64"):
        plot_spectrum(times, ids, {"E": n}, end=10)


def test_avalanches_of_a_power_law_follow_its_exponent():
    rng = np.random.default_rng(0)
    sizes = np.floor((1 - rng.random(200_000)) ** -2)  # P(size > s) = s^-1/2
    (axis,) = plot_avalanches(sizes[sizes < 1000]).axes
    x, y = axis.lines[0].get_data()
    some = (x > 3) & (x < 300)
    assert np.polyfit(np.log(x[some]), np.log(y[some]), 1)[0] == pytest.approx(-1.5, abs=0.1)
    with pytest.raises(ValueError, match="no avalanche"):
        plot_avalanches([])


def test_graphs(tmp_path):
    graph = population_graph(SIZES, {("23E", "4E"): 4000, ("23I", "23E"): 600}, weight={("23E", "4E"): 0.15})
    assert graph.nodes["4I"]["neurons"] == 50
    assert graph.edges["23E", "4E"] == {"synapses": 4000, "indegree": 20.0, "weight": 0.15}
    for layers in (None, [["23E", "23I"], ["4E", "4I"]]):
        (axis,) = plot_populations(graph, layers=layers).axes
        assert {text.get_text() for text in axis.texts} >= set(SIZES)
    with pytest.raises(ValueError, match="6E"):
        population_graph(SIZES, {("6E", "4E"): 1})
    neurons = neuron_graph(SIZES, [0, 0, 629], [1, 1, 0], weights=[0.1, 0.2, -0.5])
    assert neurons.number_of_edges(0, 1) == 2
    assert neurons.nodes[629]["population"] == "4I"
    assert neurons.edges[629, 0, 0] == {"weight": -0.5}
    nx.write_graphml(neurons, tmp_path / "net.graphml")
    assert nx.read_graphml(tmp_path / "net.graphml", node_type=int).number_of_edges() == 3
    with pytest.raises(ValueError, match="sources must lie in 0 to 629"):
        neuron_graph(SIZES, [630], [0])


@pytest.mark.parametrize("dimensions", [None, 3])
def test_films(spikes, tmp_path, dimensions):
    times, ids = spikes
    place = None if dimensions is None else np.random.default_rng(0).uniform(size=(630, dimensions))
    path = save_activity_film(tmp_path / "film.gif", times, ids, SIZES, positions_ND=place, frames=3, end=60)
    with Image.open(path) as film:
        assert film.n_frames == 3
        first = np.asarray(film.convert("RGB"))
        film.seek(2)
        assert (np.asarray(film.convert("RGB")) != first).any()


def test_films_are_refused_before_the_work(spikes, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.gif, \.html, \.mp4"):
        save_activity_film(tmp_path / "film.avi", *spikes, SIZES)
    with pytest.raises(ValueError, match="positions"):
        save_activity_film(tmp_path / "film.gif", *spikes, SIZES, positions_ND=np.zeros((5, 3)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="ffmpeg"):
        save_activity_film(tmp_path / "film.mp4", *spikes, SIZES)
    assert not list(tmp_path.iterdir())
    assert len(np.unique(grid_positions(SIZES), axis=0)) == 630


@pytest.mark.parametrize("plot", [plot_raster, plot_rates_over_time, plot_spectrum])
def test_spikes_of_no_neuron_are_refused(plot):
    with pytest.raises(ValueError, match=r"ids 0 to 630"):
        plot([1.0, 2.0], [0, 630], SIZES)
    with pytest.raises(ValueError, match="as many times as ids"):
        plot([1.0, 2.0], [0], SIZES)
