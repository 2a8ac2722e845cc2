"""Readouts against closed forms and independent solvers."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from lsm.delta_rule import DeltaRuleReadout
from lsm.exponential_filter import filtered_spikes
from lsm.intervals import mean_interval, paired_difference, wilson_interval
from lsm.logistic import LogisticReadout
from lsm.ridge import RidgeReadout, RidgeSums
from sklearn.linear_model import LogisticRegression


def linear_data(rng, rows, features, targets):
    x_BF = rng.normal(3.0, 1.0, (rows, features))
    weights_FK = rng.normal(size=(features, targets))
    return x_BF, x_BF @ weights_FK + 5.0 + rng.normal(0, 0.1, (rows, targets))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(1, 30), st.integers(1, 3), st.floats(-4, 1))
def test_ridge_is_least_squares_with_extra_rows(seed, rows, features, targets, log_penalty):
    """Ridge = ordinary least squares where each weight is one more equation sqrt(lambda) w = 0."""
    x_BF, y_BK = linear_data(np.random.default_rng(seed), rows, features, targets)
    readout = RidgeReadout(10**log_penalty).fit(x_BF, y_BK)
    centred_BF = x_BF - x_BF.mean(0)
    root = math.sqrt(10**log_penalty * (centred_BF**2).sum() / features)
    design = np.block([[x_BF, np.ones((rows, 1))], [root * np.eye(features), np.zeros((features, 1))]])
    expected = np.linalg.lstsq(design, np.concatenate([y_BK, np.zeros((features, targets))]), rcond=None)[0]
    np.testing.assert_allclose(readout.weights_FK, expected[:-1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(readout.predict(x_BF), x_BF @ expected[:-1] + expected[-1], rtol=1e-5, atol=1e-6)


def test_streamed_sums_are_the_whole_and_both_systems_agree():
    rng = np.random.default_rng(0)
    x_BF, y_BK = linear_data(rng, 40, 90, 2)
    whole = RidgeReadout(0.03).fit(x_BF, y_BK)  # fewer rows than features: the system of the rows
    streamed = RidgeReadout(0.03)
    for part in np.array_split(np.arange(40), 7):
        streamed.partial_fit(x_BF[part], y_BK[part])
    streamed.finish()  # the system of the features
    np.testing.assert_allclose(streamed.weights_FK, whole.weights_FK, rtol=1e-8, atol=1e-10)


def test_scale_and_offset_of_features_change_no_answer():
    rng = np.random.default_rng(1)
    x_BF, y_BK = linear_data(rng, 60, 5, 1)
    first = RidgeReadout(0.1).fit(x_BF, y_BK[:, 0]).predict(x_BF)
    second = RidgeReadout(0.1).fit(1000 * x_BF - 7, y_BK[:, 0]).predict(1000 * x_BF - 7)
    np.testing.assert_allclose(first, second, rtol=1e-9)


def test_labels_of_well_separated_clouds_are_learnt_by_all_readouts():
    rng = np.random.default_rng(2)
    centres_KF = 6 * rng.normal(size=(4, 10))
    labels = rng.integers(0, 4, 400)
    x_BF = centres_KF[labels] + rng.normal(size=(400, 10))
    names = np.array(["a", "b", "c", "d"])[labels]
    for readout in (RidgeReadout(1e-3), LogisticReadout(), DeltaRuleReadout(0.1)):
        assert readout.fit(x_BF[:300], names[:300]).score(x_BF[300:], names[300:]) > 0.95


def test_logistic_is_sklearns():
    """Same optimum: sklearn minimises C sum of losses + |W|^2 / 2, so C = 1 / (rows * penalty)."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 300)
    x_BF = rng.normal(size=(300, 4)) + np.eye(3, 4)[labels]
    ours = LogisticReadout(0.02).fit(x_BF, labels)
    z_BF = (x_BF - x_BF.mean(0)) / np.sqrt(x_BF.var(0).mean())
    theirs = LogisticRegression(C=1 / (300 * 0.02), tol=1e-9, max_iter=2000).fit(z_BF, labels)
    np.testing.assert_allclose(ours.probabilities(x_BF), theirs.predict_proba(z_BF), atol=2e-4)


