import math
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import sdquant as sd
import torch
from sdquant import analysis
from torch.nn.functional import normalize

GLOVE = Path(__file__).parents[4] / "shared" / "data" / "vectors" / "glove.6B.100d.top100k.f16.npy"


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, limit: float, seed: int = 0) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * limit


@pytest.fixture(scope="module")
def glove() -> torch.Tensor:
    if not GLOVE.is_file():
        pytest.skip("shared/data/vectors is absent")
    x = torch.from_numpy(np.load(GLOVE, mmap_mode="r")[:10_000].astype(np.float32))
    return normalize(x - x.mean(0), dim=1)


@pytest.fixture(scope="module")
def sqnr_rows() -> list[dict]:
    return analysis.sqnr(n_inputs=64)


def test_error_of_averages_falls_with_the_order(sqnr_rows: list[dict]) -> None:
    """Slopes within 10% of -1, -2 and -3 from 64 to 4096 samples; the memoryless error does not fall."""
    slopes = analysis.sqnr_slopes(sqnr_rows)
    assert [row["oversampling"] for row in sqnr_rows if row["order"] == 0] == [64, 128, 256, 512, 1024, 2048, 4096]
    for order in (1, 2, 3):
        assert slopes[order] == pytest.approx(-order, rel=0.1)
    assert slopes[0] == pytest.approx(0, abs=1e-6)


def test_decibels_are_those_of_the_error(sqnr_rows: list[dict]) -> None:
    """Inputs uniform in [-0.5, 0.5] have power 1 / 12; a memoryless quantizer misses them by 1 - |y|, power 7 / 12."""
    rows = {(row["order"], row["oversampling"]): row for row in sqnr_rows}
    assert rows[0, 64]["sqnr_db"] == pytest.approx(10 * math.log10(1 / 7), abs=1.5)
    gain = rows[2, 4096]["sqnr_db"] - rows[2, 64]["sqnr_db"]
    assert gain == pytest.approx(20 * math.log10(rows[2, 64]["rms_error"] / rows[2, 4096]["rms_error"]), abs=1e-9)


@pytest.mark.parametrize(
    ("oversampling", "published"), [(16, (0.30, 0.235, 0.32)), (64, (0.15, 0.029, 0.023)), (256, (0.078, 0.003, 0.001))]
)
def test_block_noise_is_as_published(oversampling: int, published: tuple[float, ...]) -> None:
    """Noise over signal at the best scale, independent normal input, orders 1 to 3: to a fifth, or the last digit."""
    for order, expected in enumerate(published, start=1):
        best = min(analysis.block_noise(order, oversampling, load=load) for load in (0.7, 0.8, 0.9, 1.0))
        assert best == pytest.approx(expected, rel=0.2, abs=6e-4)


def test_the_default_load_is_near_the_best_and_letting_pass_beats_clipping() -> None:
    for order in (1, 2, 3):
        for oversampling in (16, 64, 256):
            found = {load: analysis.block_noise(order, oversampling, load=load) for load in (0.6, 0.8, 1.0)}
            assert found[0.8] < 1.15 * min(found.values())
            clipped = min(
                analysis.block_noise(order, oversampling, load=load, overload="clip")
                for load in (0.2, 0.25, 0.35, 0.45, 0.55, 0.7)
            )
            assert found[0.8] < 0.85 * clipped


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_spectrum_is_welchs(order: int) -> None:
    y = uniform(4, 2048, limit=0.5).double()
    frequency, density = analysis.error_spectrum(y, order, segment=256)
    error = (y - sd.sigma_delta(y, order)).numpy()
    expected_f, expected = scipy.signal.welch(error, window="hann", nperseg=256, detrend=False)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(frequency.numpy(), expected_f[1:-1])
    np.testing.assert_allclose(density.numpy(), expected.mean(0)[1:-1])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_noise_is_shaped_as_the_filter_says(order: int) -> None:
    """Low-frequency noise falls as f^(2 order), near that of a white uniform state."""
    frequency, density = analysis.error_spectrum(uniform(64, 16_384, limit=0.5), order, segment=2048)
    low = (frequency > 0.002) & (frequency < 0.01)
    slope = np.polyfit(frequency[low].log(), density[low].log(), 1)[0]
    assert slope == pytest.approx(2 * order, rel=0.12)
    ratio = density[low] / (2 / 3 * analysis.noise_transfer(order, frequency[low]))
    assert 0.4 < float(ratio.log().mean().exp()) < 1.5


