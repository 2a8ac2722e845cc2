"""Laws of the synapses' equations: against closed forms and an integrator of differential equations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsm.decay_table import decay_table, decayed
from lsm.dopamine import (
    DopamineLevel,
    DopamineSTDP,
    dopamine_constants,
    dopamine_step,
    eligible,
    settled,
)
from lsm.short_term import ShortTerm, short_term_spike
from lsm.stdp import STDP, depressed, potentiated
from scipy.integrate import solve_ivp


@given(tau=st.floats(0.05, 5000.0), steps=st.integers(0, 10**9), step=st.sampled_from([0.1, 0.05, 1.0]))
def test_a_table_gives_the_exponential(tau: float, steps: int, step: float) -> None:
    table = decay_table(tau, step)
    assert decayed(table, steps) == pytest.approx(np.exp(-steps * step / tau), rel=1e-12, abs=3e-20)


def test_no_time_constant_decays_at_once() -> None:
    assert (decayed(decay_table(0.0, 0.1), np.arange(1, 5000)) == 0).all()


def test_the_first_spike_uses_U_and_a_regular_train_comes_to_the_closed_form() -> None:
    """At rate 1/D: u = U / (1 - (1 - U) f), x = (1 - r) / (1 - (1 - u) r) with f, r what is left after D."""
    rule = ShortTerm(U=0.25, tau_rec=700.0, tau_fac=20.0)
    left_r, left_f = np.exp(-25.0 / 700.0), np.exp(-25.0 / 20.0)
    u, x = np.zeros(1), np.ones(1)
    for spike in range(2000):
        u, x = short_term_spike(u, x, U=rule.U, recovery=np.array(left_r), facilitation=np.array(left_f))
        if spike == 0:
            assert u == 0.25
            assert x == 1.0
    steady_u = rule.U / (1 - (1 - rule.U) * left_f)
    steady_x = (1 - left_r) / (1 - (1 - steady_u) * left_r)
    assert u == pytest.approx(steady_u, rel=1e-12)
    assert x == pytest.approx(steady_x, rel=1e-12)


@given(
    U=st.floats(0.0, 1.0), tau_rec=st.floats(0.0, 2000.0), tau_fac=st.floats(0.0, 2000.0),
    gaps=st.lists(st.floats(0.1, 5000.0), min_size=1, max_size=40),
)  # fmt: skip
def test_use_and_resources_stay_between_0_and_1(U: float, tau_rec: float, tau_fac: float, gaps: list[float]) -> None:
    u, x = np.zeros(1), np.ones(1)
    for gap in gaps:
        left_r = np.exp(-gap / tau_rec) if tau_rec else 0.0
        left_f = np.exp(-gap / tau_fac) if tau_fac else 0.0
        u, x = short_term_spike(u, x, U=U, recovery=np.array(left_r), facilitation=np.array(left_f))
        assert -1e-12 <= u <= 1 + 1e-12
        assert -1e-12 <= x <= 1 + 1e-12


def test_additive_pairs_sum_up_and_weights_stay_within_their_bounds() -> None:
    rule = STDP(rate=0.01, alpha=1.5, mu_plus=0.0, mu_minus=0.0, w_max=-4.0)
    w = np.array([-1.0, -3.99, -0.01])
    trace = np.array([0.5, 2.0, 0.5])
    np.testing.assert_allclose(potentiated(w, trace, rule), [-1.0 - 4 * 0.005, -4.0, -0.01 - 4 * 0.005], rtol=1e-14)
    np.testing.assert_allclose(depressed(w, trace, rule), [-1.0 + 0.03, -3.99 + 0.12, 0.0], rtol=1e-13)


@given(
    w=st.floats(0.0, 5.0), trace=st.floats(0.0, 10.0), mu=st.sampled_from([0.0, 0.4, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_potentiation_only_grows_and_depression_only_shrinks(w: float, trace: float, mu: float, dtype: type) -> None:
    rule = STDP(rate=0.02, mu_plus=mu, mu_minus=mu, w_max=5.0)
    w_S, trace_S = np.array([w], dtype), np.array([trace], dtype)
    up, down = potentiated(w_S, trace_S, rule), depressed(w_S, trace_S, rule)
    assert up.dtype == down.dtype == dtype
    slack = 4 * np.finfo(dtype).eps * 5
    assert w_S - slack <= up <= 5 + slack
    assert -slack <= down <= w_S + slack


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), baseline=st.sampled_from([0.0, 0.02]), tau_c=st.sampled_from([40.0, 1000.0]))
def test_gated_weights_solve_their_differential_equation(seed: int, baseline: float, tau_c: float) -> None:
    """Eligibility written and dopamine released at random steps, against an adaptive integrator between the events."""
    rng = np.random.default_rng(seed)
    rule = DopamineSTDP(baseline=baseline, tau_c=tau_c, tau_n=70.0, w_min=-1e9, w_max=1e9)
    h, steps = 0.5, 400
    marks, releases = rng.normal(size=steps) * (rng.random(steps) < 0.03), rng.random(steps) < 0.02
    level, constants = DopamineLevel(), dopamine_constants(rule, h)
    w0, c0 = np.array([1.5]), np.zeros(1)
    y = np.array([1.5, 0.0, 0.0])  # w, c, n

    def slope(t: float, y: np.ndarray) -> list[float]:
        return [y[1] * (y[2] - baseline), -y[1] / tau_c, -y[2] / 70.0]

    for step in range(steps):
        if level.age == constants.length:
            w0 = settled(w0, c0, level.integral, rule)
            c0 = c0 * constants.left[-1]
            level.integral, level.age = 0.0, 0
        dopamine_step(level, constants)
        y = solve_ivp(slope, (0, h), y, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
        if marks[step]:
            now, w0, c0 = eligible(w0, c0, np.array([marks[step]]), level, constants, rule)
            assert now == pytest.approx(y[0], rel=1e-9)
            y[1] += marks[step]
        if releases[step]:
            level.n += constants.release
            y[2] += 1 / 70.0
    assert settled(w0, c0, level.integral, rule) == pytest.approx(y[0], rel=1e-9)
    assert level.n == pytest.approx(y[2], rel=1e-9)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: ShortTerm(U=1.5, tau_rec=1.0), "U: from 0 to 1, got 1.5"),
        (lambda: ShortTerm(U=0.5, tau_rec=-1.0), "tau_rec: at least 0 ms"),
        (lambda: ShortTerm(U=float("nan"), tau_rec=1.0), "U: a finite number"),
        (lambda: STDP(tau_plus=0.0), "tau_plus: more than 0 ms"),
        (lambda: STDP(mu_plus=2.0), "mu_plus: from 0 to 1"),
        (lambda: STDP(w_max=0.0), "w_max: must not be 0"),
        (lambda: DopamineSTDP(w_min=2.0, w_max=1.0), "w_min: must be below w_max"),
        (lambda: DopamineSTDP(tau_n=0.0), "tau_n: more than 0 ms"),
    ],
)
def test_a_bad_constant_is_named(build, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build()
