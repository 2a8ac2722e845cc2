"""Tasks and measures: answers that are known beforehand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsm.exponential_filter import filtered_spikes
from lsm.group_ridge import nested_ridge
from lsm.kernel_rank import separation, state_rank
from lsm.lyapunov import divergence_rate, moved_spike
from lsm.memory_capacity import memory_function
from lsm.population_matrix import spectral_radius
from lsm.ridge import RidgeReadout
from lsm.spike_statistics import (
    avalanche_sizes,
    binned_counts,
    branching_parameter,
    interval_variation,
    mean_correlation,
    power_law_exponent,
)
from lsm.splits import leave_one_group_out
from lsm.task_series import delayed_series, narma10, normalised_error, random_series, series_as_spikes
from lsm.task_templates import poisson_spikes, template_streams


def test_templates_are_shared_and_streams_are_not():
    train, test = (template_streams(50, jitter=0.0, seed=3, part=part) for part in ("train", "test"))
    assert not np.array_equal(train.templates_BG, test.templates_BG)
    segments = {}
    for streams in (train, test):
        for (times, ids), chosen_G in zip(streams.spikes, streams.templates_BG, strict=True):
            for number, template in enumerate(chosen_G):
                now = (times >= 100.0 * number) & (times < 100.0 * (number + 1))
                found = (np.round(times[now] - 100.0 * number, 6), ids[now])
                first = segments.setdefault(int(template), found)
                np.testing.assert_allclose(found[0], first[0], atol=1e-5)
                np.testing.assert_array_equal(found[1], first[1])
    assert len(segments) == 2
    assert 40 < len(segments[0][0]) < 130  # 40 channels at 20 Hz for 100 ms: 80 in the mean


def test_jitter_is_as_large_as_said():
    plain, moved = (template_streams(40, jitter=jitter, n_templates=1, segment=1000.0) for jitter in (0.0, 4.0))
    shifts = []
    for (t0, i0), (t1, i1) in zip(plain.spikes, moved.spikes, strict=True):
        for channel in range(0, 40, 7):
            shifts.append(np.sort(t1[i1 == channel]) - np.sort(t0[i0 == channel]))
    assert np.concatenate(shifts).std() == pytest.approx(4.0, rel=0.1)


def test_targets_of_streams():
    streams = template_streams(30, n_segments=5, seed=1)
    now_BG, before_BG, parity_BG = streams.now(), streams.delayed(), streams.exclusive_or()
    np.testing.assert_array_equal(before_BG[:, 1:], now_BG[:, :-1])
    np.testing.assert_array_equal(parity_BG[:, 1:], now_BG[:, 1:] ^ now_BG[:, :-1])
    assert (before_BG[:, 0] == -1).all()
    assert (parity_BG[:, 0] == -1).all()


def test_no_linear_readout_of_the_two_answers_solves_exclusive_or():
    """The parity is uncorrelated with both; a threshold of a weighted sum is right for three of four cases at most."""
    streams = template_streams(4000, n_segments=2, n_channels=1, seed=2)
    both = np.stack([streams.now()[:, 1], streams.delayed()[:, 1]], 1)
    parity = streams.exclusive_or()[:, 1]
    assert RidgeReadout().fit(both, parity).score(both, parity) < 0.77
    assert RidgeReadout().fit(both, parity.astype(float)).score(both, parity.astype(float)) < 0.01


def test_narma_is_its_recursion_and_a_product_of_the_inputs_matters():
    u_T = random_series(2000, seed=0)
    y_T = narma10(u_T)
    t = 1234
    expected = 0.3 * y_T[t] + 0.05 * y_T[t] * sum(y_T[t - i] for i in range(10)) + 1.5 * u_T[t - 9] * u_T[t] + 0.1
    assert y_T[t + 1] == pytest.approx(expected)
    taps_TF = delayed_series(u_T, 30)[30:]
    linear = RidgeReadout(1e-6).fit(taps_TF, y_T[30:]).predict(taps_TF)
    product_TF = np.concatenate([taps_TF, taps_TF[:, :21] * taps_TF[:, 9:]], 1)
    better = RidgeReadout(1e-6).fit(product_TF, y_T[30:]).predict(product_TF)
    assert normalised_error(better, y_T[30:]) < 0.5 * normalised_error(linear, y_T[30:]) < 0.3
    with pytest.raises(ValueError, match=r"\[0, 0.5\]"):
        narma10(np.array([0.7]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 0.5))
def test_spikes_of_a_value_follow_the_tuning_curves(seed, value):
    times, ids = series_as_spikes(np.full(400, value), hold=20.0, rate=200.0, seed=seed)
    assert 0 <= times.min() <= times.max() <= 8000
    rates_C = np.bincount(ids, minlength=40) / 8.0
    expected_C = 200 * np.exp(-(((2 * value - np.linspace(0, 1, 40)) / 0.12) ** 2) / 2)
    np.testing.assert_allclose(rates_C, expected_C, atol=15)
    assert np.abs(rates_C - expected_C).mean() < 2.5


def test_memory_of_a_delay_line_is_its_length_and_of_noise_is_none():
    u_T = random_series(3000, seed=4)
    line_TF = np.nan_to_num(delayed_series(u_T, 7), nan=0.25)
    m_D = memory_function(line_TF[:2000], u_T[:2000], line_TF[2000:], u_T[2000:], n_delays=15, penalty=1e-6)
    np.testing.assert_allclose(m_D[:7], 1.0, atol=1e-4)
    assert m_D[7:].sum() < 0.1
    noise_TF = np.random.default_rng(0).normal(size=(3000, 50))
    assert memory_function(noise_TF[:2000], u_T[:2000], noise_TF[2000:], u_T[2000:]).sum() < 0.2


def test_rank_and_separation_of_made_states():
    rng = np.random.default_rng(0)
    low_IF = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 30))
    assert state_rank(low_IF) == 4
    assert state_rank(low_IF + 1e-6 * rng.normal(size=low_IF.shape)) == 4
    assert state_rank(np.zeros((3, 3))) == 0
    labels_I = np.repeat([0, 1], 30)
    apart_IF = np.zeros((60, 5))
    apart_IF[labels_I == 1, 0] = 3.0
    assert separation(apart_IF, labels_I) == pytest.approx(3.0)
    apart_IF[:, 1] = np.tile([-1.0, 1.0], 30)  # a scatter of 1 within each class
    assert separation(apart_IF, labels_I) == pytest.approx(1.5)


def test_divergence_is_the_exponent_of_a_linear_map():
    at = np.arange(0, 200, 10.0)
    base_AF = np.random.default_rng(0).normal(size=(len(at), 3))
    for exponent in (-8.0, 5.0):
        other_AF = base_AF + 1e-3 * np.exp(exponent * at / 1000)[:, None]
        assert divergence_rate(base_AF, other_AF, at) == pytest.approx(exponent, rel=1e-6)
    assert divergence_rate(base_AF, base_AF, at) == -np.inf
    np.testing.assert_array_equal(moved_spike(np.array([1.0, 2.0]), which=1, by=0.5), [1.0, 2.5])


def test_filtered_states_forget_a_moved_spike_with_their_time_constant():
    times, ids = poisson_spikes(5, 20.0, 500.0, np.random.default_rng(0))
    which = int(np.searchsorted(times, 100.0))
    at = np.arange(150.0, 500.0, 10.0)
    first_AF = filtered_spikes(times, ids, 5, at, tau=25.0).astype(np.float64)
    second_AF = filtered_spikes(moved_spike(times, which=which, by=1.0), ids, 5, at, tau=25.0)
    early = slice(0, 12)
    assert divergence_rate(first_AF[early], second_AF[early], at[early]) == pytest.approx(-1000 / 25, rel=0.02)


def test_variation_of_clocks_and_of_poisson_trains():
    times, ids = poisson_spikes(20, 50.0, 20_000.0, np.random.default_rng(1))
    assert np.nanmean(interval_variation(times, ids, 20)) == pytest.approx(1.0, abs=0.03)
    assert interval_variation(np.arange(10.0), np.zeros(10, int), 1)[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(interval_variation(np.arange(3.0), np.zeros(3, int), 2)).all()


def test_correlation_of_neurons_that_share_a_source():
    """Counts a + b_n with equal variances correlate by one half."""
    rng = np.random.default_rng(2)
    counts_TN = rng.poisson(5, (4000, 1)) + rng.poisson(5, (4000, 30))
    assert mean_correlation(counts_TN) == pytest.approx(0.5, abs=0.03)
    times, ids = poisson_spikes(30, 20.0, 50_000.0, rng)
    assert abs(mean_correlation(binned_counts(times, ids, 30, duration=50_000.0, bin_ms=10.0))) < 0.01


@pytest.mark.parametrize("m", [0.5, 0.8, 0.95])
def test_branching_of_a_branching_process_also_when_half_is_seen(m):
    rng = np.random.default_rng(3)
    counts = np.zeros(60_000, np.int64)
    for t in range(1, len(counts)):
        counts[t] = rng.poisson(m * counts[t - 1] + 5.0)
    assert branching_parameter(counts) == pytest.approx(m, abs=0.02)
    assert branching_parameter(rng.binomial(counts, 0.3)) == pytest.approx(m, abs=0.06)


def test_avalanches_are_runs_between_empty_bins():
    sizes = avalanche_sizes(np.array([5, 0, 1, 2, 0, 0, 4, 0, 7]))
    np.testing.assert_array_equal(sizes, [3, 4])
    assert not len(avalanche_sizes(np.ones(5)))


def test_exponent_of_a_power_law_is_found():
    support = np.arange(1, 2001)
    weights = support**-1.5
    drawn = np.random.default_rng(0).choice(support, 20_000, p=weights / weights.sum())
    assert power_law_exponent(drawn) == pytest.approx(1.5, abs=0.03)


def test_spectral_radius_of_a_rotation_and_of_e_and_i():
    assert spectral_radius(0.7 * np.array([[0.0, -1.0], [1.0, 0.0]])) == pytest.approx(0.7)
    assert spectral_radius([[3.0, -3.0], [3.0, -3.0]]) == pytest.approx(0.0, abs=1e-6)  # balance cancels it


def test_nested_ridge_answers_as_the_readout_with_the_chosen_penalty():
    rng = np.random.default_rng(0)
    labels_I, groups_I = np.repeat(np.arange(3), 20), np.tile(["a", "b", "c", "d"], 15)
    states_IF = np.eye(3, 80)[labels_I] * 2 + rng.normal(size=(60, 80))
    folds = [(train, test) for _, train, test in leave_one_group_out(groups_I)]
    found = nested_ridge(states_IF, labels_I, groups_I, folds)
    for (train, test), penalty in zip(folds, found.penalties, strict=True):
        readout = RidgeReadout(penalty).fit(states_IF[train], labels_I[train])
        assert (readout.predict(states_IF[test]) == found.answers_I[test]).mean() >= 14 / 15  # float32 products
    assert (found.answers_I == labels_I).mean() > 0.6
    shuffled = nested_ridge(states_IF, rng.permutation(labels_I), groups_I, folds)
    assert (shuffled.answers_I == labels_I).mean() < 0.6
