"""The keyed random bits pass for independent coins: means, variances, neighbours, bins."""

import math

import pytest
import scipy.stats
import spikecode as sc
import torch

CELLS = torch.tensor([[0.0], [1.0]])


def bits(scheme: str = "poisson", tokens: int = 400, **options) -> tuple[sc.SpikeCodec, torch.Tensor]:
    """Trains of one value for many tokens, (n, N, T)."""
    codec = sc.SpikeCodec.fit(CELLS, neurons=40, scheme=scheme, sigma=0.1, **options)
    train = codec.encode(torch.full((tokens, 1), 0.5))
    return codec, train.to_dense(time_first=False)[:, 0].double()


def probabilities(codec: sc.SpikeCodec) -> torch.Tensor:
    return codec.population.rates(torch.tensor(0.5)) * codec.dt / 1000


def test_spikes_come_with_their_probability() -> None:
    """Chi-square of each neuron's count over tokens and bins: uniform p-values, no neuron far out."""
    codec, spikes = bits(steps=128, max_rate=900.0)
    p = probabilities(codec)
    n = spikes.shape[0] * spikes.shape[2]
    active = p * n > 20
    z = (spikes.sum((0, 2)) - n * p)[active] / (n * p * (1 - p))[active].sqrt()
    assert scipy.stats.chi2.sf(float((z**2).sum()), len(z)) > 1e-3
    assert float(z.abs().max()) < 4.5


def test_counts_have_binomial_variance() -> None:
    codec, spikes = bits(steps=128, max_rate=900.0, tokens=2000)
    p = probabilities(codec)
    wide = p > 0.05
    ratio = (spikes.sum(2).var(0) / (128 * p * (1 - p)))[wide]
    assert float((ratio - 1).abs().max()) < 5 * math.sqrt(2 / 2000)


@pytest.mark.parametrize("axis", ["bin", "neuron", "token", "word"])
def test_neighbours_are_not_correlated(axis: str) -> None:
    codec, spikes = bits(steps=256, max_rate=900.0)
    p = probabilities(codec)
    wide = (p > 0.1) & (p < 0.95)
    z = ((spikes - p[:, None]) / (p * (1 - p)).sqrt()[:, None])[:, wide]
    shift, dim = {"bin": (1, 2), "neuron": (1, 1), "token": (1, 0), "word": (64, 2)}[axis]
    size = z.shape[dim] - shift
    product = z.narrow(dim, 0, size) * z.narrow(dim, shift, size)
    assert abs(float(product.mean())) < 4.5 / math.sqrt(product.numel())


def test_other_seeds_tokens_and_dimensions_give_other_trains() -> None:
    x = torch.full((2, 2), 0.5)
    codecs = [sc.SpikeCodec.fit(CELLS.expand(2, 2), neurons=40, sigma=0.1, seed=seed) for seed in (0, 1, -1, 2**40)]
    trains = [codec.encode(x).to_dense(time_first=False) for codec in codecs]
    flat = [trains[0][0, 0], trains[0][0, 1], trains[0][1, 0], *(train[0, 0] for train in trains[1:])]
    for i, one in enumerate(flat):
        assert all(not torch.equal(one, other) for other in flat[i + 1 :])


def test_longer_trains_begin_with_the_shorter_ones() -> None:
    x = torch.rand(5, 1)
    short, long = (sc.SpikeCodec.fit(CELLS, neurons=40, steps=steps, sigma=0.1).encode(x) for steps in (100, 300))
    assert torch.equal(long.to_dense()[:100], short.to_dense())


def test_certain_spikes_come_in_every_bin() -> None:
    codec = sc.SpikeCodec.fit(CELLS, neurons=41, sigma=0.1, steps=1000)
    counts = codec.encode(codec.population.centres()[20:21, None].clone()).counts()
    assert int(counts[0, 0, 20]) == 1000


def test_refractory_trains_keep_rate_variance_and_silence() -> None:
    codec, spikes = bits(steps=200, max_rate=180.0, refractory=4.0, tokens=3000)
    p, peak = probabilities(codec), 20
    gaps = torch.cat([row.nonzero()[:, 0].diff() for row in spikes[:200, peak]])
    assert int(gaps.min()) == 5
    n = spikes.shape[0] * 200
    wide = p > 0.02
    variance = codec.coding.moments(p, 200, 4).variance_Z[wide]
    z = (spikes.sum((0, 2))[wide] - n * p[wide]) / (spikes.shape[0] * variance).sqrt()
    assert float(z.abs().max()) < 5
    early = spikes[:, wide, :5].mean((0, 2)) - p[wide]
    assert float((early / (p[wide] / 15000).sqrt()).abs().max()) < 5  # in equilibrium from the first bin on
    ratio = spikes.sum(2).var(0)[wide] / variance
    assert float((ratio - 1).abs().max()) < 5 * math.sqrt(2 / 3000)
