"""Nearest entries, and reports of what comes back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spikecode import SpikeCodec, nearest_rows, reconstruction_report, separations, smallest_code


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 12), st.integers(0, 10**6), st.sampled_from([1.0, 1e3]))
@settings(deadline=None, max_examples=60)
def test_nearest_row_is_that_of_brute_force(n, rows, dim, seed, offset):
    """Also of vectors far from the origin, where single precision alone would err."""
    table_VD = normal(rows, dim, seed=seed) + offset
    x_nD = table_VD[torch.arange(n) % rows] + 0.3 * normal(n, dim, seed=seed + 1)
    exact = torch.cdist(x_nD.double(), table_VD.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(nearest_rows(x_nD, table_VD), exact.argmin(1))


def test_the_first_of_equal_rows_is_the_nearest():
    table_VD = normal(5, 3)[[0, 1, 1, 2, 0]]
    assert nearest_rows(table_VD, table_VD).tolist() == [0, 1, 1, 3, 0]


def test_separations_are_distances_to_the_nearest_other_row():
    table_VD = normal(50, 4)
    between = torch.cdist(table_VD.double(), table_VD.double()).fill_diagonal_(math.inf)
    torch.testing.assert_close(separations(table_VD), between.amin(1))
    assert separations(torch.cat([table_VD, table_VD[:1]]))[[0, 50]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shapes", [((2, 3), (4, 5)), ((3,), (4, 3)), ((2, 3), (0, 3))])
def test_nearest_rows_of_what_does_not_fit(shapes):
    with pytest.raises(ValueError, match="nearest_rows: expected"):
        nearest_rows(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_the_report_agrees_with_its_parts():
    x_nD = normal(300, 16)
    codec = SpikeCodec.fit(x_nD, neurons=50, steps=20, density=0.05, seed=1)
    report = reconstruction_report(codec, x_nD)
    decoded_nD = codec.decode(codec.encode(x_nD))
    assert report.rmse == pytest.approx(float((decoded_nD - x_nD).square().mean().sqrt()), rel=1e-3)
    assert report.cosine == pytest.approx(float(torch.cosine_similarity(decoded_nD, x_nD).mean()), abs=1e-4)
    right = nearest_rows(decoded_nD, x_nD) == torch.arange(300)
    assert report.identity == float(right.double().mean()) == 1.0
    assert report.density == pytest.approx(0.05, abs=0.004)
    assert report.bits_per_token == pytest.approx(8 * codec.encode(x_nD[:64]).nbytes / 64)
    assert report.vocabulary_bits == math.log2(300)
    assert 0.9 < report.rmse_over_bound < 1.6
    assert (report.tokens, report.vocabulary, report.clipped, report.wrong, report.duplicates) == (300, 300, 0, 0, 0)


def test_words_that_do_not_come_back_are_counted():
    """Few spikes in few dimensions: some are taken for others, and the certificate hides none of them."""
    x_nD = normal(400, 2)
    codec = SpikeCodec.fit(x_nD, neurons=10, steps=3)
    report = reconstruction_report(codec, x_nD)
    found = nearest_rows(codec.decode_counts(codec.encode_counts(x_nD)), x_nD)
    assert report.wrong == int((found != torch.arange(400)).sum()) > 0
    assert report.identity == 1 - report.wrong / 400


def test_either_of_two_equal_entries_is_right():
    x_nD = normal(60, 8)
    x_nD[1] = x_nD[0]
    report = reconstruction_report(SpikeCodec.fit(x_nD, neurons=100, steps=50), x_nD)
    assert (report.duplicates, report.wrong, report.identity) == (2, 0, 1.0)


def test_values_outside_the_range_are_reported():
    x_nD = normal(100, 4)
    codec = SpikeCodec.fit(x_nD[:50] * 0.5, neurons=50, steps=10)
    low_D, high_D = codec.calibration.low_D, codec.calibration.high_D
    outside = int(((x_nD < low_D) | (x_nD > high_D)).sum())
    assert reconstruction_report(codec, x_nD).clipped == outside > 0


def test_a_vocabulary_of_its_own():
    """Some rows of a table, searched in the whole of it."""
    table_VD = normal(500, 16)
    codec = SpikeCodec.fit(table_VD, neurons=50, steps=20)
    report = reconstruction_report(codec, table_VD[100:120], table_VD)
    assert (report.tokens, report.vocabulary, report.identity) == (20, 500, 1.0)


@pytest.mark.parametrize(("x", "vocabulary"), [((0, 4), None), ((1, 4), None), ((5, 4), (9, 3)), ((4,), None)])
def test_reports_of_what_does_not_fit(x, vocabulary):
    codec = SpikeCodec.fit(normal(20, 4), neurons=10, steps=5)
    with pytest.raises(ValueError, match="reconstruction_report: expected"):
        reconstruction_report(codec, torch.zeros(x), None if vocabulary is None else torch.zeros(vocabulary))


def test_smallest_code():
    """The T found reaches the identity, the one before it does not, and more neurons never need more bins."""
    x_nD = normal(400, 8)
    reports = []
    found = smallest_code(x_nD, neurons=(50, 20), steps=(40, 1, 10, 20), on_report=reports.append, seed=2)
    assert [entry.neurons for entry in found] == [20, 50]
    by_size = {(report.neurons, report.steps): report.identity for report in reports}
    for entry in found:
        tried = sorted(steps for neurons, steps in by_size if neurons == entry.neurons)
        assert tried[-1] == entry.steps == entry.report.steps
        assert all(by_size[entry.neurons, steps] < 1 for steps in tried[:-1])
        assert by_size[entry.neurons, entry.steps] == 1
    assert [entry.steps for entry in found] == sorted((entry.steps or 0 for entry in found), reverse=True)


def test_a_code_that_is_too_small():
    (entry,) = smallest_code(normal(400, 2), neurons=(5,), steps=(1, 2))
    assert entry.steps is None
    assert entry.report.steps == 2
    assert entry.report.identity < 1


@pytest.mark.parametrize("wrong", [{"identity": 0.0}, {"identity": 1.5}, {"neurons": ()}, {"steps": ()}])
def test_smallest_code_of_nothing(wrong):
    with pytest.raises(ValueError, match="smallest_code: identity"):
        smallest_code(normal(10, 2), **wrong)
