"""Pictures show the numbers that they are of, with units on their axes."""

# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportArgumentType=false
# matplotlib types what it draws by its base classes

from __future__ import annotations

import numpy as np
import pytest
import torch
from spikecode import (
    SpikeCodec,
    plot_decoded,
    plot_error_curves,
    plot_raster,
    plot_rate_histogram,
    plot_tuning_curves,
)


@pytest.fixture(scope="module")
def case():
    x_nD = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    codec = SpikeCodec.fit(x_nD, neurons=60, steps=50, density=0.05, dt=0.5)
    return codec, x_nD, codec.encode(x_nD)


def labels(figure):
    return [text for axis in figure.axes for text in (axis.get_xlabel(), axis.get_ylabel()) if text]


def drawn(figure, tmp_path):
    path = tmp_path / "figure.png"
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_raster_has_every_spike_of_the_population(case, tmp_path):
    codec, x_nD, train = case
    figure = plot_raster(codec, train, x_nD, token=2, dimension=3)
    raster, rates = figure.axes
    spikes = sum(len(rows.get_positions()) for rows in raster.collections)
    assert spikes == int(train.counts()[2, 3].sum())
    assert f"{spikes} spikes" in raster.get_title(loc="left")
    assert raster.get_xlim() == (0, 25)
    assert labels(figure) == ["time (ms)", "preferred value (embedding units)", "rate (Hz)"]
    counted = next(line for line in rates.lines if line.get_label() == "counted").get_xdata()
    assert max(counted) == int(train.counts()[2, 3].max()) / 0.025
    drawn(figure, tmp_path)


def test_large_populations_are_drawn_by_some_of_their_neurons():
    x_nD = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    codec = SpikeCodec.fit(x_nD, neurons=2500, steps=20)
    train = codec.encode(x_nD[:1])
    raster = plot_raster(codec, train, x_nD[:1]).axes[0]
    lines = raster.collections
    assert 100 <= len(lines) <= 150
    assert f"{train.counts()[0, 0].sum():,} spikes ({len(lines)} of " in raster.get_title(loc="left")
    offsets = np.array([rows.get_lineoffset() for rows in lines])
    np.testing.assert_allclose(np.diff(offsets), lines[0].get_linelength() / 0.8)


@pytest.mark.parametrize("scheme", ["rate", "latency", "phase", "burst"])
def test_expected_rates_are_those_of_the_scheme(scheme):
    x_nD = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    codec = SpikeCodec.fit(x_nD, neurons=50, steps=100, scheme=scheme, sigma=0.1)
    train = codec.encode(x_nD[:1].expand(200, 1))
    rates = plot_raster(codec, train, x_nD).axes[1]
    expected = next(line for line in rates.lines if line.get_label() == "expected").get_xdata()
    assert max(expected) == pytest.approx(float(train.counts().double().mean(0).max()) * 10, rel=0.1)


def test_tuning_curves_are_the_population(case, tmp_path):
    codec, _, _ = case
    figure = plot_tuning_curves(codec, dimension=1, curves=5)
    (axis,) = figure.axes
    curves = [line for line in axis.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 5
    x, rate = (np.asarray(values) for values in curves[2].get_data())
    low, width = codec.calibration.low_D[1].item(), codec.calibration.width_D[1].item()
    unit = torch.from_numpy((x - low) / width)
    neuron = int(torch.linspace(0, 59, 5).round()[2])
    np.testing.assert_allclose(rate, codec.population.rates(unit)[:, neuron], rtol=1e-6, atol=1e-6)
    assert labels(figure) == ["value of dimension 1 (embedding units)", "rate (Hz)"]
    drawn(figure, tmp_path)


def test_rate_histogram_shares_add_up(case, tmp_path):
    _, _, train = case
    figure = plot_rate_histogram(train)
    (axis,) = figure.axes
    assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(1)
    assert labels(figure) == ["rate (Hz)", "share of neurons"]
    mean = train.density * 1000 / train.dt
    assert any(text.get_text() == f"mean: {mean:.1f} Hz" for text in axis.get_legend().get_texts())
    drawn(figure, tmp_path)


def test_decoded_values_beside_the_bound(case, tmp_path):
    codec, x_nD, train = case
    decoded_nD, bound_nD = codec.decode(train), codec.bound(x_nD)
    figure = plot_decoded(x_nD, decoded_nD, bound_nD)
    ratio = ((decoded_nD - x_nD) / bound_nD).square().mean().sqrt().item()
    assert f"{ratio:.3f} of the bound" in figure.axes[1].get_title(loc="left")
    assert "encoded value (embedding units)" in labels(figure)
    drawn(figure, tmp_path)


def test_error_curves(tmp_path):
    rows = [
        {"neurons": n, "steps": t, "rmse": 1.1 * (n * t) ** -0.5, "bound": (n * t) ** -0.5}
        for n in (50, 500)
        for t in (10, 100, 1000)
    ]
    figure = plot_error_curves(rows)
    assert labels(figure) == ["neurons a dimension, N", "RMSE (embedding units)", "bins, T"]
    assert all(axis.get_xscale() == axis.get_yscale() == "log" for axis in figure.axes)
    points = [line for line in figure.axes[1].lines if line.get_label().startswith("N = ")]
    assert [list(line.get_xdata()) for line in points] == [[10, 100, 1000]] * 2
    drawn(figure, tmp_path)


def test_pictures_of_what_is_not_there(case):
    codec, x_nD, train = case
    with pytest.raises(ValueError, match="plot_raster: token and dimension must be below 30 and 4"):
        plot_raster(codec, train, x_nD, token=30)
    with pytest.raises(ValueError, match="plot_tuning_curves: dimension must be below 4"):
        plot_tuning_curves(codec, dimension=4)
    with pytest.raises(ValueError, match="holds no token"):
        plot_rate_histogram(train[:0])
    with pytest.raises(ValueError, match="plot_decoded: expected three matrices of one shape"):
        plot_decoded(x_nD, x_nD[:3], x_nD)
    with pytest.raises(ValueError, match="plot_error_curves: expected rows with bound, neurons, rmse, steps"):
        plot_error_curves([{"neurons": 3}])


def test_dimensions_of_one_value_have_no_picture_and_spoil_none(tmp_path):
    x_nD = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    x_nD[:, 1] = 2.0
    codec = SpikeCodec.fit(x_nD, neurons=60, steps=50)
    train = codec.encode(x_nD)
    for draw in (lambda: plot_raster(codec, train, x_nD, dimension=1), lambda: plot_tuning_curves(codec, dimension=1)):
        with pytest.raises(ValueError, match="dimension 1 has one value only"):
            draw()
    decoded_nD, bound_nD = codec.decode(train), codec.bound(x_nD)
    figure = plot_decoded(x_nD, decoded_nD, bound_nD)
    without = plot_decoded(*(values[:, [0, 2]] for values in (x_nD, decoded_nD, bound_nD)))
    assert figure.axes[1].get_title(loc="left") == without.axes[1].get_title(loc="left")
    drawn(figure, tmp_path)
