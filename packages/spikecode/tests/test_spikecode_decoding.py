"""Decoders against the limit: how large the error is and how it falls."""

import math
from dataclasses import replace

import numpy as np
import pytest
import spikecode as sc
import torch

UNIT = torch.tensor([[0.0] * 8, [1.0] * 8], dtype=torch.float64)


def interior(n: int = 500, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.15 + 0.7 * torch.rand(n, 8, generator=generator, dtype=torch.float64)


def error(codec: sc.SpikeCodec, method: str = "ml", n: int = 500) -> tuple[float, float]:
    """Root mean square error, and that of the bound."""
    x = interior(n)
    decoded = codec.decode_counts(codec.encode_counts(x), method).double()  # pyright: ignore[reportArgumentType]
    return float((decoded - x).square().mean().sqrt()), float(codec.bound(x).square().mean().sqrt())


@pytest.mark.parametrize("neurons", [50, 500, 2500])
@pytest.mark.parametrize("steps", [10, 100, 1000])
@pytest.mark.parametrize(("rate", "density"), [(1000.0, 0.05), (200.0, 0.02)])
def test_maximum_likelihood_reaches_the_bound(neurons: int, steps: int, rate: float, density: float) -> None:
    """Within 5%, from about 100 spikes a value on. 50 neurons in 10 bins have 10 to 25: too few for the limit."""
    codec = sc.SpikeCodec.fit(UNIT, neurons=neurons, steps=steps, max_rate=rate, density=density)
    rmse, bound = error(codec)
    assert 0.94 < rmse / bound < (1.25 if neurons * steps == 500 else 1.05)


def slope(codecs: list[sc.SpikeCodec], by: float, **options) -> float:
    first, last = (error(codec, **options)[0] for codec in codecs)
    return math.log(last / first) / math.log(by)


def test_error_falls_with_the_root_of_neurons_and_steps_and_grows_with_that_of_the_width() -> None:
    def codec(neurons: int = 500, steps: int = 100, sigma: float = 0.03) -> sc.SpikeCodec:
        return sc.SpikeCodec.fit(UNIT, neurons=neurons, steps=steps, sigma=sigma, padding=0.0)

    assert slope([codec(neurons=200), codec(neurons=3200)], 16) == pytest.approx(-0.5, abs=0.03)
    assert slope([codec(steps=50), codec(steps=800)], 16) == pytest.approx(-0.5, abs=0.03)
    assert slope([codec(sigma=0.01), codec(sigma=0.08)], 8) == pytest.approx(0.5, abs=0.04)


def test_even_spikes_fall_with_the_steps_themselves() -> None:
    codecs = [sc.SpikeCodec.fit(UNIT, neurons=500, steps=steps, scheme="rate") for steps in (50, 800)]
    assert slope(codecs, 16) == pytest.approx(-1, abs=0.05)
    codecs = [sc.SpikeCodec.fit(UNIT, neurons=500, steps=steps, scheme="latency", sigma=0.05) for steps in (50, 800)]
    assert -1.2 < slope(codecs, 16) < -0.8


def test_cycles_fall_with_their_root() -> None:
    for scheme in ("phase", "burst"):
        codecs = [sc.SpikeCodec.fit(UNIT, neurons=500, steps=s, scheme=scheme, sigma=0.03) for s in (100, 1600)]
        assert slope(codecs, 16) == pytest.approx(-0.5, abs=0.04)


@pytest.mark.parametrize("scheme", ["rate", "latency", "phase", "burst"])
def test_quasi_likelihood_is_as_exact_as_mean_and_variance_allow(scheme: str) -> None:
    rmse, bound = error(sc.SpikeCodec.fit(UNIT, neurons=500, scheme=scheme, sigma=0.03))
    assert 0.7 < rmse / bound < 1.1


def test_longer_cycles_and_bursts_decode_better() -> None:
    errors = [error(sc.SpikeCodec.fit(UNIT, neurons=500, scheme=sc.Phase(m), sigma=0.03))[0] for m in (10, 50)]
    assert errors[1] < 0.6 * errors[0]
    errors = [error(sc.SpikeCodec.fit(UNIT, neurons=500, scheme=sc.Burst(b, 2), sigma=0.03))[0] for b in (2, 12)]
    assert errors[1] < 0.6 * errors[0]


def test_refractory_counts_beat_the_plain_ones() -> None:
    """Regular trains vary less, at the same rate."""
    plain = sc.SpikeCodec.fit(UNIT, neurons=500, steps=400, max_rate=180.0, sigma=0.04)
    regular = sc.SpikeCodec.fit(UNIT, neurons=500, steps=400, max_rate=180.0, sigma=0.04, refractory=4.0)
    rmse, bound = error(regular)
    assert rmse < 0.9 * error(plain)[0]
    assert rmse / bound < 1.06


def test_the_bound_of_regular_trains_knows_that_counts_are_whole() -> None:
    """At the highest rate that the refractory period allows, trains are even and their counts vary by 1 / 6."""
    codec = sc.SpikeCodec.fit(UNIT, neurons=200, steps=100, max_rate=100.0, sigma=0.04, refractory=9.0)
    rmse, bound = error(codec)
    assert 0.9 < rmse / bound < 1.15


def test_centre_of_mass_has_its_59_percent() -> None:
    """At rho = 1 its variance is sigma / (T eta sqrt(2 pi)) * (1 - 2^-3/2), so the efficiency is 0.592."""
    codec = sc.SpikeCodec.fit(UNIT, neurons=1000, steps=200)
    rmse, bound = error(codec, "centre_of_mass", n=2000)
    assert (bound / rmse) ** 2 == pytest.approx(1 / (2.612375 * (1 - 2**-1.5)), abs=0.03)


def test_maximum_likelihood_bears_dead_neurons_and_background() -> None:
    codec = sc.SpikeCodec.fit(UNIT, neurons=500, steps=100)
    x = interior(60)
    train = sc.perturb(codec.encode(x), dead=0.1, background=1.0)
    bound = float(codec.bound(x).square().mean().sqrt())

    def ratio(method: str, **options) -> float:
        return float((codec.decode(train, method, **options) - x).square().mean().sqrt()) / bound  # pyright: ignore[reportArgumentType]

    assert ratio("ml", dead=0.1, background=1.0) < 1.3
    assert ratio("ml") < 1.6
    assert ratio("centre_of_mass") > 2 * ratio("ml")


def test_lost_spikes_are_reckoned_with() -> None:
    """Jitter in full trains loses the spikes that meet in a bin; counts near T then say less."""
    codec = sc.SpikeCodec.fit(UNIT, neurons=500, steps=100)
    x = interior(60)
    train = sc.perturb(codec.encode(x), jitter=3.0)
    lost = 1 - float(train.counts().amax(-1).double().mean()) / 100
    bound = float(codec.bound(x).square().mean().sqrt())

    def error(**options) -> float:
        return float((codec.decode(train, **options) - x).square().mean().sqrt())

    assert error(lost=lost) < 1.7 * bound
    assert error(method="centre_of_mass") > error()  # untold, it sees that spikes are missing
    assert error() < 1.7 * bound < 0.2 * error(lost=0.0)


@pytest.mark.parametrize("method", ["ml", "bayes"])
def test_jitter_is_seen_token_by_token(method: str) -> None:
    """Also where neurons are dead as well; whole tokens beside jittered ones decode as they do alone."""
    codec = sc.SpikeCodec.fit(UNIT, neurons=300, steps=50).fit_prior(interior())
    x = interior(40)
    train = codec.encode(x)
    jittered = sc.perturb(train[20:], jitter=2.0, dead=0.1)
    mixed = codec.decode(sc.SpikeTrain.cat([train[:20], jittered]), method)  # pyright: ignore[reportArgumentType]
    assert torch.equal(mixed[:20], codec.decode(train[:20], method))  # pyright: ignore[reportArgumentType]
    over_bound = (mixed - x) / codec.bound(x)
    assert float(over_bound[:20].square().mean().sqrt()) < 1.1
    assert float(over_bound[20:].square().mean().sqrt()) < 2.2
    dead = sc.perturb(train, dead=0.1)
    told = codec.decode(dead, method, lost=0.001)  # pyright: ignore[reportArgumentType]
    assert torch.equal(codec.decode(dead, method), told)  # pyright: ignore[reportArgumentType]


def test_background_of_the_codec_is_reckoned_with() -> None:
    codec = sc.SpikeCodec.fit(UNIT, neurons=300, steps=200, max_rate=300.0, sigma=0.04, background=10.0)
    rmse, bound = error(codec)
    assert rmse / bound < 1.06


def test_bayes_beats_the_likelihood_where_spikes_are_few() -> None:
    x = 0.5 + 0.04 * torch.randn(800, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.cat([x.clamp(0, 1), UNIT])
    codec = sc.SpikeCodec.fit(x, neurons=30, steps=10, max_rate=100.0, sigma=0.1).fit_prior(x)
    counts = codec.encode_counts(x)
    errors = {m: float((codec.decode_counts(counts, m) - x).square().mean().sqrt()) for m in ("ml", "bayes")}
    assert errors["bayes"] < 0.7 * errors["ml"]
    assert errors["bayes"] < 1.02 * float(x.std())
    rich = sc.SpikeCodec.fit(x, neurons=500, steps=100).fit_prior(x)
    counts = rich.encode_counts(x)
    ml, bayes = (rich.decode_counts(counts, m) for m in ("ml", "bayes"))
    assert float((ml - bayes).abs().max()) < 3 * float(rich.bound(x)[:-2].mean())


def test_linear_weights_are_least_squares() -> None:
    """As the regression of values on drawn counts."""
    x = interior(4000)
    codec = sc.SpikeCodec.fit(UNIT, neurons=40, steps=20, sigma=0.06).fit_linear(x)
    rmse = error(codec, "linear", 500)[0]
    counts = codec.encode_counts(x).dense().reshape(-1, 40).double()
    design = torch.nn.functional.pad(counts, (0, 1), value=1.0)
    wanted = x.reshape(-1, 1).double().numpy()
    fitted, *_ = np.linalg.lstsq(design.numpy(), wanted)  # neurons that never fire leave columns of zeros
    best = float(np.sqrt(np.square(design.numpy() @ fitted - wanted).mean()))
    assert rmse == pytest.approx(best, rel=0.05)


def test_decoders_and_schemes_that_do_not_go_together_are_refused() -> None:
    codec = sc.SpikeCodec.fit(UNIT, neurons=50, scheme="latency", sigma=0.05)
    counts = codec.encode_counts(UNIT)
    for method in ("centre_of_mass", "linear"):
        with pytest.raises(ValueError, match="use method 'ml' or 'bayes'"):
            codec.decode_counts(counts, method)
    with pytest.raises(ValueError, match="fit_prior"):
        codec.decode_counts(counts, "bayes")
    with pytest.raises(ValueError, match="use method"):
        codec.fit_linear(UNIT)
    poisson = sc.SpikeCodec.fit(UNIT, neurons=50, sigma=0.05)
    with pytest.raises(ValueError, match="do not fit a codec"):
        poisson.decode_counts(counts)
    with pytest.raises(ValueError, match="fit_linear"):
        poisson.decode_counts(poisson.encode_counts(UNIT), "linear")
    with pytest.raises(ValueError, match="method must be one of"):
        poisson.decode_counts(poisson.encode_counts(UNIT), "best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="dead must be"):
        poisson.decode_counts(poisson.encode_counts(UNIT), dead=0.0)


@pytest.mark.parametrize("scheme", ["poisson", "rate", "latency", "phase", "burst"])
@pytest.mark.parametrize(("neurons", "steps"), [(20, 40), (300, 100)])
def test_decoders_see_spikes_and_not_where_the_encoder_looked(scheme: str, neurons: int, steps: int) -> None:
    """The window that holds the spikes lies about the true value; what is decoded must not depend on it."""
    x = interior(40)
    codec = sc.SpikeCodec.fit(UNIT, neurons=neurons, steps=steps, scheme=scheme, max_rate=300.0, sigma=0.03)
    codec = codec.fit_prior(x)
    codec = codec.fit_linear(x) if scheme != "latency" else codec
    counts = codec.encode_counts(x)
    everywhere = replace(counts, values_nDW=counts.dense(), first_nD=torch.zeros_like(counts.first_nD))
    for method in ("ml", "bayes", "centre_of_mass", "linear"):
        if scheme == "latency" and method in ("centre_of_mass", "linear"):
            continue
        found, expected = codec.decode_counts(counts, method), codec.decode_counts(everywhere, method)
        if method in ("ml", "centre_of_mass"):
            assert torch.equal(found, expected)
        else:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_silent_trains_decode_to_the_middle() -> None:
    codec = sc.SpikeCodec.fit(UNIT, neurons=50)
    silent = sc.perturb(codec.encode(UNIT), dead=1.0)
    assert silent.spikes == 0
    assert codec.decode(silent).tolist() == [[0.5] * 8] * 2
