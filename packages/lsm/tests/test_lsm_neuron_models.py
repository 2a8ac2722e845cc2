"""Neurons with a step of their own: against integrators of differential equations, and by the order of their error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lsm
import numpy as np
import pytest
from scipy.integrate import solve_ivp

CELLS: dict[str, Any] = {
    "conductance": lsm.ConductanceLIF(initial=lsm.Normal(-65.0, 3.0)),
    "izhikevich": lsm.Izhikevich(d=6.0),
    "adaptive delta": lsm.AdaptiveLIF(beta=1.5, tau_a=80.0),
    "adaptive exponential": lsm.AdaptiveLIF(synapse="exponential", tau_syn=2.0, beta=1.5, tau_a=80.0),
    "adaptive, two": lsm.AdaptiveLIF(synapse="exponential", tau_syn=2.0, tau_syn_in=5.0, beta=1.5, tau_a=80.0),
}
WEIGHT = {"conductance": 20.0, "izhikevich": 3.0, "adaptive delta": 2.0}  # mV, nS; pA by default


def network_of(name: str) -> lsm.Network:
    weight = WEIGHT.get(name, 300.0)
    network = lsm.Network(seed=2, step=0.1)
    e, i = network.population("E", 90, CELLS[name]), network.population("I", 30, CELLS[name])
    network.connect(e, [e, i], lsm.FixedIndegree(9), weight=weight / 4, delay=1.5)
    network.connect(
        i, [e, i], lsm.FixedIndegree(3), weight=lsm.Normal(-weight, weight / 9, high=-weight / 9), delay=1.0
    )
    network.drive([e, i], lsm.Poisson(rate=1500.0, weight=weight))
    network.drive([e, i], lsm.DC(current=0.0 if name == "izhikevich" else 20.0, voltage=1.0))
    return network


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_compiled_step_is_the_plain_one_to_the_last_bit(name: str, precision: Any) -> None:
    fast = network_of(name).build("cpu", precision=precision, partitions=4)
    plain = network_of(name).build("reference", precision=precision, partitions=1)
    a, b = fast.run(60.0), plain.run(60.0)
    assert len(a) > 100
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.times, b.times)
    np.testing.assert_array_equal(fast.neurons.state, plain.neurons.state)


@pytest.mark.parametrize("settings", [{}, {"synapse": "exponential"}, {"synapse": "exponential", "tau_syn_in": 3.0}])
def test_without_a_rise_an_adaptive_threshold_changes_nothing(settings: dict[str, Any]) -> None:
    recordings = []
    for cell in (lsm.LIF(**settings), lsm.AdaptiveLIF(**settings, beta=0.0)):
        network = lsm.Network(seed=0)
        cells = network.population("E", 40, cell)
        network.connect(cells, cells, lsm.FixedIndegree(5), weight=-1.0, delay=1.0)
        network.drive(cells, lsm.Poisson(rate=4000.0, weight=0.4 if not settings else 300.0))
        recordings.append(network.build(precision="float64").run(200.0))
    assert len(recordings[0]) > 50
    np.testing.assert_array_equal(recordings[0].ids, recordings[1].ids)
    np.testing.assert_array_equal(recordings[0].times, recordings[1].times)


def membranes(
    cell: Any, step: float, duration: float, *, start: Sequence[float], current: float = 0.0, voltage: float = 0.0
) -> np.ndarray:
    """State of one cell at the end, from given values of its variables."""
    network = lsm.Network(step=step)
    cells = network.population("cell", 1, cell)
    network.drive(cells, lsm.DC(current=current, voltage=voltage))
    simulation = network.build(precision="float64")
    simulation.neurons.state[:] = start
    simulation.run(duration)
    return simulation.neurons.state.copy()


def test_conductances_are_exact_and_the_membrane_is_of_second_order() -> None:
    cell = lsm.ConductanceLIF(
        tau_m=15.0, threshold=100.0, rest=-70.0, reversal_ex=0.0, reversal_in=-85.0, tau_syn=0.7, tau_syn_in=5.0
    )

    def slope(t: float, y: np.ndarray) -> list[float]:
        pull = y[1] * (70.0 - y[0]) + y[2] * (-15.0 - y[0])
        return [(-250.0 / 15.0 * y[0] + pull + 100.0) / 250.0, -y[1] / 0.7, -y[2] / 5.0]

    start = [3.0, 20.0, 35.0]
    exact = solve_ivp(slope, (0, 6.4), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    steps = np.array([0.4, 0.2, 0.1, 0.05])
    runs = [membranes(cell, step, 6.4, start=start, current=100.0) for step in steps.tolist()]
    for run in runs:
        assert run[1:] == pytest.approx(exact[1:], rel=1e-11)
    errors = [abs(run[0] - exact[0]) for run in runs]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.1)
    assert errors[2] < 1e-3  # mV, at 0.1 ms


def test_a_conductance_that_is_huge_pulls_to_its_reversal() -> None:
    cell = lsm.ConductanceLIF(threshold=1000.0, tau_syn=1e9)
    v, _, _ = membranes(cell, 0.1, 20.0, start=[0.0, 1e5, 0.0])
    assert v == pytest.approx(70.0, abs=0.05)


def test_izhikevich_comes_to_its_differential_equation_with_the_step() -> None:
    """First order below the threshold."""

    def slope(t: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + 2.0, 0.02 * (0.2 * y[0] - y[1])]

    exact = solve_ivp(slope, (0, 10.0), [-70.0, -14.0], method="DOP853", rtol=1e-12, atol=1e-12).y[0, -1]
    steps = np.array([0.2, 0.1, 0.05, 0.025])
    errors = [
        abs(membranes(lsm.Izhikevich(), step, 10.0, start=[-70.0, -14.0 + 13.0], voltage=2.0)[0] - exact)
        for step in steps.tolist()
    ]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "cell",
    [lsm.Izhikevich(), lsm.Izhikevich(a=0.1, b=0.2, c=-65.0, d=2.0), lsm.Izhikevich(c=-50.0, d=2.0)],
    ids=["regular", "fast", "chattering"],
)
def test_izhikevich_cells_fire_as_often_as_an_integrator_with_events_says(cell: lsm.Izhikevich) -> None:
    def slope(t: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + 10.0, cell.a * (cell.b * y[0] - y[1])]

    def crossing(t: float, y: np.ndarray) -> float:
        return y[0] - 30.0

    crossing.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    y, t, expected = [cell.c, cell.b * cell.c], 0.0, 0
    while t < 500.0:
        part = solve_ivp(slope, (t, 500.0), y, events=crossing, rtol=1e-8, atol=1e-8)
        t = part.t[-1]
        expected += len(part.t_events[0])
        y = [cell.c, part.y[1, -1] + cell.d]
    network = lsm.Network(step=0.02)
    network.drive(network.population("cell", 1, cell), lsm.DC(voltage=10.0))
    count = network.build(precision="float64").run(500.0).counts["cell"]
    assert count == pytest.approx(expected, abs=max(1, 0.03 * expected))


def test_a_threshold_rises_by_beta_at_a_spike_and_falls_with_tau() -> None:
    """Under constant input the membrane between spikes is known, so the threshold at each spike is too."""
    cell = lsm.AdaptiveLIF(tau_m=20.0, threshold=20.0, refractory=2.0, beta=1.7, tau_a=150.0)
    network = lsm.Network(step=0.1)
    network.drive(network.population("cell", 1, cell), lsm.DC(voltage=40.0))
    times = network.build(precision="float64").run(1000.0).times
    assert len(times) > 10
    for i in range(1, len(times)):
        thresholds = [
            20.0 + 1.7 * np.exp(-(t - times[:i]) / 150.0).sum() for t in (times[i] - 0.1, times[i])
        ]  # fmt: skip
        membranes_then = [40.0 * -np.expm1(-(t - times[i - 1] - 2.0) / 20.0) for t in (times[i] - 0.1, times[i])]
        assert membranes_then[0] < thresholds[0] + 1e-9
        assert membranes_then[1] >= thresholds[1] - 1e-9


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: lsm.ConductanceLIF(tau_syn_in=0.0), "ConductanceLIF: tau_syn_in: more than 0 ms"),
        (lambda: lsm.ConductanceLIF(reversal_ex=float("nan")), "reversal_ex: a finite number"),
        (lambda: lsm.ConductanceLIF(threshold=-61.0), "threshold must be above reset"),
        (lambda: lsm.AdaptiveLIF(beta=-1.0), "AdaptiveLIF: beta: at least 0 mV"),
        (lambda: lsm.AdaptiveLIF(tau_a=0.0), "AdaptiveLIF: tau_a: more than 0 ms"),
        (lambda: lsm.Izhikevich(c=31.0), "c: must be below the threshold of 30 mV"),
    ],
)
def test_a_bad_constant_is_named(build: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build()
