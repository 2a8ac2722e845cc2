"""Rates are pushed into their band, from dead neurons too; reports count every channel once."""

import pytest
import torch
from spikeformer.lif import LIF, lif_steps
from spikeformer.membrane_control import (
    NeuronCounts,
    firing_rates,
    membrane_loss,
    neuron_report,
    rate_loss,
    report_metrics,
)
from spikeformer.surrogate import Arctan, FastSigmoid

BAND = (0.05, 0.2)


def test_loss_is_zero_in_the_band_and_the_same_as_far_below_as_above():
    assert rate_loss(torch.tensor([0.05, 0.1, 0.2]), BAND) == 0
    torch.testing.assert_close(rate_loss(torch.tensor([0.0]), BAND), torch.tensor(0.0625))
    torch.testing.assert_close(rate_loss(torch.tensor([0.25]), BAND), torch.tensor(0.0625))
    torch.testing.assert_close(rate_loss(torch.tensor([0.4]), BAND), torch.tensor(1.0))
    torch.testing.assert_close(rate_loss(torch.tensor([0.0, 0.4]), BAND), torch.tensor(1.0625 / 2))


@pytest.mark.parametrize("surrogate", [FastSigmoid(25.0), Arctan(2.0)])
def test_dead_neurons_are_brought_into_the_band(surrogate):
    """Silent neurons at the start; only the loss on their rates moves the weights of their inputs."""
    noise = torch.randn(40, 16, 6, generator=torch.Generator().manual_seed(0)) * 0.1
    gain = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.Adam([gain], lr=0.01)

    def rates():
        return firing_rates(lif_steps(noise + gain, beta=0.8, threshold=1.0, surrogate=surrogate)[0])

    assert not rates().any()
    for _ in range(120):
        optimizer.zero_grad()
        rate_loss(rates(), BAND).backward()
        optimizer.step()
    brought_back = rates().detach()
    assert float(brought_back.min()) > 0.9 * BAND[0]
    assert float(brought_back.max()) < 1.1 * BAND[1]


def test_busy_neurons_raise_their_threshold():
    lif = LIF(4, beta=0.5, threshold=0.1, learn=True)
    current = torch.rand(30, 20, 4, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(lif.parameters(), lr=0.1)
    before = firing_rates(lif(current)[0]).detach()
    for _ in range(50):
        optimizer.zero_grad()
        rate_loss(firing_rates(lif(current)[0]), BAND).backward()
        optimizer.step()
    after = firing_rates(lif(current)[0]).detach()
    assert float(before.min()) > 0.5
    assert float(after.max()) < 0.25


def test_rates_are_means_over_steps_and_batch():
    spikes = (torch.rand(7, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.3).bfloat16()
    expected = spikes.double().reshape(21, 5).sum(0) / 21
    torch.testing.assert_close(firing_rates(spikes).double(), expected)


def test_membrane_loss_is_the_square_beyond_its_band():
    membrane = torch.tensor([[-4.0, 0.0], [2.0, 9.0]], requires_grad=True)
    loss = membrane_loss(membrane, torch.tensor([2.0, 3.0]), (-1.0, 2.0))
    torch.testing.assert_close(loss, torch.tensor((1.0 + 0 + 0 + 1.0) / 4))
    (grad,) = torch.autograd.grad(loss, membrane)
    assert grad[0, 0] < 0 < grad[1, 1]
    assert not grad[0, 1]


def test_report_counts_every_channel_once():
    rates = {"q": torch.tensor([0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 0.95, 1.0]), "k": torch.zeros(2)}
    report = neuron_report(rates, BAND)
    assert report == {"q": NeuronCounts(1, 1, 3, 1, 2), "k": NeuronCounts(2, 0, 0, 0, 0)}
    assert report["q"].total == 8
    metrics = report_metrics(report)
    assert metrics["neurons/dead"] == 0.3
    assert sum(metrics.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("match", "call"),
    [
        ("rate_loss: band", lambda: rate_loss(torch.rand(3), (0.2, 0.1))),
        ("rate_loss: rates", lambda: rate_loss(torch.rand(0), BAND)),
        ("membrane_loss: band", lambda: membrane_loss(torch.rand(3), 1.0, (1.0, 1.0))),
        ("firing_rates: spikes", lambda: firing_rates(torch.rand(3))),
        ("neuron_report: saturation", lambda: neuron_report({}, BAND, saturation=0.1)),
        ("neuron_report: rates of 'mlp'", lambda: neuron_report({"mlp": torch.tensor([1.5])}, BAND)),
        ("report_metrics: the report", lambda: report_metrics({})),
    ],
)
def test_errors_name_the_argument(match, call):
    with pytest.raises(ValueError, match=match):
        call()
