"""Neurons with a step of their own: against integrators of differential equations, and by the order of their error."""

from __future__ import annotations

import numpy as np
import pytest
from lsm.adaptive_lif import Adaptation, adapted_threshold
from lsm.conductance_lif import conductance_constants, conductance_step
from lsm.izhikevich import Izhikevich, izhikevich_step
from scipy.integrate import solve_ivp

CELL = {"tau_m": 15.0, "capacitance": 250.0, "tau_syn_ex": 0.7, "tau_syn_in": 5.0}
REVERSAL = {"reversal_ex": 70.0, "reversal_in": -15.0}


def conductance_run(h: float, current: float = 100.0) -> tuple[float, float, float]:
    constants = np.array(conductance_constants(step=h, **CELL))
    v, g_ex, g_in = np.array([3.0]), np.array([20.0]), np.array([35.0])
    zero = np.zeros(1)
    for _ in range(round(6.4 / h)):
        v, g_ex, g_in = conductance_step(
            v, g_ex, g_in, arrivals_ex=zero, arrivals_in=zero, current=current, constants=constants, **REVERSAL
        )
    return float(v[0]), float(g_ex[0]), float(g_in[0])


def test_conductances_are_exact_and_the_membrane_is_of_second_order() -> None:
    def slope(t: float, y: np.ndarray) -> list[float]:
        pull = y[1] * (70.0 - y[0]) + y[2] * (-15.0 - y[0])
        return [(-250.0 / 15.0 * y[0] + pull + 100.0) / 250.0, -y[1] / 0.7, -y[2] / 5.0]

    exact = solve_ivp(slope, (0, 6.4), [3.0, 20.0, 35.0], method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    steps = np.array([0.4, 0.2, 0.1, 0.05])
    runs = [conductance_run(h) for h in steps]
    for run in runs:
        assert run[1:] == pytest.approx(exact[1:], rel=1e-11)
    errors = [abs(run[0] - exact[0]) for run in runs]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.1)
    assert errors[2] < 1e-3  # mV, at 0.1 ms


def test_a_conductance_that_is_huge_pulls_to_its_reversal_and_not_beyond_bounds() -> None:
    constants = np.array(conductance_constants(step=0.1, **CELL))
    v, g_ex, g_in = np.zeros(1), np.array([1e7]), np.zeros(1)
    zero = np.zeros(1)
    for _ in range(200):
        v, g_ex, g_in = conductance_step(
            v, g_ex, g_in, arrivals_ex=zero, arrivals_in=zero, current=0.0, constants=constants, **REVERSAL
        )
        assert abs(v - 70.0) <= 70.0 + 1e-9


def test_izhikevich_comes_to_its_differential_equation_with_the_step() -> None:
    """First order below the threshold."""
    cell = Izhikevich()

    def slope(t: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + 2.0, 0.02 * (0.2 * y[0] - y[1])]

    exact = solve_ivp(slope, (0, 10.0), [-70.0, -14.0], method="DOP853", rtol=1e-12, atol=1e-12).y[0, -1]
    steps = np.array([0.2, 0.1, 0.05, 0.025])
    errors = []
    for h in steps:
        v, u = np.array([-70.0]), np.array([-14.0])
        for _ in range(round(10.0 / h)):
            _, v, u = izhikevich_step(v, u, np.zeros(1), np.full(1, 2.0), np.array(cell.constants(h)))
        errors.append(abs(v[0] - exact))
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "cell", [Izhikevich(), Izhikevich(a=0.1, b=0.2, c=-65.0, d=2.0), Izhikevich(c=-50.0, d=2.0)],
    ids=["regular", "fast", "chattering"],
)  # fmt: skip
def test_izhikevich_cells_fire_as_often_as_an_integrator_with_events_says(cell: Izhikevich) -> None:
    def slope(t: float, y: np.ndarray) -> list[float]:
        return [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + 10.0, cell.a * (cell.b * y[0] - y[1])]

    def crossing(t: float, y: np.ndarray) -> float:
        return y[0] - 30.0

    crossing.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    y, t, expected = [-65.0, -13.0], 0.0, 0
    while t < 500.0:
        part = solve_ivp(slope, (t, 500.0), y, events=crossing, rtol=1e-8, atol=1e-8)
        t = part.t[-1]
        expected += len(part.t_events[0])
        y = [cell.c, part.y[1, -1] + cell.d]
    v, u, count = np.array([-65.0]), np.array([-13.0]), 0
    for _ in range(25_000):
        fired, v, u = izhikevich_step(v, u, np.zeros(1), np.full(1, 10.0), np.array(cell.constants(0.02)))
        count += int(fired[0])
    assert count == pytest.approx(expected, abs=max(1, 0.03 * expected))


def test_a_threshold_rises_by_beta_at_a_spike_and_falls_with_tau() -> None:
    constants = np.array(Adaptation(beta=1.7, tau_a=200.0).constants(0.1))
    a = np.zeros(1)
    thresholds = []
    for step in range(5000):
        a, threshold = adapted_threshold(a, 20.0, constants)
        thresholds.append(threshold[0])
        if step in (999, 1999):
            a = a + 1.0
    t = 0.1 * np.arange(1, 5001)
    expected = 20.0 + 1.7 * sum(np.where(t > s, np.exp(-(t - s) / 200.0), 0.0) for s in (100.0, 200.0))
    np.testing.assert_allclose(thresholds, expected, rtol=1e-12)