def test_noise_transfer_is_the_response_of_the_filter() -> None:
    frequency = torch.linspace(0, 0.5, 33)
    for order in range(4):
        lags, coefficients = sd.filter_taps(order)
        taps = np.zeros(26)
        taps[0] = 1
        taps[list(lags)] -= [float(h) for h in coefficients]
        response = np.exp(-2j * math.pi * np.outer(frequency.numpy(), np.arange(26))) @ taps
        np.testing.assert_allclose(
            analysis.noise_transfer(order, frequency).numpy(), np.abs(response) ** 2, rtol=1e-5, atol=1e-9
        )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_state_histogram_keeps_within_one_inside_the_limit_only(order: int) -> None:
    limit = sd.stability_limit(order)
    edges, density = analysis.state_histogram(uniform(20, 4000, limit=limit), order, bins=40)
    assert len(edges) == 41
    assert (float(edges[0]), float(edges[-1])) == (-1, 1)
    assert float((density * edges.diff()).sum()) == pytest.approx(1)
    beyond, _ = analysis.state_histogram(normal(20, 4000) * 0.8 * limit, order)
    assert float(beyond[-1]) > 1.2


@pytest.fixture(scope="module")
def report() -> list[dict]:
    return analysis.jl_report(normal(150, 40) * 3, bits=(512, 4096), oversampling=(16, 64))


def chosen(report: list[dict], **keys) -> dict:
    (row,) = (row for row in report if all(row[key] == value for key, value in keys.items()))
    return row


def test_report_has_a_row_for_each_method_and_counts_its_bytes(report: list[dict]) -> None:
    at_512 = {(row["method"], row["oversampling"]): row["bytes"] for row in report if row["bits"] == 512}
    assert at_512 == {
        ("greedy", 16): 20,  # 32 sums of 0 to 16: 5 bits
        ("order 1", 16): 20,
        ("order 2", 16): 28,  # boxes of 8 and 9: 0 to 72
        ("order 3", 16): 32,  # boxes of 6, 6 and 6: 0 to 216
        ("greedy", 64): 7,
        ("order 1", 64): 7,
        ("order 2", 64): 11,
        ("order 3", 64): 14,
        ("sign random projection", None): 64,
        ("QJL", None): 68,
        ("Gaussian JL", None): 64,
    }


def test_errors_are_those_of_theory(report: list[dict]) -> None:
    """Of nearly orthogonal unit vectors: 1/sqrt(P) for P dimensions, pi/2/sqrt(M) for angles, sqrt(pi/2/M) for QJL."""
    blocks = 4096 // 64
    assert chosen(report, method="order 3", bits=4096, oversampling=64)["inner_product_error"] == pytest.approx(
        blocks**-0.5, rel=0.35
    )
    assert chosen(report, method="Gaussian JL", bits=4096)["inner_product_error"] == pytest.approx(128**-0.5, rel=0.35)
    assert chosen(report, method="QJL", bits=512)["inner_product_error"] < (math.pi / 2 / 512) ** 0.5
    assert chosen(report, method="sign random projection", bits=512)["inner_product_error"] < math.pi / 2 / 512**0.5


def test_noise_shaping_beats_greedy_and_floats(report: list[dict]) -> None:
    """The memoryless bits keep a bias that no bits take away; shaped ones beat floats at a third of the bytes."""
    for bits in (512, 4096):
        assert chosen(report, method="greedy", bits=bits, oversampling=16)["distance_bias"] > 0.2
    shaped = chosen(report, method="order 1", bits=4096, oversampling=16)
    assert shaped["distance_error"] < chosen(report, method="greedy", bits=4096, oversampling=16)["distance_error"] / 3
    assert shaped["distance_error"] < chosen(report, method="Gaussian JL", bits=4096)["distance_error"]
    assert shaped["bytes"] < chosen(report, method="Gaussian JL", bits=4096)["bytes"] / 3


def test_report_is_of_directions_and_of_its_seed(report: list[dict]) -> None:
    x = normal(20, 10)
    first = analysis.jl_report(x, bits=(64,), oversampling=(16,))
    assert [row["method"] for row in first] == [
        *("greedy", "order 1", "order 2", "order 3", "sign random projection", "QJL", "Gaussian JL")
    ]
    scaled = analysis.jl_report(x.double() * 8, bits=(64,), oversampling=(16,))
    other = analysis.jl_report(x, bits=(64,), oversampling=(16,), seed=1)
    assert [row["distance_error"] for row in first] == pytest.approx(
        [row["distance_error"] for row in scaled], rel=1e-4
    )
    assert all(a["distance_error"] != b["distance_error"] for a, b in zip(first, other, strict=True))


