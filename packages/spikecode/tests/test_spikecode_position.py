"""A token's number, found from its spikes alone."""

import pytest
import spikecode as sc
import torch

EDGES = torch.tensor([[-1.0] * 8, [1.0] * 8])


@pytest.mark.parametrize("scheme", ["poisson", "rate"])
@pytest.mark.parametrize("period", [1, 64, 100, 1201])
def test_positions_come_back(scheme: str, period: int) -> None:
    codec = sc.SpikeCodec.fit(EDGES, neurons=60, steps=100, scheme=scheme, position_period=period)
    x = torch.randn(period, 8, generator=torch.Generator().manual_seed(0)) * 0.3
    assert torch.equal(codec.decode_positions(codec.encode(x)), torch.arange(period))


def test_positions_come_back_through_background_and_dead_neurons() -> None:
    codec = sc.SpikeCodec.fit(EDGES, neurons=200, steps=100, position_period=5001)
    x = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)) * 0.3
    for first in (0, 4970, 123_456):
        train = sc.perturb(codec.encode(x, first_token=first), dead=0.1, background=1.0)
        assert torch.equal(codec.decode_positions(train), (first + torch.arange(60)) % 5001)


def test_positions_of_damaged_trains_are_below_the_period() -> None:
    codec = sc.SpikeCodec.fit(EDGES, neurons=60, steps=100, position_period=7)
    x = torch.randn(21, 8, generator=torch.Generator().manual_seed(0)) * 0.3
    train = codec.encode(x)
    noise = sc.perturb(train, background=900.0)
    assert set(codec.decode_positions(noise).tolist()) <= set(range(7))
    assert codec.decode_positions(train[:0]).shape == (0,)


def test_no_token_is_silenced_and_the_price_is_one_bin() -> None:
    codec = sc.SpikeCodec.fit(EDGES, neurons=100, steps=100, position_period=300)
    plain = sc.SpikeCodec.fit(EDGES, neurons=100, steps=99, sigma=codec.sigma)
    x = torch.zeros(300, 8)
    train = codec.encode(x)
    assert torch.equal(train.counts(), plain.encode(x).counts())
    silent = (train.to_dense().sum((2, 3)) == 0).sum(0)
    assert silent.max() <= 1  # digits stand in different bins, unless they are equal
    first_dimension = train.to_dense()[:, :, 0].sum(2)
    assert int((first_dimension == 0).sum(0).min()) >= 1


def test_values_decode_as_without_position() -> None:
    x = torch.rand(50, 8, generator=torch.Generator().manual_seed(0)) - 0.5
    codec = sc.SpikeCodec.fit(EDGES, neurons=200, steps=101, position_period=50)
    plain = sc.SpikeCodec.fit(EDGES, neurons=200, steps=100, sigma=codec.sigma)
    assert torch.equal(codec.decode(codec.encode(x)), plain.decode(plain.encode(x)))


@pytest.mark.parametrize("scheme", ["latency", "phase", "burst"])
def test_schemes_with_silences_of_their_own_are_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="use scheme 'poisson' or 'rate'"):
        sc.SpikeCodec.fit(EDGES, neurons=50, scheme=scheme, density=0.004, position_period=10)


def test_position_errors() -> None:
    with pytest.raises(ValueError, match="take 2 dimensions, there are 1"):
        sc.SpikeCodec.fit(EDGES[:, :1], neurons=50, steps=100, position_period=101)
    with pytest.raises(ValueError, match="position_period must be"):
        sc.SpikeCodec.fit(EDGES, neurons=50, position_period=0)
    codec = sc.SpikeCodec.fit(EDGES, neurons=50)
    with pytest.raises(ValueError, match="fit it with position_period"):
        codec.decode_positions(codec.encode(EDGES))
