"""The codec: trains that depend on their token alone, and inputs that are refused."""

import subprocess
import sys
from pathlib import Path

import pytest
import spikecode as sc
import torch

SCHEMES = ["poisson", "rate", "latency", "phase", "burst"]


def vectors(n: int = 50, dim: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def same(one: sc.SpikeTrain, other: sc.SpikeTrain) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.to_events(), other.to_events(), strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("options", [{}, {"background": 5.0}])
def test_counts_are_those_of_the_train(scheme: str, options: dict) -> None:
    codec = sc.SpikeCodec.fit(vectors(), neurons=80, scheme=scheme, sigma=0.05, **options)
    train, counts = codec.encode(vectors()), codec.encode_counts(vectors())
    assert torch.equal(codec.counts(train).dense(), counts.dense())
    if scheme in ("poisson", "rate", "burst"):
        assert torch.equal(train.counts(), counts.dense())
    assert torch.equal(codec.decode(train), codec.decode_counts(counts))
    assert torch.equal(train.counts(), train.to_dense(time_first=False).sum(-1, dtype=torch.int32))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_give_the_same_bits(scheme: str, chunk: int) -> None:
    x = vectors(30)
    codec = sc.SpikeCodec.fit(x, neurons=60, scheme=scheme, sigma=0.05)
    whole = codec.encode(x, first_token=5)
    parts = [codec.encode(x[i : i + chunk], first_token=5 + i) for i in range(0, len(x), chunk)]
    assert same(sc.SpikeTrain.cat(parts), whole)
    blocks = list(codec.encode_stream((x[i : i + chunk] for i in range(0, len(x), chunk)), first_token=5))
    assert same(sc.SpikeTrain.cat(blocks), whole)


def test_stream_keeps_under_its_cap_and_joins_blocks() -> None:
    x = vectors(100)
    codec = sc.SpikeCodec.fit(x, neurons=300)
    cap = 2**18
    blocks = list(codec.encode_stream([x[:3], x[3:3], x[3:90], x[90:]], memory=cap))
    assert len(blocks) > 3
    assert all(block.nbytes <= cap for block in blocks)
    assert len({len(block) for block in blocks[:-1]}) == 1
    assert same(sc.SpikeTrain.cat(blocks), codec.encode(x))


def test_stream_errors() -> None:
    codec = sc.SpikeCodec.fit(vectors(), neurons=300)
    with pytest.raises(MemoryError, match=r"one token needs .* raise memory"):
        codec.encode_stream(vectors(), memory=1000)
    for empty in ([], vectors()[:0]):
        with pytest.raises(ValueError, match="x has no rows"):
            list(codec.encode_stream(empty))
    with pytest.raises(ValueError, match="x has 5 dimensions, the codec was fitted to 6"):
        list(codec.encode_stream([vectors(), vectors(dim=5)]))
    with pytest.raises(ValueError, match=r"must be a matrix .* got shape \(6,\)"):
        list(codec.encode_stream(vectors()[0]))


def test_only_neurons_within_reach_are_held() -> None:
    x = vectors(20)
    codec = sc.SpikeCodec.fit(x, neurons=2500)
    train = codec.encode(x)
    assert train.words_nDWK is not None
    assert train.words_nDWK.shape[2] == codec.population.window < 0.25 * 2500
    distance = (codec.calibration.to_unit(x.double())[0][..., None] - codec.population.centres()) / codec.sigma
    assert not bool((train.counts() > 0)[distance.abs() > 5.01].any())


def test_values_outside_the_range_are_clipped_and_counted() -> None:
    x = vectors()
    codec = sc.SpikeCodec.fit(x, neurons=100)
    beyond = x[:3].clone()
    beyond[0, 0], beyond[2, 1], beyond[2, 5] = 100.0, -100.0, 1e30
    train = codec.encode(beyond)
    assert train.clipped == 3
    assert train[1:2].clipped == 0
    assert train[2:3].clipped == 2
    assert codec.encode_counts(beyond).clipped == 3
    assert float((codec.decode(train)[0, 0] - x[:, 0].max()).abs()) < 0.05
    assert codec.encode(x).clipped == 0


def test_constant_dimensions_decode_to_their_value() -> None:
    x = vectors(dim=3)
    x[:, 1] = 7.5
    codec = sc.SpikeCodec.fit(x, neurons=50)
    assert torch.equal(codec.decode(codec.encode(x))[:, 1], x[:, 1])
    assert bool((codec.bound(x)[:, 1] == 0).all())


@pytest.mark.parametrize("extreme", [1e-30, 1e30])
def test_scale_does_not_matter(extreme: float) -> None:
    x = vectors().double()
    plain, scaled = (sc.SpikeCodec.fit(each, neurons=100) for each in (x, x * extreme))
    error = scaled.decode(scaled.encode(x * extreme)).double() / extreme - plain.decode(plain.encode(x)).double()
    assert float(error.abs().max()) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neurons": 0}, "neurons must be"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 2**63}, "seed must be a whole number"),
        ({"refractory": 1e9, "max_rate": 1e-7}, "refractory must be"),
        ({"steps": 0}, "steps must be"),
        ({"steps": 10.5}, "steps must be"),
        ({"max_rate": 1001.0}, "at most one spike a bin, 1000 Hz"),
        ({"max_rate": 600.0, "dt": 2.0}, "at most one spike a bin, 500 Hz"),
        ({"background": -1.0}, "background must be"),
        ({"sigma": 0.0}, "sigma must be"),
        ({"sigma": 0.1, "density": 0.1}, "give one of them"),
        ({"scheme": "morse"}, "scheme must be one of poisson, rate, latency, phase, burst"),
        ({"refractory": 2.0}, "allows at most 333.333 Hz"),
        ({"refractory": -1.0}, "refractory must be"),
        ({"padding": -1.0}, "padding must be"),
        ({"dt": 0.0}, "dt must be"),
        ({"scheme": "latency", "refractory": 2.0}, "fires once"),
        ({"scheme": "phase", "steps": 20}, "lower period"),
        ({"scheme": sc.Phase(5), "refractory": 4.0}, "raise period"),
        ({"scheme": "burst", "steps": 19}, "lower spikes or gap"),
        ({"scheme": "burst", "refractory": 2.0}, "raise gap"),
        ({"scheme": "latency", "max_rate": 1.0}, "raise max_rate or steps"),
    ],
)
def test_bad_settings_name_the_value_and_the_mend(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sc.SpikeCodec.fit(vectors(), **options)


def test_bad_vectors_are_refused() -> None:
    codec = sc.SpikeCodec.fit(vectors(), neurons=50)
    bad = vectors(5)
    bad[3, 2] = float("nan")
    for call in (codec.encode, codec.encode_counts, codec.bound, codec.fit_prior, sc.SpikeCodec.fit):
        with pytest.raises(ValueError, match="row 3 of x has a NaN or an infinity"):
            call(bad)
        with pytest.raises(ValueError, match="x has no rows"):
            call(vectors()[:0])
        with pytest.raises(ValueError, match="must be a matrix"):
            call(vectors()[0])
        with pytest.raises(TypeError, match=r"convert it with x\.float"):
            call(torch.ones(2, 6, dtype=torch.int64))
    with pytest.raises(ValueError, match="x has 5 dimensions, the codec was fitted to 6"):
        codec.encode(vectors(dim=5))
    for first in (-1, 1.0, 2**62, 2**64):
        with pytest.raises(ValueError, match="first_token must be a whole number"):
            codec.encode(vectors(), first_token=first)  # pyright: ignore[reportArgumentType]
    assert codec.encode(vectors(1), first_token=2**62 - 1).spikes > 0
    for nothing in (None, "text"):
        with pytest.raises(TypeError, match="x must be a tensor or an array of numbers"):
            codec.encode(nothing)  # pyright: ignore[reportArgumentType]


def test_ranges_beyond_single_precision_are_refused() -> None:
    """The width of this one is not finite, and neurons of no place would be read."""
    with pytest.raises(ValueError, match="scale x first"):
        sc.SpikeCodec.fit(torch.tensor([[-1e308], [1e308]], dtype=torch.float64), neurons=10)
    limit = torch.finfo(torch.float32).max
    x = torch.tensor([[-limit], [limit]])
    codec = sc.SpikeCodec.fit(x, neurons=100)
    torch.testing.assert_close(codec.decode(codec.encode(x)), x, rtol=0.05, atol=0)


def test_other_codecs_do_not_decode_a_train() -> None:
    """Of the same shape and scheme, so that only the fingerprint tells."""
    x = vectors()
    codec = sc.SpikeCodec.fit(x, neurons=60, sigma=0.05)
    train, counts = codec.encode(x), codec.encode_counts(x)
    options: dict = {"neurons": 60, "sigma": 0.05}
    changes: list[dict] = [{"sigma": 0.06}, {"dt": 0.5}, {"padding": 3.0}, {"position_period": 9}]
    others = [sc.SpikeCodec.fit(x, **(options | change)) for change in changes]
    for other in [*others, sc.SpikeCodec.fit(2 * x, **options)]:
        with pytest.raises(ValueError, match="made by a codec with another"):
            other.decode(train)
        with pytest.raises(ValueError, match="made by a codec with another"):
            other.decode_counts(counts)
    again = sc.SpikeCodec.fit(x, **options, seed=8).fit_prior(x)
    assert torch.equal(again.decode(train), codec.decode(train))
    with pytest.raises(TypeError, match="expected a SpikeTrain, got Tensor"):
        codec.decode(x)  # pyright: ignore[reportArgumentType]


def test_sizes_beyond_memory_are_refused_before_anything_is_allocated() -> None:
    codec = sc.SpikeCodec.fit(vectors(2, 768), neurons=1 << 20, steps=1 << 18, background=1.0)
    with pytest.raises(MemoryError, match=r"a train of 2 tokens needs .* TB.*use encode_stream"):
        codec.encode(vectors(2, 768))
    many = torch.zeros(1, 1).expand(2**20, 1)
    wide = sc.SpikeCodec.fit(torch.tensor([[0.0], [1.0]]), neurons=1 << 20, background=1.0)
    with pytest.raises(MemoryError, match="counts of"):
        wide.encode_counts(many)


def test_half_precision_and_arrays_are_taken() -> None:
    x = vectors().half()
    codec = sc.SpikeCodec.fit(x, neurons=50)
    assert same(codec.encode(x), codec.encode(x.float()))
    array = x.float().numpy()
    assert same(codec.encode(x), codec.encode(array))  # pyright: ignore[reportArgumentType]
    streams: list = [array, [array[:9], x[9:]]]
    for stream in streams:
        assert same(codec.encode(x), sc.SpikeTrain.cat(list(codec.encode_stream(stream))))


PEAK = """
import pathlib, torch, spikecode as sc

def status(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

x = torch.randn(30, 768, generator=torch.Generator().manual_seed(0))
codec = sc.SpikeCodec.fit(x, neurons=2500, steps=100, **{options})
small = sc.SpikeCodec.fit(x[:, :4], neurons=50)
small.decode(small.encode(x[:, :4]))
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
assert sum(len(block) for block in codec.encode_stream(x)) == 30
peak = status("VmHWM") - before
assert peak < 64 * 2**20, f"{peak / 2**20:.0f} MiB"
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure the peak")
@pytest.mark.parametrize("options", [{}, {"max_rate": 5.0, "sigma": 0.02}], ids=["bits", "events"])
def test_streams_of_full_size_stay_under_64_mib(options: dict) -> None:
    """768 dimensions of 2500 neurons and 100 bins, resident memory beyond what libraries take."""
    subprocess.run([sys.executable, "-c", PEAK.replace("{options}", repr(options))], check=True, timeout=120)


def test_import_loads_no_torch() -> None:
    code = "import sys, spikecode; assert 'SpikeCodec' in dir(spikecode); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
