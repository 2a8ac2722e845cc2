"""Trains in the forms of other libraries hold the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spikecode import SpikeCodec, to_nest, to_snntorch, to_tonic

X_ND = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
CODEC = SpikeCodec.fit(X_ND, neurons=20, steps=30, density=0.1, dt=0.5)
TRAIN = CODEC.encode(X_ND)
DENSE_NDNT = TRAIN.to_dense(time_first=False).numpy()


def test_snntorch_takes_time_first():
    spikes = to_snntorch(TRAIN)
    assert (spikes.shape, spikes.dtype) == ((30, 3, 100), torch.float32)
    assert np.array_equal(spikes.numpy(), DENSE_NDNT.reshape(3, 100, 30).transpose(2, 0, 1))
    with pytest.raises(MemoryError, match="limit"):
        to_snntorch(TRAIN, limit=100)


def test_snntorch_integrates_the_counts():
    """A leaky neuron without leak, reset or threshold ends at the number of spikes that it was given."""
    snn = pytest.importorskip("snntorch")
    cell = snn.Leaky(beta=1.0, threshold=1e9)
    spikes = to_snntorch(TRAIN)
    membrane = cell.init_leaky()
    for step in spikes:
        _, membrane = cell(step, membrane)
    assert torch.equal(membrane.view(3, 5, 20).int(), TRAIN.counts())


def test_tonic_events():
    events = to_tonic(TRAIN, token=1)
    assert events.dtype.names == ("x", "y", "t", "p")
    assert (np.diff(events["t"]) >= 0).all()
    rebuilt = np.zeros((5, 20, 30), dtype=np.uint8)
    rebuilt[events["y"], events["x"], events["t"] // 500] = 1
    assert np.array_equal(rebuilt, DENSE_NDNT[1])
    assert len(events) == DENSE_NDNT[1].sum()


def test_nest_times():
    """Increasing, positive, in ms; every spike once."""
    times = to_nest(TRAIN, token=2)
    rebuilt = np.zeros((100, 30), dtype=np.uint8)
    for neuron, spikes in times.items():
        assert spikes[0] > 0
        assert (np.diff(spikes) > 0).all()
        rebuilt[neuron, np.round(spikes / 0.5).astype(int) - 1] = 1
    assert np.array_equal(rebuilt.reshape(5, 20, 30), DENSE_NDNT[2])


def test_a_token_without_spikes():
    silent = SpikeCodec.fit(X_ND, neurons=20, steps=1, max_rate=1e-6, sigma=0.05).encode(X_ND)
    assert to_nest(silent) == {}
    assert len(to_tonic(silent)) == 0


@pytest.mark.parametrize("export", [to_tonic, to_nest])
def test_a_token_that_is_not_there(export):
    for token in (-1, 3):
        with pytest.raises(ValueError, match=f"token must be 0 to 2, got {token}"):
            export(TRAIN, token=token)