@pytest.mark.slow
@pytest.mark.data
def test_on_word_vectors_estimates_have_no_bias_and_the_stated_spread(glove: torch.Tensor) -> None:
    """GloVe 100-d: over 20 embeddings the mean error of a pair is that of the noise alone, orders 1 to 3."""
    x = glove[::50]
    for order, bits in ((1, 4096), (2, 4096), (3, 4096)):
        rows = [analysis.jl_report(x, bits=(bits,), oversampling=(64,), seed=seed) for seed in range(8)]
        found = [chosen(row, method=f"order {order}", bits=bits) for row in rows]
        share = analysis.block_noise(order, 64)
        # E d_hat is below sqrt(E d_hat^2) by 1 / (4 P) for P dimensions.
        expected = math.sqrt(1 + 2 * share**2 / 2) - 1 - 1 / (4 * 64)
        assert np.mean([row["distance_bias"] for row in found]) == pytest.approx(expected, abs=0.015)
        assert np.mean([row["inner_product_bias"] for row in found]) == pytest.approx(0, abs=2e-3)
        assert np.mean([row["inner_product_error"] for row in found]) == pytest.approx(64**-0.5, rel=0.12)


def save(figure, path: Path) -> int:
    figure.savefig(path)
    return path.stat().st_size


def test_pictures_show_every_curve(tmp_path: Path, sqnr_rows: list[dict], report: list[dict]) -> None:
    y = normal(4, 2048) * 0.3
    pictures = {
        "sqnr": (analysis.plot_sqnr(sqnr_rows), 4),
        "spectrum": (analysis.plot_error_spectrum({o: analysis.error_spectrum(y, o) for o in range(4)}), 7),
        "states": (analysis.plot_state_histogram({o: analysis.state_histogram(y, o) for o in (1, 2)}), 2),
        "report": (analysis.plot_jl_report(report), 7),
    }
    for name, (figure, curves) in pictures.items():
        axis = figure.axes[0]
        drawn = [line for line in axis.lines if len(np.unique(line.get_xdata())) > 1]  # not bounds and legend entries
        assert len(drawn) + len(axis.patches) == curves
        assert axis.get_xlabel()
        assert axis.get_ylabel()
        assert save(figure, tmp_path / f"{name}.png") > 5000
    assert len(pictures["report"][0].axes) == 4


def test_best_oversampling_is_drawn_against_bits(report: list[dict]) -> None:
    figure = analysis.plot_jl_report(report)
    (line,) = (line for line in figure.axes[0].lines if line.get_label() == "order 2")
    expected = [
        min(r["distance_error"] for r in report if r["method"] == "order 2" and r["bits"] == b) for b in (512, 4096)
    ]
    assert list(np.asarray(line.get_xdata())) == [512, 4096]
    assert list(np.asarray(line.get_ydata())) == pytest.approx(expected)


def test_missing_matplotlib_is_told_with_the_mend(monkeypatch, sqnr_rows: list[dict]) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'sdquant\[plots\]'"):
        analysis.plot_sqnr(sqnr_rows)


def test_bad_arguments_are_named() -> None:
    x = normal(5, 4)
    with pytest.raises(ValueError, match="multiples of 32, got"):
        analysis.jl_report(x, bits=(100,))
    with pytest.raises(ValueError, match="oversampling must be at least 1"):
        analysis.jl_report(x, oversampling=(0,))
    with pytest.raises(ValueError, match=r"n at least 2, got \(1, 4\)"):
        analysis.jl_report(x[:1])
    with pytest.raises(ValueError, match="finite and not zero"):
        analysis.jl_report(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="two rows of different directions"):
        analysis.jl_report(torch.ones(3, 4))
    with pytest.raises(TypeError, match="float32 or float64"):
        analysis.jl_report(x.half())
    with pytest.raises(ValueError, match="at least 1 sample"):
        analysis.sqnr(oversampling=())
    with pytest.raises(ValueError, match="order 2 has one window only, 64"):
        analysis.sqnr_slopes(analysis.sqnr((2,), (64,), n_inputs=2))
    with pytest.raises(ValueError, match="order must be 1, 2 or 3, got 0"):
        analysis.block_noise(0, 16)
    with pytest.raises(ValueError, match="load must be positive, got 0"):
        analysis.block_noise(1, 16, load=0)
    with pytest.raises(ValueError, match=r"even and in \[8, 64\], got 128"):
        analysis.error_spectrum(torch.zeros(2, 64), 1, segment=128)
    with pytest.raises(ValueError, match=r"shape \(n, m\)"):
        analysis.error_spectrum(torch.zeros(64), 1)
    with pytest.raises(ValueError, match="bins at least 1"):
        analysis.state_histogram(torch.zeros(2, 0), 1)


def test_every_listed_name_loads() -> None:
    assert all(callable(getattr(analysis, name)) for name in analysis.__all__)
