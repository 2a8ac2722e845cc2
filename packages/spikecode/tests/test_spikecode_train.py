"""Spike trains: layouts, conversions, slices, joins and damage."""

import pytest
import spikecode as sc
import torch
from hypothesis import given, settings
from hypothesis import strategies as st


def made(steps: int = 100, seed: int = 0, max_rate: float = 1000.0, background: float = 0.0) -> sc.SpikeTrain:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    codec = sc.SpikeCodec.fit(
        x, neurons=60, steps=steps, seed=seed, sigma=0.05, max_rate=max_rate, background=background
    )
    return codec.encode(x, first_token=3)


@settings(max_examples=20, deadline=None)
@given(steps=st.integers(1, 200), seed=st.integers(0, 1000), background=st.sampled_from([0.0, 30.0]))
def test_layouts_hold_the_same_spikes(steps: int, seed: int, background: float) -> None:
    train = made(steps, seed, background=background)
    bits, events = train.as_bits(), train.as_events()
    assert (bits.layout, events.layout) == ("bits", "events")
    dense = bits.to_dense(time_first=False)
    assert dense.shape == train.shape
    assert torch.equal(dense.permute(3, 0, 1, 2), bits.to_dense())
    assert torch.equal(events.to_dense(time_first=False), dense)
    assert torch.equal(events.as_bits().to_dense(time_first=False), dense)
    assert torch.stack(train.to_events(), 1).tolist() == dense.nonzero().tolist()
    assert bits.spikes == events.spikes == int(dense.sum())
    assert train.density == pytest.approx(float(dense.double().mean()))
    assert torch.equal(events.counts(), bits.counts())


def test_the_smaller_layout_is_kept() -> None:
    dense, sparse = made(max_rate=1000.0), made(max_rate=2.0)
    assert (dense.layout, sparse.layout) == ("bits", "events")
    assert dense.nbytes <= dense.as_events().nbytes
    assert sparse.nbytes <= sparse.as_bits().nbytes


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 6), stop=st.integers(0, 6))
def test_slices_join_to_the_whole(start: int, stop: int) -> None:
    for train in (made(), made(max_rate=2.0)):
        part = train[start:stop]
        assert torch.equal(part.to_dense(), train.to_dense()[:, start : max(start, stop)])
        joined = sc.SpikeTrain.cat([train[:start], train[start:]])
        assert torch.equal(joined.to_dense(), train.to_dense())


def test_trains_that_do_not_follow_each_other_are_not_joined() -> None:
    train = made()
    with pytest.raises(ValueError, match="starts at token 7, expected 5"):
        sc.SpikeTrain.cat([train[:2], train[4:]])
    with pytest.raises(ValueError, match="at least one"):
        sc.SpikeTrain.cat([])
    with pytest.raises(ValueError, match="one codec"):
        sc.SpikeTrain.cat([train, made(steps=50)])
    with pytest.raises(TypeError, match="slice"):
        train[2]  # pyright: ignore[reportArgumentType]


def test_dense_form_is_guarded_by_its_size() -> None:
    with pytest.raises(MemoryError, match="6 x 4 x 60 x 100 bins take 144 kB, the limit is 100 kB"):
        made().to_dense(limit=100_000)


def test_damage_is_as_large_as_asked() -> None:
    x = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
    codec = sc.SpikeCodec.fit(x, neurons=100, sigma=0.05)
    train = codec.encode(x)
    counts = train.counts().double()
    dead = sc.perturb(train, dead=0.25)
    silenced = (dead.counts().sum(0) == 0) & (counts.sum(0) > 0)
    assert torch.equal(dead.counts()[:, ~silenced], train.counts()[:, ~silenced])
    assert float(silenced.sum() / (counts.sum(0) > 0).sum()) == pytest.approx(0.25, abs=0.08)
    noisy = sc.perturb(train, background=5.0)
    bins = 200 * 4 * 100 * 100
    assert (noisy.spikes - train.spikes) / (bins - train.spikes) == pytest.approx(0.005, rel=0.02)
    assert bool((noisy.to_dense() >= train.to_dense()).all())


def test_jitter_moves_spikes_by_its_width() -> None:
    """A lone spike in the middle of each train ends up at a normal distance."""
    x = torch.full((2000, 1), 0.5)
    codec = sc.SpikeCodec.fit(torch.tensor([[0.0], [1.0]]), neurons=1, steps=101, scheme="latency", sigma=0.5)
    train = codec.encode(x)
    *_, before = train.to_events()
    token, *_, after = sc.perturb(train, jitter=3.0).to_events()
    assert bool((before == before[0]).all())
    if int(before[0]) == 0:  # half of the moves leave the train
        after = after[after > 0].double()
        assert float(after.square().mean().sqrt()) == pytest.approx(3.0 / (1 - 0.132) ** 0.5, rel=0.06)
    assert len(token) > 900


def test_damage_does_not_depend_on_what_else_is_damaged() -> None:
    train = made()
    options = {"dead": 0.2, "background": 20.0, "jitter": 2.0, "seed": 4}
    whole = sc.perturb(train, **options)
    parts = [sc.perturb(train[i : i + 1], **options) for i in range(len(train))]
    assert torch.equal(sc.SpikeTrain.cat(parts).to_dense(), whole.to_dense())
    assert not torch.equal(sc.perturb(train, **(options | {"seed": 5})).to_dense(), whole.to_dense())


@pytest.mark.parametrize("options", [{"dead": 1.1}, {"background": -1.0}, {"background": 1001.0}, {"jitter": -1.0}])
def test_impossible_damage_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=f"perturb: {next(iter(options))} must be"):
        sc.perturb(made(), **options)