@given(st.integers(0, 2**32), st.floats(0.05, 1.95))
def test_delta_rule_shrinks_the_error_of_its_row_by_the_rate(seed, rate):
    rng = np.random.default_rng(seed)
    readout = DeltaRuleReadout(rate).start(6, np.zeros((1, 2)))
    readout.weights_FK += rng.normal(size=(6, 2))
    state_F, target_K = rng.normal(size=6), rng.normal(size=2)
    before_K = readout.update(state_F, target_K)
    after_K = target_K - readout.predict(state_F[None])[0]
    np.testing.assert_allclose(after_K, (1 - rate) * before_K, atol=1e-9)


def test_filter_is_scipys_on_the_grid_and_chunks_join():
    rng = np.random.default_rng(4)
    raster_TN = rng.random((400, 7)) < 0.05
    steps, ids = np.nonzero(raster_TN)
    at = np.arange(400.0)
    whole = filtered_spikes(steps.astype(float), ids, 7, at, tau=20.0)
    expected = scipy.signal.lfilter([1.0], [1.0, -math.exp(-1 / 20)], raster_TN.astype(float), axis=0)
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)
    first = filtered_spikes(steps.astype(float), ids, 7, at[:150], tau=20.0)
    rest = filtered_spikes(steps.astype(float), ids, 7, at[150:], tau=20.0, initial_N=first[-1], start=149.0)
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, rtol=1e-5, atol=1e-6)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        low, high = wilson_interval(int(rng.binomial(60, 0.8)), 60)
        hits += low <= 0.8 <= high
    assert 0.91 <= hits / 400 <= 0.99
    assert wilson_interval(0, 10)[0] == pytest.approx(0, abs=1e-12)
    inside = 0
    for trial in range(200):
        first, second = rng.random(150) < 0.7, rng.random(150) < 0.6
        low, high = paired_difference(first, second, resamples=400, seed=trial).interval
        inside += low <= 0.1 <= high
    assert 0.89 <= inside / 200 <= 0.99
    low, high = mean_interval(rng.normal(2.0, 1.0, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="penalty must be positive"):
        RidgeReadout(0.0)
    with pytest.raises(ValueError, match="none of the classes"):
        RidgeReadout().partial_fit(np.eye(2), np.array([0, 1])).partial_fit(np.eye(2), np.array([0, 2]))
    with pytest.raises(ValueError, match="no rows"):
        RidgeSums(2, 1).solve(1.0)
    with pytest.raises(ValueError, match=r"expected \(3, 2\)"):
        RidgeSums(2, 1).add(np.zeros((3, 4)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="tau must be positive"):
        filtered_spikes(np.zeros(0), np.zeros(0, int), 3, np.array([1.0]), tau=0.0)
    with pytest.raises(ValueError, match="ids must lie"):
        filtered_spikes(np.zeros(1), np.array([3]), 3, np.array([1.0]))
    with pytest.raises(ValueError, match="at least two classes"):
        LogisticReadout().fit(np.eye(2), np.array([1, 1]))
    with pytest.raises(ValueError, match="5 of 3"):
        wilson_interval(5, 3)


def test_more_features_than_rows_are_read_in_blocks_without_a_second_copy(monkeypatch):
    """The dual solution over several blocks is the primal one, intercept and penalty alike, and takes little memory."""
    rng = np.random.default_rng(5)
    x_BF, y_BK = (rng.normal(3, 2, (30, 400)) * rng.uniform(0, 2, 400)).astype(np.float32), rng.normal(1, 1, (30, 2))
    monkeypatch.setattr("lsm.ridge._BLOCK", 30 * 64)
    for penalty in (1e-3, 1.0):
        dual = RidgeReadout(penalty).fit(x_BF, y_BK)
        weights_FK, intercept_K = RidgeSums(400, 2).add(x_BF, y_BK).solve(penalty)
        np.testing.assert_allclose(dual.weights_FK, weights_FK, atol=1e-6 * abs(weights_FK).max())
        np.testing.assert_allclose(dual.intercept_K, intercept_K, atol=1e-6)
        np.testing.assert_allclose(dual.predict(x_BF), x_BF @ weights_FK + intercept_K, atol=1e-5)
    monkeypatch.undo()
    large_BF = rng.random((40, 1_000_000), np.float32)
    tracemalloc.start()
    RidgeReadout(1.0).fit(large_BF, np.arange(40) % 2).predict(large_BF)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < large_BF.nbytes  # two of float64 before
