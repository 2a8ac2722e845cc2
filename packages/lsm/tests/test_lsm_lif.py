"""Leaky integrate-and-fire neurons against what their equation says."""

from __future__ import annotations

import math
from typing import Any

import lsm
import numpy as np
import pytest


def membrane(model: lsm.LIF, steps: int, *, weight: float | None = None, dc: lsm.DC | None = None) -> np.ndarray:
    """The membrane of one neuron after every step; with a weight, one spike arrives at 2 ms."""
    network = lsm.Network(step=0.1)
    channel = network.inputs("channel", 1)
    neuron = network.population("neuron", 1, model)
    if weight is not None:
        network.connect(channel, neuron, lsm.OneToOne(), weight=weight, delay=1.0)
    if dc is not None:
        network.drive(neuron, dc)
    sim = network.build(precision="float64", threads=1)
    trace = []
    for t in range(steps):
        sim.run(0.1, {"channel": ([0.1], [0])} if t == 9 else None)  # leaves at 1 ms
        trace.append(sim.state("neuron")["membrane"][0])
    return np.array(trace)


def test_constant_current_charges_the_membrane() -> None:
    """V(t) = tau_m / C I (1 - exp(-t / tau_m))."""
    model = lsm.LIF(tau_m=10.0, capacitance=250.0, threshold=50.0, synapse="exponential")
    time = 0.1 * np.arange(1, 101)
    expected = 10.0 / 250.0 * 300.0 * (1 - np.exp(-time / 10.0))
    np.testing.assert_allclose(membrane(model, 100, dc=lsm.DC(current=300.0)), expected, rtol=1e-12)


def test_voltage_drive_is_where_the_membrane_settles() -> None:
    """A drive of v mV moves the resting membrane by v."""
    model = lsm.LIF(tau_m=2.0, threshold=50.0)
    assert membrane(model, 800, dc=lsm.DC(voltage=7.0))[-1] == pytest.approx(7.0, rel=1e-12)


@pytest.mark.parametrize(("weight", "tau"), [(87.8, 0.5), (-351.0, 2.0)])
def test_a_spike_through_an_exponential_current(weight: float, tau: float) -> None:
    """V(t) = w / C tau_s tau_m / (tau_m - tau_s) (exp(-t / tau_m) - exp(-t / tau_s)), t from the arrival."""
    model = lsm.LIF(tau_m=10.0, capacitance=250.0, threshold=50.0, synapse="exponential", tau_syn=0.5, tau_syn_in=2.0)
    trace = membrane(model, 120, weight=weight)
    time = 0.1 * np.arange(1, 121) - 2.0
    expected = weight / 250.0 * tau * 10.0 / (10.0 - tau) * (np.exp(-time / 10.0) - np.exp(-time / tau))
    np.testing.assert_allclose(trace, np.where(time > 0, expected, 0.0), rtol=1e-9, atol=1e-13)


def test_equal_time_constants() -> None:
    """Where tau_s = tau_m the response is w / C t exp(-t / tau_m)."""
    model = lsm.LIF(tau_m=5.0, capacitance=100.0, threshold=50.0, synapse="exponential", tau_syn=5.0)
    time = 0.1 * np.arange(1, 121) - 2.0
    expected = np.where(time > 0, 30.0 / 100.0 * time * np.exp(-time / 5.0), 0.0)
    np.testing.assert_allclose(membrane(model, 120, weight=30.0), expected, rtol=1e-9, atol=1e-13)


def test_a_spike_through_a_delta_synapse() -> None:
    """V jumps by w when the spike arrives and decays with tau_m."""
    time = 0.1 * np.arange(1, 101) - 2.0
    expected = np.where(time > -1e-9, 3.0 * np.exp(-time / 20.0), 0.0)
    np.testing.assert_allclose(membrane(lsm.LIF(tau_m=20.0), 100, weight=3.0), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("refractory", [0.0, 0.5, 2.0])
def test_period_under_constant_input(refractory: float) -> None:
    """Spikes follow each other after the refractory period and the time from reset to threshold, in whole steps."""
    network = lsm.Network(step=0.1)
    model = lsm.LIF(tau_m=10.0, threshold=15.0, reset=5.0, refractory=refractory)
    network.population("neuron", 1, model)
    network.drive("neuron", lsm.DC(voltage=25.0))
    times = network.build(threads=1).run(200.0).times
    climb = 10.0 * math.log((25.0 - 5.0) / (25.0 - 15.0))
    np.testing.assert_allclose(np.diff(times), refractory + 0.1 * math.ceil(climb / 0.1), atol=1e-9)


def test_spikes_that_arrive_in_the_refractory_period() -> None:
    """Delta: lost. Exponential: the current is kept and acts afterwards."""
    network = lsm.Network(step=0.1)
    channel = network.inputs("channel", 1)
    jump = network.population("jump", 1, lsm.LIF(threshold=10.0, refractory=3.0))
    current = network.population(
        "current", 1, lsm.LIF(threshold=10.0, refractory=3.0, synapse="exponential", tau_syn=5.0, capacitance=1.0)
    )
    network.connect(channel, [jump, current], lsm.OneToOne(), weight=30.0, delay=0.1)
    sim = network.build(threads=1)
    recording = sim.run(10.0, {"channel": ([1.0, 2.0], [0, 0])})
    assert recording.counts["jump"] == 1
    times, _ = recording.spikes("current")
    assert len(times) >= 2
    assert times[1] == pytest.approx(times[0] + 3.1, abs=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tau_m", 0.0), ("tau_m", math.nan), ("refractory", -1.0), ("threshold", 0.0), ("synapse", "alpha"),
     ("capacitance", -1.0), ("tau_syn", 0.0), ("tau_syn_in", -0.5)],
)  # fmt: skip
def test_constants_out_of_range(name: str, value: Any) -> None:
    """The message names the constant."""
    with pytest.raises(ValueError, match=f"LIF: .*{name}"):
        lsm.LIF(**{name: value})
